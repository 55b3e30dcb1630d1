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

use rayon::prelude::*;

use super::Observer;
use super::TrainError;
use super::minimise::{Limits, Start, minimise};
use super::rows::{LogTable, Rows};
use super::simd::{softmax, widest};
use super::weigh::real;

/// Strengths of the ridge to choose from, for the loss summed over all examples, strongest first.
const RIDGES: [f64; 4] = [0.3, 0.1, 0.03, 0.01];
/// Most steps of the search for one strength.
const MAX_STEPS: usize = 12;
/// Strength of the ridge that holds the offsets to those of the pool.
const OFFSET_RIDGE: f64 = 1e-3;
/// Parts of the examples whose gradients are added up by themselves, then in their order, so that
/// the number of threads does not change the result.
const N_PARTS: usize = 8;

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
#[derive(Debug)]
pub(super) struct Problem<'a> {
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
    /// Chooses the ridge on the first group, then fits without each group.
    pub(super) fn refine(&self, observer: &dyn Observer) -> Result<Refined, TrainError> {
        let n_labels = self.offsets.len();
        let mut scores = vec![0f32; self.labels.len() * n_labels];
        let mut ridge = None;
        let share = real(self.groups.len()).recip();
        let mut mean =
            Weights { features: vec![0.0; self.rows.n_features()], offsets: vec![0.0; n_labels] };
        for group in 0..self.groups.len() {
            if observer.is_cancelled() {
                return Err(TrainError::Cancelled);
            }
            let fit = self.without(group);
            let weights = match ridge {
                Some(ridge) => fit.weights(self.initial(), ridge),
                None => {
                    let (chosen, weights) = fit.choose_ridge(self.initial());
                    ridge = Some(chosen);
                    weights
                }
            };
            for (example, row) in fit.scores_of_left_out(&weights) {
                let mean = row.iter().map(|s| f64::from(*s)).sum::<f64>() / real(n_labels);
                let slots = scores.get_mut(example * n_labels..(example + 1) * n_labels);
                let centred = row.iter().map(|score| centre(*score, mean));
                slots.unwrap_or_default().iter_mut().zip(centred).for_each(|(slot, s)| *slot = s);
            }
            mean.add_scaled(&weights, share);
        }
        Ok(Refined { ridge: ridge.unwrap_or(1.0), weights: mean, scores })
    }

    fn initial(&self) -> Weights {
        Weights { features: vec![1.0; self.rows.n_features()], offsets: self.offsets.to_vec() }
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

/// Examples and the tables that did not count them.
struct Part {
    table: LogTable,
    examples: Vec<usize>,
}

/// One fit.
struct Fit<'a> {
    problem: &'a Problem<'a>,
    parts: Vec<Part>,
    left_out: Vec<Part>,
}

impl Fit<'_> {
    /// Goes from the strongest ridge to weaker ones for as long as the examples left out get likelier.
    fn choose_ridge(&self, start: Weights) -> (f64, Weights) {
        let mut best = (f64::INFINITY, RIDGES[0], start.clone());
        let mut weights = start;
        for ridge in RIDGES {
            weights = self.weights(weights, ridge);
            let loss = self.loss_of_left_out(&weights);
            if loss >= best.0 {
                break;
            }
            best = (loss, ridge, weights.clone());
        }
        (best.1, best.2)
    }

    fn weights(&self, start: Weights, ridge: f64) -> Weights {
        let n_features = start.features.len();
        let n = real(self.parts.iter().map(|p| p.examples.len()).sum());
        let scales = self.scales(&start, ridge / n, n);
        let mut arguments = start.features;
        arguments.extend(start.offsets);
        let start = Start { arguments, n_bounded: n_features, scales };
        let limits = Limits { max_steps: MAX_STEPS, gradient: 1e-7, improvement: 1e-4 };
        let minimum = minimise(start, limits, |arguments, gradient| {
            self.loss(arguments, ridge / n, gradient)
        });
        let mut features = minimum.arguments;
        let offsets = features.split_off(n_features);
        Weights { features, offsets }
    }

    /// A guess of 1 / curvature for every argument.
    fn scales(&self, start: &Weights, ridge: f64, n: f64) -> Vec<f64> {
        let rows = self.problem.rows;
        let weights = single(&start.features);
        let n_arguments = start.features.len() + start.offsets.len();
        let (_, curvatures) = self.sum_parts(
            n_arguments,
            #[inline(always)]
            |part, sums| {
                for example in &part.examples {
                    let mut z = rows.score(&part.table, *example, &weights, &start.offsets);
                    softmax(&mut z);
                    rows.add_curvature(&part.table, *example, &z, sums);
                }
                0.0
            },
        );
        let scale = |(c, ridge): (&f64, f64)| (c / n + 2.0 * ridge).recip();
        curvatures.iter().zip(self.ridges(ridge)).map(scale).collect()
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
        let weights = single(features);
        let (loss, sums) = self.sum_parts(
            arguments.len(),
            #[inline(always)]
            |part, sums| {
                let mut loss = 0.0;
                for example in &part.examples {
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
        gradient.iter_mut().zip(sums).for_each(|(g, sum)| *g = sum / n);
        let starts = std::iter::repeat_n(&1.0, features.len()).chain(self.problem.offsets);
        let mut penalty = 0.0;
        for (((g, argument), start), ridge) in
            gradient.iter_mut().zip(arguments).zip(starts).zip(self.ridges(ridge))
        {
            let shift = argument - start;
            *g += 2.0 * ridge * shift;
            penalty += ridge * shift * shift;
        }
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
            .map(|parts| {
                let mut sums = vec![0f32; n_arguments];
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
        let mut total = (0.0, vec![0.0; n_arguments]);
        for (loss, sums) in sums {
            total.0 += loss;
            total.1.iter_mut().zip(sums).for_each(|(t, s)| *t += f64::from(s));
        }
        total
    }

    fn scores_of_left_out(&self, weights: &Weights) -> Vec<(usize, Vec<f32>)> {
        let features = single(&weights.features);
        let rows = self.problem.rows;
        let of_part = |part: &Part| -> Vec<_> {
            let Part { table, examples } = part;
            let score = |e: &usize| (*e, rows.score(table, *e, &features, &weights.offsets));
            examples.iter().map(score).collect()
        };
        self.left_out.par_iter().flat_map_iter(of_part).collect()
    }

    fn loss_of_left_out(&self, weights: &Weights) -> f64 {
        let scored = self.scores_of_left_out(weights);
        let n = real(scored.len().max(1));
        let losses = scored.into_iter().map(|(example, mut z)| {
            let of_right = z.get(self.problem.label(example)).copied().unwrap_or_default();
            softmax(&mut z) - f64::from(of_right)
        });
        losses.sum::<f64>() / n
    }
}

impl Problem<'_> {
    fn label(&self, example: usize) -> usize {
        self.labels.get(example).copied().unwrap_or_default().into()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "scores are computed in single precision")]
fn centre(score: f32, mean: f64) -> f32 {
    (f64::from(score) - mean) as f32
}

#[allow(clippy::cast_possible_truncation, reason = "scores are computed in single precision")]
fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}
