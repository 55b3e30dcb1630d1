//! Chooses smoothing and weighting by out-of-fold log loss.

use rayon::prelude::*;

use super::counts::Matrix;
use super::lanes::Lanes;
use super::out_of_fold::{Scored, View};
use super::pool::{Pool, Scores};
use super::weigh::{Pattern, Weighed, real};
use super::{Observer, Settings, TrainError};
use crate::features;
use crate::model::Weighting;
use crate::simd::{LANES, widest};

/// Examples whose sums are added up by themselves, then in their order, so that the number of threads
/// does not change the result.
const CHUNK: usize = 256;
/// Examples on which smoothings are compared; more would not change the choice.
const N_COMPARED: usize = 4_000;
/// Newton steps to the best exponent of a view.
const EXPONENT_STEPS: usize = 4;

/// What training works on.
pub(super) struct Problem<'a> {
    /// One a view.
    pub(super) matrices: &'a [Matrix],
    /// One a view.
    pub(super) patterns: &'a [Pattern],
    /// `n_examples`.
    pub(super) labels: &'a [u16],
    /// `n_labels`: log of the labels' shares.
    pub(super) priors: &'a [f64],
    /// The examples of each fold.
    pub(super) folds: &'a [Vec<usize>],
    /// May end it all; what is computed from then on is worth nothing.
    pub(super) observer: &'a dyn Observer,
}

/// What was chosen, with the scores it was chosen by.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    pub(super) weighting: Weighting,
    pub(super) views: Vec<SelectedView<'a>>,
    pub(super) pool: Pool,
}

/// One view under the chosen weighting.
#[derive(Debug)]
pub(super) struct SelectedView<'a> {
    pub(super) view: features::View,
    pub(super) weighed: Weighed<'a>,
    pub(super) alpha: f64,
    /// `n_examples × n_labels`, centred out-of-fold scores.
    pub(super) scores: Vec<f32>,
}

impl<'a> Problem<'a> {
    /// Chooses what the settings leave open, by the scores of some examples. Hears of the share that is done.
    pub(super) fn select(
        &self,
        settings: &Settings,
        examples: &[usize],
        progress: &dyn Fn(f64),
    ) -> Result<Selection<'a>, TrainError> {
        let weightings = match settings.weighting {
            Some(weighting) => vec![weighting],
            // Other weightings depend on all rows at once.
            None if self.patterns.iter().any(|pattern| pattern.whole.is_some()) => {
                vec![Weighting::Presence]
            }
            None => vec![Weighting::Presence, Weighting::Idf],
        };
        let steps = real(weightings.len() * (self.matrices.len() + 1));
        let mut done = 0.0;
        let mut best: Option<Selection<'a>> = None;
        for weighting in weightings {
            let mut views = Vec::new();
            for (matrix, pattern) in self.matrices.iter().zip(self.patterns) {
                progress(done / steps);
                self.observer.check()?;
                let weighed = Weighed::new(matrix, weighting, self.observer);
                views.push(self.select_alpha(weighed, pattern, &settings.alphas, examples));
                done += 1.0;
            }
            let pool = self.scores(&views).fit_anew(examples);
            done += 1.0;
            if best.as_ref().is_none_or(|best| pool.loss < best.pool.loss) {
                best = Some(Selection { weighting, views, pool });
            }
        }
        best.map(|best| self.drop_idle_lead(best, examples)).ok_or(TrainError::Cancelled)
    }

    /// The out-of-fold scores of chosen views, for pooling.
    pub(super) fn scores<'b>(&'b self, views: &'b [SelectedView<'_>]) -> Scores<'b> {
        Scores {
            views: views.iter().map(|v| v.scores.as_slice()).collect(),
            labels: self.labels,
            priors: self.priors,
            observer: self.observer,
        }
    }

    fn select_alpha(
        &self,
        weighed: Weighed<'a>,
        pattern: &Pattern,
        alphas: &[f64],
        examples: &[usize],
    ) -> SelectedView<'a> {
        let view = View::new(&weighed, pattern, self.priors.len(), self.observer);
        let mut best = (f64::INFINITY, alphas.first().copied().unwrap_or(1.0));
        if alphas.len() > 1 {
            for group in alphas.chunks(LANES) {
                for (alpha, loss) in group.iter().zip(self.losses(&view, group, examples)) {
                    if loss < best.0 {
                        best = (loss, *alpha);
                    }
                }
            }
        }
        let scores = self.all_scores(&view, best.1);
        SelectedView { view: weighed.matrix.view, weighed, alpha: best.1, scores }
    }

    /// The log loss of a view alone on some examples under each smoothing, at its best exponent.
    fn losses(&self, view: &View<'_>, alphas: &[f64], examples: &[usize]) -> Vec<f64> {
        let last = alphas.last().copied().unwrap_or(1.0);
        let lanes: [f64; LANES] = std::array::from_fn(|l| alphas.get(l).copied().unwrap_or(last));
        let mut is_compared = vec![false; self.labels.len()];
        for example in examples.iter().step_by(examples.len().div_ceil(N_COMPARED).max(1)) {
            if let Some(is_compared) = is_compared.get_mut(*example) {
                *is_compared = true;
            }
        }
        let wanted = |example| is_compared.get(example).is_some_and(|is: &bool| *is);
        let scored = view.scores(lanes, self.folds, wanted);
        self.losses_at_best_exponents(&scored).into_iter().take(alphas.len()).collect()
    }

    /// Minimises the loss of `softmax(exponent · score + prior)` over the exponent, for every smoothing;
    /// convex.
    fn losses_at_best_exponents(&self, scored: &Scored<LANES>) -> [f64; LANES] {
        let mut exponents = [0.2; LANES];
        let mut best = [f64::INFINITY; LANES];
        for _ in 0..EXPONENT_STEPS {
            let sums = self.sums_at(scored, &exponents);
            for (lane, best) in best.iter_mut().enumerate() {
                let [loss, slope, curvature] =
                    sums.map(|sums: [f64; LANES]| sums.get(lane).copied().unwrap_or_default());
                *best = loss.min(*best);
                if let Some(exponent) = exponents.get_mut(lane).filter(|_| curvature > 0.0) {
                    let next = *exponent - slope / curvature;
                    *exponent = next.clamp(*exponent / 4.0, *exponent * 4.0);
                }
            }
        }
        best
    }

    /// Sums of the losses and of their first and second derivatives by the exponents.
    fn sums_at(&self, scored: &Scored<LANES>, exponents: &[f64; LANES]) -> [[f64; LANES]; 3] {
        #[allow(clippy::cast_possible_truncation, reason = "scores are kept in single precision")]
        let single = |value: &f64| *value as f32;
        let priors: Vec<f32> = self.priors.iter().map(single).collect();
        let exponents = exponents.map(|exponent| single(&exponent));
        let parts: Vec<_> = scored
            .chunks(CHUNK)
            .take_any_while(|_| !self.observer.is_cancelled())
            .map(|chunk| {
                widest(
                    #[inline(always)]
                    || {
                        let mut lanes = Lanes::new(&priors, &exponents);
                        for (example, scores) in chunk {
                            let right = self.labels.get(example).copied().unwrap_or_default();
                            lanes.add(scores, right.into());
                        }
                        lanes.sums
                    },
                )
            })
            .collect();
        let mut total = [[0.0; LANES]; 3];
        for part in parts {
            for (total, part) in total.iter_mut().flatten().zip(part.iter().flatten()) {
                *total += part;
            }
        }
        total
    }

    fn all_scores(&self, view: &View<'_>, alpha: f64) -> Vec<f32> {
        let n_labels = self.priors.len();
        let mut scores = vec![0.0; self.labels.len() * n_labels];
        let scored = view.scores([alpha], self.folds, |_| true);
        for (example, row) in self.observer.wanted(scored.rows()) {
            let start = example * n_labels;
            let slots = scores.get_mut(start..start + n_labels).unwrap_or_default();
            slots.iter_mut().zip(row).for_each(|(slot, [score])| *slot = *score);
        }
        scores
    }
}
