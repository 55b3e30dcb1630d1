//! Weighted naive Bayes: every feature gets a weight of its own beside its view's, at least 0 and
//! shared by all labels, so that features which repeat what others say count less.
//!
//! The weights minimise the log loss of scores under tables that did not count the example, plus a
//! ridge that holds them to 1, the view's weight alone; it counts by what a weight is in the end, its
//! view's times its own, so that a view with little weight on the whole can still have features with
//! much. The weights are fitted without each group of folds on tables without that group. Each of its
//! examples is then scored by these weights and the tables without its own fold alone: neither has seen
//! it, and the tables have counted nearly as much as those that are published. Such scores choose the
//! ridge's strength, calibrate and judge. Published is the mean of these fits, which is as good as one more
//! fit on everything.

use std::iter::repeat_n;

use rayon::prelude::*;

use super::fit::{Fit, Part, PartScores, Trial};
use super::rows::Rows;
use super::weigh::real;
use super::{Observer, TrainError};
use crate::simd::softmax;

/// Strengths of the ridge to choose from, for the loss summed over all examples, strongest first.
const RIDGES: [f64; 4] = [0.3, 0.1, 0.03, 0.01];
/// From so many scores (examples × labels) on a few groups are enough to choose the ridge by, and more of
/// them would take long.
const MANY_SCORES: usize = 250_000;
/// That few.
const FEW_GROUPS: usize = 2;

/// Weights and offsets.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    /// One a feature of [`Rows`], at least 0; 1 leaves the view's weight as it is.
    pub(super) features: Vec<f64>,
    /// One a label.
    pub(super) offsets: Vec<f64>,
}

impl Weights {
    fn add_scaled(&mut self, other: &Self, scale: f64) {
        let add = |to: &mut [f64], what: &[f64]| {
            to.iter_mut().zip(what).for_each(|(to, what)| *to += scale * what);
        };
        add(&mut self.features, &other.features);
        add(&mut self.offsets, &other.offsets);
    }
}

/// The outcome of refining.
#[derive(Debug)]
pub(super) struct Refined {
    /// Strength of the ridge.
    pub(super) ridge: f64,
    /// Mean of the weights fitted without each group.
    pub(super) weights: Weights,
    /// `n_examples × n_labels`, centred: scores by weights and tables that did not see the example.
    pub(super) scores: Vec<f32>,
}

/// What is refined.
pub(super) struct Problem<'a> {
    /// May end it all.
    pub(super) observer: &'a dyn Observer,
    pub(super) rows: &'a Rows<'a>,
    /// `n_examples`.
    pub(super) labels: &'a [u16],
    /// The examples of each fold.
    pub(super) folds: &'a [Vec<usize>],
    /// Folds that are left out together.
    pub(super) groups: &'a [Vec<usize>],
    /// `n_labels`: the pool's offsets.
    pub(super) offsets: &'a [f64],
    /// One a feature: the strength of its ridge in units of the one that is chosen.
    pub(super) ridges: &'a [f64],
}

impl Problem<'_> {
    /// Chooses the ridge on the first groups, then fits without each of the others.
    pub(super) fn refine(&self) -> Result<Refined, TrainError> {
        let n_scores = self.labels.len() * self.offsets.len();
        let n_choosing = if n_scores > MANY_SCORES { FEW_GROUPS } else { usize::MAX };
        let n_choosing = n_choosing.min(self.groups.len());
        let first = self.without(0).with_each(&RIDGES, Trial::got_worse)?;
        let ridges = RIDGES.get(..first.len()).unwrap_or_default();
        let mut chains = vec![first];
        for group in 1..n_choosing {
            chains.push(self.without(group).with_each(ridges, |_| false)?);
        }
        let loss = |at: usize| chains.iter().filter_map(|of| of.get(at)).map(|t| t.loss).sum();
        let losses = ridges.iter().zip(0..).map(|(ridge, at)| (*ridge, at, loss(at)));
        let best = losses.min_by(|a: &(_, _, f64), b| a.2.total_cmp(&b.2));
        let (ridge, best, _) = best.unwrap_or((RIDGES[0], 0, 0.0));
        let mut fits: Vec<Trial> =
            chains.into_iter().filter_map(|of| of.into_iter().nth(best)).collect();
        for group in n_choosing..self.groups.len() {
            fits.extend(self.without(group).with_each(&[ridge], |_| false)?);
        }
        Ok(self.mean(ridge, fits))
    }

    /// The mean of the weights, and the scores of all examples.
    fn mean(&self, ridge: f64, fits: Vec<Trial>) -> Refined {
        let n_labels = self.offsets.len();
        let share = real(fits.len().max(1)).recip();
        let mut scores: Vec<f32> = self.observer.zeros(self.labels.len() * n_labels);
        let features = self.observer.zeros(self.rows.n_features());
        let mut weights = Weights { features, offsets: vec![0.0; n_labels] };
        for fit in self.observer.wanted(fits) {
            weights.add_scaled(&fit.weights, share);
            for (example, row) in self.observer.wanted(fit.scores.iter().flat_map(PartScores::rows))
            {
                let mean = row.iter().map(|s| f64::from(*s)).sum::<f64>() / real(n_labels);
                let slots = scores.get_mut(example * n_labels..(example + 1) * n_labels);
                let centred = row.iter().map(|score| centre(*score, mean));
                slots.unwrap_or_default().iter_mut().zip(centred).for_each(|(slot, s)| *slot = s);
            }
        }
        Refined { ridge, weights, scores }
    }

    pub(super) fn initial(&self) -> Weights {
        let features = self.observer.gather(repeat_n(1.0, self.rows.n_features()));
        Weights { features, offsets: self.offsets.to_vec() }
    }

    /// Prepares a fit without one group.
    fn without(&self, group: usize) -> Fit<'_> {
        let left_out = self.groups.get(group).map_or(&[][..], Vec::as_slice);
        let outside: Vec<usize> = members(self.folds, left_out);
        let inside: Vec<_> = (0..self.folds.len()).filter(|f| !left_out.contains(f)).collect();
        let parts = inside.par_iter().map(|fold| self.part(*fold, &outside)).collect();
        let left_out = left_out.par_iter().map(|fold| self.part(*fold, &[])).collect();
        Fit { problem: self, parts, left_out }
    }

    /// A fold with tables that counted neither it nor some other examples.
    fn part(&self, fold: usize, others: &[usize]) -> Part {
        let examples = self.folds.get(fold).cloned().unwrap_or_default();
        Part { table: self.rows.table_without([others, &examples]), examples }
    }
}

/// The examples of some folds.
pub(super) fn members(folds: &[Vec<usize>], chosen: &[usize]) -> Vec<usize> {
    chosen.iter().filter_map(|f| folds.get(*f)).flatten().copied().collect()
}

impl Problem<'_> {
    /// The log loss of an example with these scores.
    pub(super) fn loss_of(&self, example: usize, scores: &[f32]) -> f64 {
        let of_right = scores.get(self.label(example)).copied().unwrap_or_default();
        softmax(&mut scores.to_vec()) - f64::from(of_right)
    }

    pub(super) fn label(&self, example: usize) -> usize {
        self.labels.get(example).copied().unwrap_or_default().into()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "scores are computed in single precision")]
fn centre(score: f32, mean: f64) -> f32 {
    (f64::from(score) - mean) as f32
}
