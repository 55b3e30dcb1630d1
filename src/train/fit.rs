//! One fit of the features' weights, without a group of folds.

use rayon::prelude::*;

use super::TrainError;
use super::minimise::{Limits, Start, minimise};
use super::refine::{Problem, Weights};
use super::rows::LogTable;
use super::weigh::real;
use crate::simd::{softmax, widest};

/// Most steps of the search for one strength.
const MAX_STEPS: usize = 12;
/// Strength of the ridge that holds the offsets to those of the pool.
const OFFSET_RIDGE: f64 = 1e-3;
/// Parts of the examples whose gradients are added up by themselves, then in their order, so that
/// the number of threads does not change the result.
const N_PARTS: usize = 8;

/// Examples and the tables that did not count them.
pub(super) struct Part {
    pub(super) table: LogTable,
    pub(super) examples: Vec<usize>,
}

/// What a fit with one ridge gave.
pub(super) struct Trial {
    pub(super) weights: Weights,
    /// Log loss of the examples left out, summed.
    pub(super) loss: f64,
    /// The scores of the examples left out, part by part: in large pieces, which are soon given back.
    pub(super) scores: Vec<PartScores>,
}

/// The scores of some examples.
pub(super) struct PartScores {
    examples: Vec<usize>,
    /// `examples × n_labels`.
    scores: Vec<f32>,
    n_labels: usize,
}

impl PartScores {
    /// Each example with its scores.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.examples.iter().copied().zip(self.scores.chunks_exact(self.n_labels.max(1)))
    }
}

impl Trial {
    /// Whether the examples left out got less likely with the last of some trials.
    pub(super) fn got_worse(trials: &[Self]) -> bool {
        matches!(trials, [.., before, last] if last.loss >= before.loss)
    }
}

/// One fit.
pub(super) struct Fit<'a> {
    pub(super) problem: &'a Problem<'a>,
    /// The folds it is fitted to.
    pub(super) parts: Vec<Part>,
    /// The folds that are left out.
    pub(super) left_out: Vec<Part>,
}

impl Fit<'_> {
    /// Fits with one ridge after the other, strongest first, until these are enough.
    pub(super) fn with_each(
        &self,
        ridges: &[f64],
        are_enough: impl Fn(&[Trial]) -> bool,
    ) -> Result<Vec<Trial>, TrainError> {
        let mut trials: Vec<Trial> = Vec::new();
        for ridge in ridges {
            trials.push(self.with(*ridge, trials.last())?);
            if are_enough(&trials) {
                break;
            }
        }
        Ok(trials)
    }

    /// Fits with one ridge, from where the fit with a stronger one ended.
    fn with(&self, ridge: f64, stronger: Option<&Trial>) -> Result<Trial, TrainError> {
        self.problem.observer.check()?;
        let start = stronger.map_or_else(|| self.problem.initial(), |t| t.weights.clone());
        let weights = self.weights(start, ridge);
        let scores = self.scores_of_left_out(&weights);
        let rows = scores.iter().flat_map(PartScores::rows);
        let loss = self
            .problem
            .observer
            .wanted(rows)
            .map(|(example, z)| self.problem.loss_of(example, z))
            .sum();
        Ok(Trial { weights, loss, scores })
    }

    fn weights(&self, start: Weights, ridge: f64) -> Weights {
        let n_features = start.features.len();
        let n = real(self.parts.iter().map(|p| p.examples.len()).sum());
        let scales = self.scales(&start, ridge / n, n);
        let mut arguments = start.features;
        arguments.extend(start.offsets);
        let start = Start { arguments, n_bounded: n_features, scales };
        let limits = Limits { max_steps: MAX_STEPS, gradient: 1e-7, improvement: 1e-4 };
        let minimum = minimise(start, limits, self.problem.observer, |arguments, gradient| {
            self.loss(arguments, ridge / n, gradient)
        });
        let mut features = minimum.arguments;
        let offsets = features.split_off(n_features);
        Weights { features, offsets }
    }

    /// A guess of 1 / curvature for every argument.
    fn scales(&self, start: &Weights, ridge: f64, n: f64) -> Vec<f64> {
        let rows = self.problem.rows;
        let weights = self.single(&start.features);
        let n_arguments = start.features.len() + start.offsets.len();
        let (_, curvatures) = self.sum_parts(
            n_arguments,
            #[inline(always)]
            |part, sums| {
                for example in self.problem.observer.wanted(&part.examples) {
                    let mut z = rows.score(&part.table, *example, &weights, &start.offsets);
                    softmax(&mut z);
                    rows.add_curvature(&part.table, *example, &z, sums);
                }
                0.0
            },
        );
        let scale = |(c, ridge): (f64, f64)| (c / n + 2.0 * ridge).recip();
        self.problem.observer.gather(curvatures.into_iter().zip(self.ridges(ridge)).map(scale))
    }

    /// Strengths of the ridges, one an argument.
    fn ridges(&self, ridge: f64) -> impl Iterator<Item = f64> {
        let of_features = self.problem.ridges.iter().map(move |relative| ridge * relative);
        of_features.chain(std::iter::repeat(OFFSET_RIDGE))
    }

    /// Mean log loss with the ridges, and its gradient.
    fn loss(&self, arguments: &[f64], ridge: f64, gradient: &mut [f64]) -> f64 {
        let rows = self.problem.rows;
        let (features, offsets) = arguments.split_at(rows.n_features());
        let weights = self.single(features);
        let (loss, sums) = self.sum_parts(
            arguments.len(),
            #[inline(always)]
            |part, sums| {
                let mut loss = 0.0;
                for example in self.problem.observer.wanted(&part.examples) {
                    let mut z = rows.score(&part.table, *example, &weights, offsets);
                    let right = self.problem.label(*example);
                    let of_right = z.get(right).copied().unwrap_or_default();
                    let log_total = softmax(&mut z);
                    loss += log_total - f64::from(of_right);
                    if let Some(z) = z.get_mut(right) {
                        *z -= 1.0;
                    }
                    rows.add_gradient(&part.table, *example, &z, sums);
                }
                loss
            },
        );
        let n = real(self.parts.iter().map(|p| p.examples.len()).sum());
        let starts = std::iter::repeat_n(&1.0, features.len()).chain(self.problem.offsets);
        let shifts = arguments.iter().zip(starts).map(|(argument, start)| argument - start);
        let gradient = gradient.iter_mut().zip(sums);
        let mut penalty = 0.0;
        self.problem.observer.for_each(
            gradient.zip(shifts).zip(self.ridges(ridge)),
            |(((g, sum), shift), ridge)| {
                *g = sum / n + 2.0 * ridge * shift;
                penalty += ridge * shift * shift;
            },
        );
        loss / n + penalty
    }

    /// Lets `add` add up each part, then adds the parts up in their order.
    fn sum_parts(
        &self,
        n_arguments: usize,
        add: impl Fn(&Part, &mut [f32]) -> f64 + Sync,
    ) -> (f64, Vec<f64>) {
        let per_chunk = self.parts.len().div_ceil(N_PARTS).max(1);
        let sums: Vec<(f64, Vec<f32>)> = self
            .parts
            .par_chunks(per_chunk)
            .take_any_while(|_| !self.problem.observer.is_cancelled())
            .map(|parts| {
                let mut sums = self.problem.observer.zeros(n_arguments);
                let loss = widest(
                    #[inline(always)]
                    || {
                        let mut loss = 0.0;
                        for part in parts {
                            loss += add(part, &mut sums);
                        }
                        loss
                    },
                );
                (loss, sums)
            })
            .collect();
        let observer = self.problem.observer;
        let mut total = (0.0, observer.zeros(n_arguments));
        for (loss, sums) in sums {
            total.0 += loss;
            observer.for_each(total.1.iter_mut().zip(sums), |(t, s): (&mut f64, _)| {
                *t += f64::from(s);
            });
        }
        total
    }

    fn scores_of_left_out(&self, weights: &Weights) -> Vec<PartScores> {
        let features = self.single(&weights.features);
        let rows = self.problem.rows;
        let n_labels = weights.offsets.len();
        let of_part = |part: &Part| {
            let Part { table, examples } = part;
            let mut scores = Vec::with_capacity(examples.len() * n_labels);
            for example in self.problem.observer.wanted(examples) {
                scores.extend(rows.score(table, *example, &features, &weights.offsets));
            }
            PartScores { examples: examples.clone(), scores, n_labels }
        };
        self.left_out.par_iter().map(of_part).collect()
    }

    #[allow(clippy::cast_possible_truncation, reason = "scores are computed in single precision")]
    fn single(&self, values: &[f64]) -> Vec<f32> {
        self.problem.observer.gather(values.iter().map(|v| *v as f32))
    }
}
