//! Scores of every example under tables that did not count its fold.
//!
//! Counts are sums, so the tables "without fold f" come from the total less the fold's own sums; nothing is
//! fitted again. The closed form of multinomial naive Bayes,
//! `ln P(f | k) = ln(sum[f][k] + α) - ln(total[k] + α·n_features)`, is taken apart: a feature
//! that never occurred under a label gives it the background `-ln(total[k] + α·n_features)`, any
//! other `ln(sum[f][k] + α) - ln α` more (the constant `ln α` cancels between labels). So the work
//! follows the labels a feature occurs under.

use rayon::prelude::*;

use super::Observer;
use super::observer::BLOCK;
use super::weigh::{Pattern, Weighed, real};
use crate::simd::widest;

/// What the scores of one view are computed from.
pub(super) struct View<'a> {
    pub(super) weighed: &'a Weighed<'a>,
    pub(super) pattern: &'a Pattern,
    /// `n_entries`: sums over all examples.
    pub(super) sums: Vec<f64>,
    /// `n_labels`: sums of these by label, and of the features that no example has.
    pub(super) totals: Vec<f64>,
    /// Number of features, also of those that no example has.
    pub(super) n_features: f64,
    /// `n_labels`: sums of the features that no example has.
    rest: Vec<f64>,
    /// Sums and scores are cut short once it has cancelled.
    observer: &'a dyn Observer,
}

impl<'a> View<'a> {
    /// Adds up the sums.
    pub(super) fn new(
        weighed: &'a Weighed<'a>,
        pattern: &'a Pattern,
        n_labels: usize,
        observer: &'a dyn Observer,
    ) -> Self {
        if let Some(whole) = &pattern.whole {
            let known = pattern.label_totals(&whole.sums, n_labels, observer);
            let rest = whole.totals.iter().zip(known).map(|(all, known)| all - known);
            return Self {
                weighed,
                pattern,
                sums: observer.gather(whole.sums.iter().copied()),
                totals: whole.totals.clone(),
                n_features: real(whole.n_features),
                rest: rest.collect(),
                observer,
            };
        }
        let n_examples = weighed.matrix.starts.len().saturating_sub(1);
        let sums = pattern.sums(weighed, 0..n_examples, observer);
        let totals = pattern.label_totals(&sums, n_labels, observer);
        let n_features = real(weighed.matrix.n_features());
        let rest = vec![0.0; n_labels];
        Self { weighed, pattern, sums, totals, n_features, rest, observer }
    }

    /// Adds up sums by label, and those of the features that no example has.
    pub(super) fn label_totals(&self, sums: &[f64]) -> Vec<f64> {
        let mut totals = self.pattern.label_totals(sums, self.rest.len(), self.observer);
        totals.iter_mut().zip(&self.rest).for_each(|(total, rest)| *total += rest);
        totals
    }

    /// The sums of all examples but some, entry by entry.
    pub(super) fn sums_without(&self, examples: impl Iterator<Item = usize>) -> Vec<f64> {
        let left_out = self.pattern.sums(self.weighed, examples, self.observer);
        let sums = self.sums.iter().zip(left_out);
        self.observer.gather(sums.map(|(sum, left_out)| sum - left_out))
    }

    /// Scores the examples of every fold, `N` smoothings at once.
    ///
    /// `folds` lists the examples of each fold; of those, the ones `wanted` says are scored, in that order.
    pub(super) fn scores<const N: usize>(
        &self,
        alphas: [f64; N],
        folds: &[Vec<usize>],
        wanted: impl Fn(usize) -> bool + Sync,
    ) -> Scored<N> {
        let blocks = self.sums.par_chunks(BLOCK);
        let base: Vec<Vec<[f32; N]>> = blocks
            .take_any_while(|_| !self.observer.is_cancelled())
            .map(|sums| sums.iter().map(|sum| of_alphas(*sum, &alphas)).collect())
            .collect();
        let n_labels = self.totals.len();
        let parts: Vec<(Vec<usize>, Vec<[f32; N]>)> = folds
            .par_iter()
            .map(|fold| {
                let examples: Vec<_> = fold.iter().copied().filter(|e| wanted(*e)).collect();
                let fold = if examples.is_empty() { &[] } else { fold.as_slice() };
                let tables = self.tables_without(fold, &base, alphas);
                // Filled row by row: zeros for all of it would take long by themselves.
                let mut scores = Vec::with_capacity(examples.len() * n_labels);
                for example in self.observer.wanted(&examples) {
                    let start = scores.len();
                    scores.resize(start + n_labels, [0.0; N]);
                    let row = scores.get_mut(start..).unwrap_or_default();
                    widest(
                        #[inline(always)]
                        || self.score(*example, &tables, row),
                    );
                }
                (examples, scores)
            })
            .collect();
        let n_scores = parts.iter().map(|(_, scores)| scores.len()).sum();
        let scores = Vec::with_capacity(n_scores);
        let mut scored = Scored { examples: Vec::new(), scores, n_labels };
        for (examples, scores) in self.observer.wanted(parts) {
            scored.examples.extend(examples);
            scored.scores.extend(scores);
        }
        scored
    }

    /// The tables of all examples but those of one fold; `base` has the entries of all, in blocks.
    fn tables_without<const N: usize>(
        &self,
        fold: &[usize],
        base: &[Vec<[f32; N]>],
        alphas: [f64; N],
    ) -> Tables<N> {
        let examples = fold.iter().copied();
        let fold_sums = self.pattern.sums(self.weighed, examples, self.observer);
        let mut entries = Vec::with_capacity(self.sums.len());
        let sums = self.sums.chunks(BLOCK).zip(fold_sums.chunks(BLOCK));
        for (base, (sums, fold_sums)) in self.observer.wanted(base.iter().zip(sums)) {
            let entry = |(base, (sum, fold_sum)): (&[f32; N], (&f64, &f64))| match *fold_sum {
                0.0 => *base,
                _ => of_alphas((sum - fold_sum).max(0.0), &alphas),
            };
            entries.extend(base.iter().zip(sums.iter().zip(fold_sums)).map(entry));
        }
        let n_labels = self.totals.len();
        let fold_totals = self.pattern.label_totals(&fold_sums, n_labels, self.observer);
        let n_features = self.n_features;
        let background = |(total, fold): (&f64, &f64)| {
            alphas.map(|alpha| -((total - fold).max(0.0) + alpha * n_features).ln())
        };
        Tables {
            entries,
            background: self.totals.iter().zip(&fold_totals).map(background).collect(),
        }
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "scores are kept in single precision")]
    fn score<const N: usize>(&self, example: usize, tables: &Tables<N>, scores: &mut [[f32; N]]) {
        let mut mass = 0.0;
        for (feature, value) in self.weighed.known_row(example) {
            mass += f64::from(value);
            let row = self.pattern.row(feature);
            let labels = self.pattern.labels.get(row.clone()).unwrap_or_default();
            let entries = tables.entries.get(row).unwrap_or_default();
            for (label, entry) in labels.iter().zip(entries) {
                if let Some(score) = scores.get_mut(usize::from(*label)) {
                    score.iter_mut().zip(entry).for_each(|(s, e)| *s += value * e);
                }
            }
        }
        let mut means = [0.0; N];
        for (score, background) in scores.iter_mut().zip(&tables.background) {
            for ((score, background), mean) in score.iter_mut().zip(background).zip(&mut means) {
                *score += (mass * background) as f32;
                *mean += f64::from(*score) / real(self.totals.len());
            }
        }
        for score in scores {
            score.iter_mut().zip(&means).for_each(|(s, mean)| *s -= *mean as f32);
        }
    }
}

/// Scores of examples under `N` smoothings, in one piece of memory: many small ones would take long to give
/// back when a training is cancelled.
pub(super) struct Scored<const N: usize> {
    examples: Vec<usize>,
    /// `examples × n_labels`, centred.
    scores: Vec<[f32; N]>,
    n_labels: usize,
}

impl<const N: usize> Scored<N> {
    /// Each example with its scores, one a label.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &[[f32; N]])> {
        rows(&self.examples, &self.scores, self.n_labels)
    }

    /// The same in parts of so many examples, for many threads.
    pub(super) fn chunks(
        &self,
        n_examples: usize,
    ) -> impl IndexedParallelIterator<Item = impl Iterator<Item = (usize, &[[f32; N]])>> {
        let scores = self.scores.par_chunks(n_examples * self.n_labels.max(1));
        let chunks = self.examples.par_chunks(n_examples).zip(scores);
        chunks.map(|(examples, scores)| rows(examples, scores, self.n_labels))
    }
}

fn rows<'a, const N: usize>(
    examples: &'a [usize],
    scores: &'a [[f32; N]],
    n_labels: usize,
) -> impl Iterator<Item = (usize, &'a [[f32; N]])> {
    examples.iter().copied().zip(scores.chunks_exact(n_labels.max(1)))
}

/// Log tables for several smoothings at once.
struct Tables<const N: usize> {
    /// `n_entries`: beyond the background.
    entries: Vec<[f32; N]>,
    /// `n_labels`.
    background: Vec<[f64; N]>,
}

/// [`entry`] for every smoothing; the last may stand several times.
#[inline]
fn of_alphas<const N: usize>(sum: f64, alphas: &[f64; N]) -> [f32; N] {
    let mut last = (f64::NAN, 0.0);
    alphas.map(|alpha| {
        if alpha.total_cmp(&last.0).is_ne() {
            last = (alpha, entry(sum, alpha));
        }
        last.1
    })
}

/// What a pair of feature and label adds beyond the background.
#[allow(clippy::cast_possible_truncation, reason = "scores are kept in single precision")]
fn entry(sum: f64, alpha: f64) -> f32 {
    (sum / alpha).ln_1p() as f32
}
