//! Weighs the views: the probability of a label is proportional to
//! `exp(offset[label] + Σ over views of weight[view] · score[view][label])`, weights at least 0, fitted to out-of-fold scores by minimising log loss. Convex, a handful of
//! parameters; it is also the calibration.

use rayon::prelude::*;

use super::Observer;
use super::minimise::{Limits, Start, minimise};
use super::weigh::real;
use crate::simd::{add_scaled, dot, softmax, widest};

/// Examples whose part of the sum is added up before the parts are, in their order, so that the
/// number of threads does not change the result.
const CHUNK: usize = 128;
/// Strength of the ridge that holds the offsets to the log priors.
const OFFSET_RIDGE: f64 = 1e-3;
/// Strength of the ridges that hold back weights and offsets, for the loss summed over all examples: it
/// matters only where there are few, which cannot vouch for much.
const SMALL_DATA_RIDGE: f64 = 1.0;
/// Where the weights start, summed over the views.
const START_WEIGHT: f64 = 0.3;

/// Out-of-fold scores of some examples under several views.
pub(super) struct Scores<'a> {
    /// One a view: `n_examples × n_labels`, centred over the labels.
    pub(super) views: Vec<&'a [f32]>,
    /// `n_examples`: the right labels.
    pub(super) labels: &'a [u16],
    /// `n_labels`: log priors.
    pub(super) priors: &'a [f64],
    /// Fits end early once it has cancelled.
    pub(super) observer: &'a dyn Observer,
}

/// Weights and offsets.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    /// One a view, at least 0.
    pub(super) weights: Vec<f64>,
    /// One a label.
    pub(super) offsets: Vec<f64>,
    /// Mean negative log probability of the right labels, in nats, with the ridge.
    pub(super) loss: f64,
    /// Strength of the ridges it was fitted with, in units of the weakest.
    pub(super) strength: f64,
}

impl Scores<'_> {
    /// Fits weights and offsets to the chosen examples.
    pub(super) fn fit_anew(&self, examples: &[usize]) -> Pool {
        let n_views = self.views.len();
        let weights = vec![START_WEIGHT / real(n_views); n_views];
        let offsets = self.priors.to_vec();
        self.fit(examples, &Pool { weights, offsets, loss: f64::INFINITY, strength: 1.0 })
    }

    /// Fits weights and offsets to the chosen examples, from an earlier pool and with the strength of
    /// its ridges.
    pub(super) fn fit(&self, examples: &[usize], start: &Pool) -> Pool {
        let (n_views, strength) = (self.views.len(), start.strength);
        let shifts = start.offsets.iter().zip(self.priors).map(|(o, p)| o - p);
        let arguments = start.weights.iter().copied().chain(shifts).collect();
        let ridges = self.ridges(examples, strength);
        let limits = Limits { max_steps: 100, gradient: 2e-5, improvement: 2e-7 };
        let scales = self.scales(examples, &ridges);
        let start = Start { arguments, n_bounded: n_views, scales };
        let minimum = minimise(start, limits, self.observer, |arguments, gradient| {
            self.loss(examples, &ridges, arguments, gradient)
        });
        let (weights, shifts) = minimum.arguments.split_at(n_views);
        Pool {
            weights: weights.to_vec(),
            offsets: shifts.iter().zip(self.priors).map(|(s, p)| s + p).collect(),
            loss: minimum.value,
            strength,
        }
    }

    /// Strengths of the ridges, one an argument. A weight counts by what it does to the scores: times
    /// their mean square.
    fn ridges(&self, examples: &[usize], strength: f64) -> Vec<f64> {
        let small = strength * SMALL_DATA_RIDGE / real(examples.len().max(1));
        let of_weights = (0..self.views.len()).map(|view| small * self.mean_square(examples, view));
        let of_offsets = std::iter::repeat_n(OFFSET_RIDGE + small, self.priors.len());
        of_weights.chain(of_offsets).collect()
    }

    /// A guess of 1 / curvature, one an argument: what the variance of a score or of a label would be
    /// if labels were equally frequent.
    fn scales(&self, examples: &[usize], ridges: &[f64]) -> Vec<f64> {
        let of_weights = (0..self.views.len()).map(|view| self.mean_square(examples, view));
        let share = real(self.priors.len()).recip();
        let of_offsets = self.priors.iter().map(|_| share * (1.0 - share));
        let curvatures = of_weights.chain(of_offsets).zip(ridges);
        curvatures.map(|(c, ridge)| (0.5 * c + 2.0 * ridge).max(1e-9).recip()).collect()
    }

    /// Adds to each weight what makes the scores so far apart (the root mean square of each view's, added
    /// up); `None` where they are already.
    pub(super) fn spread_out(
        &self,
        examples: &[usize],
        weights: &[f64],
        spread: f64,
    ) -> Option<Vec<f64>> {
        let spreads: Vec<f64> =
            (0..weights.len()).map(|view| self.mean_square(examples, view).sqrt()).collect();
        let present: f64 = weights.iter().zip(&spreads).map(|(w, s)| w * s).sum();
        let told = spreads.iter().filter(|s| **s > 0.0).count();
        if present >= spread || told == 0 {
            return None;
        }
        let missing = (spread - present) / real(told);
        let weight = |(w, s): (&f64, &f64)| if *s > 0.0 { w + missing / s } else { *w };
        Some(weights.iter().zip(&spreads).map(weight).collect())
    }

    fn mean_square(&self, examples: &[usize], view: usize) -> f64 {
        let square =
            |e: &usize| self.row(view, *e).iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        let n_scores = real((examples.len() * self.priors.len()).max(1));
        self.observer.wanted(examples).map(square).sum::<f64>() / n_scores
    }

    /// Mean log loss with the ridges; `arguments` are the weights, then the offsets less the priors.
    fn loss(
        &self,
        examples: &[usize],
        ridges: &[f64],
        arguments: &[f64],
        gradient: &mut [f64],
    ) -> f64 {
        let n_views = self.views.len();
        let (weights, shifts) = arguments.split_at(n_views);
        let offsets: Vec<f64> = shifts.iter().zip(self.priors).map(|(s, p)| s + p).collect();
        let parts: Vec<(f64, Vec<f64>)> = examples
            .par_chunks(CHUNK)
            .take_any_while(|_| !self.observer.is_cancelled())
            .map(|chunk| {
                widest(
                    #[inline(always)]
                    || self.part_of_loss(chunk, weights, &offsets),
                )
            })
            .collect();
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (part, part_gradient) in parts {
            loss += part;
            gradient.iter_mut().zip(part_gradient).for_each(|(sum, part)| *sum += part);
        }
        let n = real(examples.len().max(1));
        gradient.iter_mut().for_each(|g| *g /= n);
        let mut penalty = 0.0;
        for ((gradient, argument), ridge) in gradient.iter_mut().zip(arguments).zip(ridges) {
            *gradient += 2.0 * ridge * argument;
            penalty += ridge * argument * argument;
        }
        loss / n + penalty
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "scores are kept in single precision")]
    fn part_of_loss(
        &self,
        examples: &[usize],
        weights: &[f64],
        offsets: &[f64],
    ) -> (f64, Vec<f64>) {
        let n_views = weights.len();
        let weights: Vec<f32> = weights.iter().map(|w| *w as f32).collect();
        let offsets: Vec<f32> = offsets.iter().map(|o| *o as f32).collect();
        let mut by_weight = vec![0.0; n_views];
        let mut by_offset = vec![0f32; offsets.len()];
        let mut z = offsets.clone();
        let mut loss = 0.0;
        for &example in examples {
            z.copy_from_slice(&offsets);
            for (view, weight) in weights.iter().enumerate() {
                add_scaled(&mut z, self.row(view, example), *weight);
            }
            let right = self.label(example);
            let of_right = z.get(right).copied().unwrap_or_default();
            loss += softmax(&mut z) - f64::from(of_right);
            // From here on `z` is the gradient by the label scores: probability less the truth.
            if let Some(z) = z.get_mut(right) {
                *z -= 1.0;
            }
            for (view, sum) in by_weight.iter_mut().enumerate() {
                *sum += f64::from(dot(self.row(view, example), &z));
            }
            add_scaled(&mut by_offset, &z, 1.0);
        }
        by_weight.extend(by_offset.into_iter().map(f64::from));
        (loss, by_weight)
    }

    /// Writes the pooled scores of one example.
    pub(super) fn pooled(&self, example: usize, weights: &[f64], offsets: &[f64], z: &mut [f64]) {
        z.copy_from_slice(offsets);
        for (view, weight) in weights.iter().enumerate() {
            let scores = self.row(view, example);
            z.iter_mut().zip(scores).for_each(|(z, s)| *z += weight * f64::from(*s));
        }
    }

    #[inline(always)]
    fn row(&self, view: usize, example: usize) -> &[f32] {
        let n = self.priors.len();
        let scores = self.views.get(view).copied().unwrap_or_default();
        scores.get(example * n..(example + 1) * n).unwrap_or_default()
    }

    fn label(&self, example: usize) -> usize {
        self.labels.get(example).copied().unwrap_or_default().into()
    }
}

/// Turns scores into log probabilities in place.
pub(super) fn log_softmax(z: &mut [f64]) -> &[f64] {
    let highest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_total = z.iter().map(|z| (z - highest).exp()).sum::<f64>().ln() + highest;
    z.iter_mut().for_each(|z| *z -= log_total);
    z
}
