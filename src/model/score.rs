//! From a sentence to probabilities.
//!
//! Word and shape features count once a sentence. The character view is additive over tokens: its
//! sum is that of its tokens' rows, and its squared length the sum of theirs.

use super::table::{Row, RowSum, Table};
use super::{AbstainReason, Classification, Model, Outcome, explain};
use crate::features::{Analysis, View};

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
    seen: RowSet,
    sum: RowSum,
    scores: Vec<f64>,
}

impl Scorer {
    /// Classifies one sentence. Any text gives an answer, an empty one that of the priors.
    pub fn classify(&mut self, model: &Model, sentence: &str, options: &Options) -> Classification {
        self.analysis.analyse(sentence);
        let (token_count, unknown_token_count) = self.count_tokens(&model.table);
        self.score(&model.table);
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

    /// Returns the number of tokens, and of those that training did not see.
    fn count_tokens(&self, table: &Table) -> (u32, u32) {
        let mut counts = (0, 0);
        for token in self.analysis.tokens() {
            counts.0 += 1;
            counts.1 += u32::from(table.token(token.hash).is_none());
        }
        counts
    }

    /// Leaves the label scores of the analysed sentence in `self.scores`.
    fn score(&mut self, table: &Table) {
        self.scores.clone_from(&table.offsets);
        for view in View::ALL {
            self.sum.reset(table.n_labels());
            if view == View::Character {
                self.sum_tokens(table);
            } else {
                self.sum_ngrams(table, view);
            }
            let scale = scale(table, self.sum.square);
            let background = table.background(view);
            for ((score, value), background) in
                self.scores.iter_mut().zip(&self.sum.values).zip(background)
            {
                *score += scale * (value + self.sum.mass * background);
            }
        }
    }

    fn sum_ngrams(&mut self, table: &Table, view: View) {
        self.seen.clear();
        let (seen, sum) = (&mut self.seen, &mut self.sum);
        view.for_each(&self.analysis, |hash, _| {
            if let Some(row) = table.feature(hash)
                && seen.insert(row.id)
            {
                sum.add(&row, 1.0);
            }
        });
    }

    fn sum_tokens(&mut self, table: &Table) {
        for token in self.analysis.tokens() {
            match table.token(token.hash) {
                Some(row) => self.sum.add(&row, 1.0),
                None => table.sum_character_rows(self.analysis.folded(token), &mut self.sum),
            }
        }
    }
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

/// A set of row numbers that is emptied in constant time.
#[derive(Debug, Default)]
struct RowSet {
    /// Generation and row; a slot of an older generation is free.
    slots: Vec<(u32, u32)>,
    generation: u32,
    len: usize,
}

impl RowSet {
    fn clear(&mut self) {
        self.len = 0;
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.slots.fill((0, 0));
            self.generation = 1;
        }
    }

    /// Adds a row. Returns whether it was new.
    #[inline]
    fn insert(&mut self, row: u32) -> bool {
        if self.len * 2 >= self.slots.len() {
            self.grow();
        }
        let is_new = self.place(row);
        self.len += usize::from(is_new);
        is_new
    }

    #[inline]
    fn place(&mut self, row: u32) -> bool {
        let mask = self.slots.len().wrapping_sub(1);
        // Rows stand in the order of their hashes: neighbours are unrelated, low bits are random.
        let mut at = row as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.0 != self.generation {
                *slot = (self.generation, row);
                return true;
            }
            if slot.1 == row {
                return false;
            }
            at = (at + 1) & mask;
        }
        false
    }

    fn grow(&mut self) {
        let bigger = (self.slots.len() * 2).max(256);
        let old = std::mem::replace(&mut self.slots, vec![(0, 0); bigger]);
        for (generation, row) in old {
            if generation == self.generation {
                self.place(row);
            }
        }
    }
}

/// Used by explanations too: what one row adds to `label` before scaling.
pub(super) fn row_value(row: &Row<'_>, background: &[f64], label: usize) -> f64 {
    row.mass * background.get(label).copied().unwrap_or_default() + row.entry(label)
}
