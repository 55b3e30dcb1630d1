//! Two finished estimates, the pooled one and the refined one: each is judged on examples that did
//! not shape it, and the better one is published.

use super::evaluate::Judged;
use super::pool::{Pool, Scores, log_softmax};
use super::refine::{self, Weights, members};
use super::rows::{Rows, UsedView};
use super::select::{Problem, SelectedView, Selection};
use super::weigh::{Pattern, real};
use super::{TrainError, out_of_fold};

/// Groups of folds that are left out together to judge.
const N_GROUPS: usize = 4;

/// Strengths of the pool's ridge to choose from where examples are few.
const STRENGTHS: [f64; 4] = [1.0, 4.0, 16.0, 64.0];
/// From so many examples on the weakest ridge is taken: it no longer matters.
const MANY_EXAMPLES: usize = 2_000;
/// How far apart scores are at least, in nats (their root mean square), where examples are too few to
/// vouch for any view. Enough to tell which label is the likelier one, and too little to claim much.
const UNVOUCHED_SPREAD: f64 = 0.2;

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
    pub(super) fn or_better(self, other: Self) -> Self {
        if other.loss() < self.loss() { other } else { self }
    }

    fn loss(&self) -> f64 {
        self.judged.iter().map(|j| j.loss).sum::<f64>() / real(self.judged.len().max(1))
    }
}

impl Problem<'_> {
    /// Weighs the views. Where examples are few, the ridge is as strong as makes those judged likeliest:
    /// how much so little can vouch for depends on the data.
    pub(super) fn pool(&self, selection: &Selection<'_>) -> Outcome {
        let scores = self.scores(&selection.views);
        let mut best = self.calibrate(&scores, selection.pool.clone());
        if self.labels.len() < MANY_EXAMPLES {
            let all: Vec<usize> = (0..self.labels.len()).collect();
            for strength in STRENGTHS {
                let pool = scores.fit(&all, &Pool { strength, ..selection.pool.clone() });
                best = best.or_better(self.calibrate(&scores, pool));
            }
        }
        self.told_apart(&scores, best)
    }

    /// Where examples are few, lets scores tell labels apart at least a little, though held-out examples
    /// speak against it: of a handful each counts against its own label when it is left out.
    fn told_apart(&self, scores: &Scores<'_>, mut outcome: Outcome) -> Outcome {
        if self.labels.len() >= MANY_EXAMPLES {
            return outcome;
        }
        let all: Vec<usize> = (0..self.labels.len()).collect();
        if let Some(weights) = scores.spread_out(&all, &outcome.pool.weights, UNVOUCHED_SPREAD) {
            outcome.pool.weights = weights;
            outcome.judged =
                all.iter().map(|example| self.judge(scores, *example, &outcome.pool)).collect();
        }
        outcome
    }

    /// Judges an example by scores that did not count its fold.
    fn judge(&self, scores: &Scores<'_>, example: usize, pool: &Pool) -> Judged {
        let mut z = vec![0.0; self.priors.len()];
        scores.pooled(example, &pool.weights, &pool.offsets, &mut z);
        log_softmax(&mut z);
        z.iter_mut().for_each(|z| *z = z.exp());
        let right = self.labels.get(example).copied().unwrap_or_default();
        Judged::new(&z, Some(right.into()))
    }

    /// Judges scores that were made without the example's fold, with weights and offsets fitted anew
    /// without each group of folds.
    pub(super) fn calibrate(&self, scores: &Scores<'_>, pool: Pool) -> Outcome {
        let groups = self.groups();
        let mut judged = Vec::with_capacity(self.labels.len());
        for (group, folds) in groups.iter().enumerate() {
            let others = groups.iter().enumerate().filter(|(g, _)| *g != group);
            let outside: Vec<usize> =
                others.flat_map(|(_, folds)| members(self.folds, folds)).collect();
            let fitted = scores.fit(&outside, &pool);
            for example in self.observer.wanted(members(self.folds, folds)) {
                judged.push((example, self.judge(scores, example, &fitted)));
            }
        }
        judged.sort_unstable_by_key(|(example, _)| *example);
        let judged = judged.into_iter().map(|(_, judged)| judged).collect();
        Outcome { pool, refined: None, judged }
    }

    /// Fits every feature's own weight and calibrates the result. `None` where no view is in use.
    pub(super) fn refine(&self, selection: &Selection<'_>) -> Result<Option<Outcome>, TrainError> {
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
        let outcome = self.told_apart(&scores, self.calibrate(&scores, pool));
        Ok(Some(Outcome { refined: Some((refined.ridge, refined.weights)), ..outcome }))
    }

    fn view<'b>(
        &'b self,
        selected: &'b SelectedView<'_>,
        pattern: &'b Pattern,
    ) -> out_of_fold::View<'b> {
        out_of_fold::View::new(&selected.weighed, pattern, self.priors.len(), self.observer)
    }

    fn groups(&self) -> Vec<Vec<usize>> {
        let n_groups = N_GROUPS.min(self.folds.len());
        (0..n_groups).map(|g| (g..self.folds.len()).step_by(n_groups).collect()).collect()
    }
}
