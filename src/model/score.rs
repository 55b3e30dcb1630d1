//! From a sentence to probabilities.
//!
//! Word and shape features count once a sentence. The character view is additive over tokens: its
//! sum is that of its tokens' rows, and its squared length the sum of theirs.

use super::index::Finder;
use super::rows::Row;
use super::table::{RowSum, Table, count};
use super::{AbstainReason, Classification, Model, Outcome, explain};
use crate::features::{Analysis, Ngrams, Singles, TOKEN_VIEWS, View, hash};

/// How to classify.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Options {
    /// Abstain below this probability, in [0, 1]; `None`: the model's own threshold.
    pub min_probability: Option<f64>,
    /// Add the reasons.
    pub explain: bool,
}

/// Classifies sentences; holds the buffers of one thread. Works with any model.
#[derive(Debug, Default)]
pub struct Scorer {
    analysis: Analysis,
    ngrams: Ngrams,
    finder: Finder,
    unknown: Vec<usize>,
    /// A sum a view.
    sums: Vec<RowSum>,
    scores: Vec<f64>,
}

impl Scorer {
    /// Classifies one sentence. Any text gives an answer, an empty one that of the priors.
    pub fn classify(&mut self, model: &Model, sentence: &str, options: &Options) -> Classification {
        self.analysis.find_tokens(sentence);
        if model.table.views.contains(&View::Shape) {
            self.analysis.find_shapes();
        }
        self.score(&model.table);
        let token_count = number(self.analysis.tokens().len());
        let unknown_token_count = number(self.unknown.len());
        let explanation =
            options.explain.then(|| explain::explain(&model.table, &self.analysis, &self.scores));
        let probabilities = softmax(&self.scores);
        let threshold = options.min_probability.unwrap_or(model.metadata.min_probability);
        let best = best(&probabilities);
        let outcome = if unknown_token_count == token_count {
            Outcome::Abstained(AbstainReason::NoKnownTokens)
        } else if probabilities.get(best).is_none_or(|p| *p < threshold) {
            Outcome::Abstained(AbstainReason::LowProbability)
        } else {
            Outcome::Label(best)
        };
        Classification { outcome, probabilities, token_count, unknown_token_count, explanation }
    }

    /// Leaves the label scores of the analysed sentence in `self.scores`, and the positions of its
    /// unknown tokens in `self.unknown`.
    fn score(&mut self, table: &Table) {
        let n_labels = table.n_labels();
        self.sums.resize_with(View::ALL.len(), RowSum::default);
        self.sums.iter_mut().for_each(|sum| sum.reset(n_labels));
        self.ngrams.collect_with(&self.analysis, &table.views, table.singles);
        self.sum_tokens(table);
        for view in &table.views {
            let Some(sum) = self.sums.get_mut(view.index()) else { continue };
            for hashes in self.ngrams.of(*view) {
                table.ngrams.sum(hashes, &mut self.finder, sum);
            }
        }
        self.scores.clone_from(&table.offsets);
        for view in &table.views {
            let Some(sum) = self.sums.get(view.index()) else { continue };
            let scale = scale(table, sum.square);
            let values = sum.values.iter().zip(table.background(*view));
            for (score, (value, background)) in self.scores.iter_mut().zip(values) {
                *score += scale * (value + sum.mass * background);
            }
        }
    }

    fn sum_tokens(&mut self, table: &Table) {
        table.tokens.find(self.ngrams.tokens(), &mut self.finder);
        table.tokens.add(&self.finder, self.ngrams.token_counts(), &mut self.sums);
        self.finder.unknown(&mut self.unknown);
        // Each once, however often it is repeated.
        let tokens = self.ngrams.tokens();
        let hash = |at: &usize| tokens.get(*at);
        self.unknown.sort_unstable_by_key(|at| (hash(at), *at));
        for run in self.unknown.chunk_by(|a, b| hash(a) == hash(b)) {
            let Some(first) = run.first() else { continue };
            for (nth, view) in TOKEN_VIEWS.into_iter().enumerate() {
                let counts = self.ngrams.token_counts().get(*first);
                let has_it = counts.and_then(|of| of.get(nth)).is_some_and(|count| *count > 0.0);
                let Some(sum) = self.sums.get_mut(view.index()) else { continue };
                if !has_it || !table.views.contains(&view) {
                } else if view == View::Character {
                    let token = self.analysis.tokens().get(*first);
                    let folded = token.map_or("", |token| self.analysis.folded(token));
                    table.sum_character_rows(folded, count(run.len()), sum);
                } else if table.singles == Singles::LeftToTokens
                    && let Some(hash) = hash(first)
                    && let Some(row) = table.ngrams.get(hash::extend(view.seed(), *hash))
                {
                    // Of a token that is not in the vocabulary.
                    sum.add(&row, 1.0, 1.0);
                }
            }
        }
    }
}

/// Returns a number of tokens, of which a sentence of 4 GiB has too many to tell.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Returns what a view's sums are multiplied by, from its squared length.
pub(super) fn scale(table: &Table, square: f64) -> f64 {
    if table.is_normalised && square > 0.0 { square.sqrt().recip() } else { 1.0 }
}

/// Returns the first label of the highest probability.
pub(super) fn best(values: &[f64]) -> usize {
    let mut best = 0;
    for (label, value) in values.iter().enumerate() {
        if values.get(best).is_some_and(|b| value > b) {
            best = label;
        }
    }
    best
}

/// Returns `exp(score) / Σ exp(score)`, subtracting the maximum first so that nothing overflows.
fn softmax(scores: &[f64]) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut values: Vec<_> = scores.iter().map(|s| (s - highest).exp()).collect();
    let total: f64 = values.iter().sum();
    for value in &mut values {
        *value /= total;
    }
    values
}

/// Used by explanations too: what one row adds to `label` before scaling.
pub(super) fn row_value(row: &Row<'_>, background: &[f64], label: usize) -> f64 {
    row.mass * background.get(label).copied().unwrap_or_default() + row.entry(label)
}
