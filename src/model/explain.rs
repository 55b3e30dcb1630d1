//! Why the best label won: the same sum as in [`super::score`], kept apart by feature.

use std::collections::BTreeMap;

use super::row::Row;
use super::score::{best, row_value, scale};
use super::table::{RowSum, Table};
use super::{Contribution, Explanation};
use crate::features::{Analysis, Gram, Span, View, hash};

/// Most contributions that are listed; the others are summed up.
const MAX_CONTRIBUTIONS: usize = 50;

/// Explains the scores of an analysed sentence.
pub(super) fn explain(table: &Table, analysis: &Analysis, scores: &[f64]) -> Explanation {
    let label = best(scores);
    let mut without_best = scores.to_vec();
    if let Some(score) = without_best.get_mut(label) {
        *score = f64::NEG_INFINITY;
    }
    let against = best(&without_best);
    let pair = Pair { table, label, against };
    let offset = |label: usize| table.offsets.get(label).copied().unwrap_or_default();

    // Words and shapes often read the same: to people they are one reason.
    let mut merged: BTreeMap<(String, Vec<Span>), f64> = BTreeMap::new();
    for found in table.views.iter().flat_map(|view| pair.contributions(analysis, *view)) {
        *merged.entry((found.feature, found.spans)).or_default() += found.log_odds;
    }
    let contribution = |((feature, spans), log_odds)| Contribution { feature, log_odds, spans };
    let mut contributions: Vec<_> = merged.into_iter().map(contribution).collect();
    contributions.sort_by(|a, b| {
        let by_size = b.log_odds.abs().total_cmp(&a.log_odds.abs());
        by_size.then_with(|| a.feature.cmp(&b.feature))
    });
    let rest = contributions.split_off(contributions.len().min(MAX_CONTRIBUTIONS));
    Explanation {
        label,
        against,
        prior_log_odds: offset(label) - offset(against),
        contributions,
        rest_log_odds: rest.iter().map(|c| c.log_odds).sum(),
    }
}

/// The two labels that are compared.
struct Pair<'a> {
    table: &'a Table,
    label: usize,
    against: usize,
}

/// One feature of the sentence, or one known or unknown token of the character view.
struct Found {
    log_odds: f64,
    gram: Gram,
    spans: Vec<Span>,
}

impl Pair<'_> {
    fn contributions(&self, analysis: &Analysis, view: View) -> Vec<Contribution> {
        let (found, square) = if view == View::Character {
            self.tokens(analysis)
        } else {
            self.ngrams(analysis, view)
        };
        let scale = scale(self.table, square);
        let contribution = |found: Found| Contribution {
            feature: view.write(analysis, found.gram),
            log_odds: scale * found.log_odds,
            spans: found.spans,
        };
        found.into_iter().map(contribution).collect()
    }

    /// Features that count once, with all their places, and the squared length of the view.
    fn ngrams(&self, analysis: &Analysis, view: View) -> (Vec<Found>, f64) {
        let mut by_hash: BTreeMap<u64, Found> = BTreeMap::new();
        let mut square = 0.0;
        view.for_each(analysis, |hash, gram| {
            let Some(row) = self.table.row(view, analysis, hash, gram) else { return };
            let found = by_hash.entry(hash).or_insert_with(|| {
                square += row.square;
                Found { log_odds: self.log_odds(&row, view), gram, spans: Vec::new() }
            });
            found.spans.extend(view.span(analysis, gram));
        });
        (by_hash.into_values().collect(), square)
    }

    /// The character features of each token, equal tokens taken together, and their squared length.
    fn tokens(&self, analysis: &Analysis) -> (Vec<Found>, f64) {
        let mut by_token: BTreeMap<u64, Found> = BTreeMap::new();
        let (mut sum, mut square) = (RowSum::default(), 0.0);
        for (token, gram) in analysis.tokens().iter().zip(Gram::tokens()) {
            let (log_odds, token_square) = if let Some(row) = self.token_row(analysis.folded(token))
            {
                (self.log_odds(&row, View::Character), row.square)
            } else {
                sum.reset(self.table.n_labels());
                self.table.sum_character_rows(analysis.folded(token), 1.0, &mut sum);
                (self.log_odds_of_sum(&sum), sum.square)
            };
            square += token_square;
            let found = by_token.entry(token.hash).or_insert_with(|| Found {
                log_odds: 0.0,
                gram,
                spans: Vec::new(),
            });
            found.log_odds += log_odds;
            found.spans.push(token.span);
        }
        (by_token.into_values().collect(), square)
    }

    fn token_row(&self, folded: &str) -> Option<Row<'_>> {
        self.table.tokens.get(hash::key(folded), View::Character)
    }

    fn log_odds(&self, row: &Row<'_>, view: View) -> f64 {
        let background = self.table.background(view);
        row_value(row, background, self.label) - row_value(row, background, self.against)
    }

    fn log_odds_of_sum(&self, sum: &RowSum) -> f64 {
        let background = self.table.background(View::Character);
        let value = |label: usize| {
            let background = background.get(label).copied().unwrap_or_default();
            sum.mass * background + sum.values.get(label).copied().unwrap_or_default()
        };
        value(self.label) - value(self.against)
    }
}
