//! Two finished estimates, the pooled one and the refined one: each is judged on examples that did
//! not shape it, and the better one is published.

use super::evaluate::Judged;
use super::few::FEW_EXAMPLES;
use super::pool::{Pool, Scores, log_softmax};
use super::refine::{self, Weights, members};
use super::rows::{Rows, UsedView};
use super::select::{Problem, SelectedView, Selection};
use super::weigh::{Pattern, real};
use super::{Settings, TrainError, out_of_fold};

/// Groups of folds that are left out together to judge.
const N_GROUPS: usize = 4;

/// One way to finish a model, with an honest judgement.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Weights of the scores and offsets: of the views, or of the refined score alone.
    pub(super) pool: Pool,
    /// The features' own weights with the strength of their ridge; `None` where each has its view's.
    pub(super) refined: Option<(f64, Weights)>,
    /// Every example, judged by tables and weights that did not see its fold.
    pub(super) judged: Vec<Judged>,
}

impl Outcome {
    /// Returns the one with the lower log loss, this one if they are level.
    fn or_better(self, other: Self) -> Self {
        if other.loss() < self.loss() { other } else { self }
    }

    fn loss(&self) -> f64 {
        self.judged.iter().map(|j| j.loss).sum::<f64>() / real(self.judged.len().max(1))
    }
}

impl Problem<'_> {
    /// Weighs the views, gives every feature a weight of its own where that is better, and puts the views'
    /// weights into the selection.
    pub(super) fn finish(
        &self,
        settings: &Settings,
        selection: &mut Selection<'_>,
    ) -> Result<Outcome, TrainError> {
        if self.labels.len() < FEW_EXAMPLES {
            let outcome = self.finish_few(settings, selection)?;
            selection.pool = outcome.pool.clone();
            return Ok(outcome);
        }
        let pooled = self.calibrate(&self.scores(&selection.views), selection.pool.clone());
        let refined = if settings.refinement { self.refine(selection)? } else { None };
        Ok(match refined {
            Some(refined) => pooled.or_better(refined),
            None => pooled,
        })
    }

    /// Judges an example by scores that did not count its fold.
    pub(super) fn judge(&self, scores: &Scores<'_>, example: usize, pool: &Pool) -> Judged {
        let mut z = vec![0.0; self.priors.len()];
        scores.pooled(example, &pool.weights, &pool.offsets, &mut z);
        log_softmax(&mut z);
        z.iter_mut().for_each(|z| *z = z.exp());
        let right = self.labels.get(example).copied().unwrap_or_default();
        Judged::new(&z, Some(right.into()))
    }

    /// Judges scores that were made without the example's fold, with weights and offsets fitted anew
    /// without each group of folds.
    fn calibrate(&self, scores: &Scores<'_>, pool: Pool) -> Outcome {
        let mut judged = Vec::with_capacity(self.labels.len());
        for [inside, outside] in self.groups_and_others() {
            let fitted = scores.fit(&outside, &pool);
            for example in self.observer.wanted(inside) {
                judged.push((example, self.judge(scores, example, &fitted)));
            }
        }
        judged.sort_unstable_by_key(|(example, _)| *example);
        let judged = judged.into_iter().map(|(_, judged)| judged).collect();
        Outcome { pool, refined: None, judged }
    }

    /// Fits every feature's own weight and calibrates the result. `None` where no view is in use.
    fn refine(&self, selection: &Selection<'_>) -> Result<Option<Outcome>, TrainError> {
        self.observer.check()?;
        let used = selection.views.iter().zip(self.patterns).zip(&selection.pool.weights);
        let views: Vec<_> = used
            .filter(|(_, weight)| **weight > 0.0)
            .map(|((selected, pattern), weight)| UsedView {
                view: self.view(selected, pattern),
                alpha: selected.alpha,
                weight: *weight,
            })
            .collect();
        if views.is_empty() {
            return Ok(None);
        }
        let rows = Rows::new(views, self.priors.len(), self.observer);
        let problem = refine::Problem {
            observer: self.observer,
            rows: &rows,
            labels: self.labels,
            folds: self.folds,
            groups: &self.groups(),
            offsets: &selection.pool.offsets,
            ridges: &rows.relative_squares(),
        };
        let refined = problem.refine()?;
        // The refined score holds the offsets already: its calibration starts from none.
        let no_priors = vec![0.0; self.priors.len()];
        let views = vec![refined.scores.as_slice()];
        let scores =
            Scores { views, labels: self.labels, priors: &no_priors, observer: self.observer };
        let weights = vec![1.0];
        let start = Pool { weights, offsets: no_priors.clone(), ..selection.pool.clone() };
        let all: Vec<usize> = (0..self.labels.len()).collect();
        let pool = scores.fit(&all, &start);
        let outcome = self.calibrate(&scores, pool);
        Ok(Some(Outcome { refined: Some((refined.ridge, refined.weights)), ..outcome }))
    }

    fn view<'b>(
        &'b self,
        selected: &'b SelectedView<'_>,
        pattern: &'b Pattern,
    ) -> out_of_fold::View<'b> {
        out_of_fold::View::new(&selected.weighed, pattern, self.priors.len(), self.observer)
    }

    /// The examples of each group of folds, and those of all others.
    pub(super) fn groups_and_others(&self) -> Vec<[Vec<usize>; 2]> {
        let groups = self.groups();
        let examples = |at: usize| {
            let others = groups.iter().enumerate().filter(|(other, _)| *other != at);
            let others: Vec<usize> = others.flat_map(|(_, folds)| folds).copied().collect();
            let inside = groups.get(at).map_or(&[][..], Vec::as_slice);
            [inside, &others].map(|folds| members(self.folds, folds))
        };
        (0..groups.len()).map(examples).collect()
    }

    fn groups(&self) -> Vec<Vec<usize>> {
        let n_groups = N_GROUPS.min(self.folds.len());
        (0..n_groups).map(|g| (g..self.folds.len()).step_by(n_groups).collect()).collect()
    }
}
