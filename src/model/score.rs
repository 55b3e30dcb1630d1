//! From a sentence to probabilities.
//!
//! Word, lead and shape features count once a sentence. The character view is additive over tokens: its
//! sum is that of its tokens' rows, and its squared length the sum of theirs.

use super::index::Finder;
use super::known::Known;
use super::row::Row;
use super::table::{InTokens, RowSum, Table, count};
use super::{AbstainReason, Classification, Model, Outcome, explain};
use crate::features::{Analysis, Items, Shape, Tokens, View, find_shapes, hash, lead};
use crate::simd::{highest, softmax_double, widest};

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
    tokens: Tokens,
    shapes: Vec<Shape>,
    /// The tokens' hashes, and those of the shapes.
    words: Items,
    shape_items: Items,
    known: Known,
    /// Which tokens are unknown.
    unknown: Vec<usize>,
    /// Which tokens have their characters looked up.
    spelled: Vec<usize>,
    /// Hashes of n-grams.
    grams: Vec<u64>,
    finder: Finder,
    /// A sum a view.
    sums: Vec<RowSum>,
    scores: Vec<f64>,
    analysis: Analysis,
    answer: Classification,
}

impl Scorer {
    /// Classifies one sentence. Any text gives an answer, an empty one that of the priors. The answer stands in a
    /// buffer of the scorer, so that without reasons no memory is asked for once the buffers are large enough.
    pub fn classify(
        &mut self,
        model: &Model,
        sentence: &str,
        options: &Options,
    ) -> &Classification {
        self.add_up(&model.table, sentence);
        let best = self.weigh_up(&model.table);
        let Self { answer, .. } = self;
        answer.token_count = number(self.tokens.len());
        answer.unknown_token_count = number(self.unknown.len());
        answer.explanation = options.explain.then(|| {
            self.analysis.analyse(sentence);
            explain::explain(&model.table, &self.analysis, &self.scores)
        });
        let threshold = options.min_probability.unwrap_or(model.metadata.min_probability);
        answer.outcome = if answer.unknown_token_count == answer.token_count {
            Outcome::Abstained(AbstainReason::NoKnownTokens)
        } else if answer.probabilities.get(best).is_none_or(|p| *p < threshold) {
            Outcome::Abstained(AbstainReason::LowProbability)
        } else {
            Outcome::Label(best)
        };
        answer
    }

    /// Leaves what a sentence has in each view in `self.sums`, its tokens in `self.tokens`, and which of
    /// them are unknown in `self.unknown`.
    fn add_up(&mut self, table: &Table, sentence: &str) {
        self.tokens.find(sentence);
        self.sums.resize_with(View::ALL.len(), RowSum::default);
        for view in &table.views {
            if let Some(sum) = self.sums.get_mut(view.index()) {
                sum.reset(table.n_labels());
            }
        }
        self.find_items(table, sentence);
        table.tokens.add(&self.known, &mut self.sums);
        for view in &table.views {
            self.sum_ngrams(table, *view);
        }
        self.sum_characters(table);
    }

    /// Makes scores of the sums, and probabilities of the scores; returns the best label.
    fn weigh_up(&mut self, table: &Table) -> usize {
        let Self { sums, scores, answer, .. } = self;
        widest(
            #[inline(always)]
            || {
                scores.clone_from(&table.offsets);
                for view in &table.views {
                    let Some(sum) = sums.get(view.index()) else { continue };
                    let scale = scale(table, sum.square);
                    let values = sum.values.iter().zip(table.background(*view));
                    for (score, (value, background)) in scores.iter_mut().zip(values) {
                        *score += scale * (value + sum.mass * background);
                    }
                }
                answer.probabilities.clone_from(scores);
                softmax_double(&mut answer.probabilities);
                best(&answer.probabilities)
            },
        )
    }

    /// Looks up the tokens, finds shapes if they are asked for, and the hashes of both.
    fn find_items(&mut self, table: &Table, sentence: &str) {
        self.words.begin(std::iter::repeat_n(0, self.tokens.len()));
        let hashes = self.words.inner_mut();
        self.known.find(table.tokens.index(), self.tokens.keys(), hashes, &mut self.unknown);
        for at in &self.unknown {
            if let Some(hash) = hashes.get_mut(*at) {
                *hash = hash::token(self.tokens.folded(*at));
            }
        }
        if table.views.contains(&View::Shape) {
            find_shapes(sentence, &mut self.tokens, &mut self.shapes);
            let hashes = self.words.inner();
            self.shape_items.begin(self.shapes.iter().map(|shape| shape.hash(hashes)));
            self.known.find_shapes(&self.shapes);
        }
        if table.views.contains(&View::Lead) {
            self.known.find_lead();
        }
    }

    /// Adds the n-grams of a view that are not in the rows of tokens.
    fn sum_ngrams(&mut self, table: &Table, view: View) {
        let Some(sum) = self.sums.get_mut(view.index()) else { return };
        let (grams, seed) = (&mut self.grams, view.seed());
        grams.clear();
        // Where single tokens are in their rows: those that have none.
        let among_tokens = table.in_tokens == InTokens::Singles;
        let hashes = self.words.inner();
        let unknown = self.unknown.iter().filter_map(|at| Some((*at, *hashes.get(*at)?)));
        match view {
            View::Word1 if among_tokens => {
                grams.extend(unknown.map(|(_, hash)| hash::extend(seed, hash)));
            }
            View::Word1 => grams.extend(self.words.singles(seed)),
            View::Lead if among_tokens => {
                let n_lead = lead(hashes).len();
                let unknown = unknown.take_while(|(at, _)| *at < n_lead);
                grams.extend(unknown.map(|(_, hash)| hash::extend(seed, hash)));
            }
            View::Lead => grams.extend(lead(hashes).iter().map(|hash| hash::extend(seed, *hash))),
            View::Word2 => grams.extend(self.words.pairs(seed)),
            View::Word3 => grams.extend(self.words.triples(seed)),
            View::Shape => {
                grams.extend(self.shape_items.pairs(seed));
                grams.extend(self.shape_items.triples(seed));
                if among_tokens {
                    let unknown = unknown.filter(|(at, _)| self.known.is_shape(*at));
                    let marks = self.shapes.iter().filter_map(|shape| shape.mark.hash());
                    let others = unknown.map(|(_, hash)| hash).chain(marks);
                    grams.extend(others.map(|hash| hash::extend(seed, hash)));
                } else {
                    grams.extend(self.shape_items.singles(seed));
                }
            }
            View::Character => return,
        }
        table.ngrams.sum(grams, &mut self.finder, sum);
    }

    /// Adds the characters of the tokens that have no rows of them.
    fn sum_characters(&mut self, table: &Table) {
        if !table.views.contains(&View::Character) {
            return;
        }
        let Some(sum) = self.sums.get_mut(View::Character.index()) else { return };
        self.spelled.clear();
        if table.in_tokens == InTokens::Nothing {
            self.spelled.extend(0..self.tokens.len());
        } else {
            self.spelled.extend_from_slice(&self.unknown);
        }
        // Each once, however often it is repeated.
        let hashes = self.words.inner();
        let hash = |at: &usize| hashes.get(*at);
        self.spelled.sort_unstable_by_key(|at| (hash(at), *at));
        for run in self.spelled.chunk_by(|a, b| hash(a) == hash(b)) {
            let Some(first) = run.first() else { continue };
            table.sum_character_rows(self.tokens.folded(*first), count(run.len()), sum);
        }
    }
}

/// Returns a number of tokens, of which a sentence of 4 GiB has too many to tell.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Returns what a view's sums are multiplied by, from its squared length.
#[inline(always)]
pub(super) fn scale(table: &Table, square: f64) -> f64 {
    if table.is_normalised && square > 0.0 { square.sqrt().recip() } else { 1.0 }
}

/// Returns the first label of the highest score or probability.
#[inline(always)]
pub(super) fn best(values: &[f64]) -> usize {
    let highest = highest(values);
    values.iter().position(|value| *value >= highest).unwrap_or_default()
}

/// Used by explanations too: what one row adds to `label` before scaling.
pub(super) fn row_value(row: &Row<'_>, background: &[f64], label: usize) -> f64 {
    row.mass * background.get(label).copied().unwrap_or_default() + row.entry(label)
}
