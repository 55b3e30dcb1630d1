//! Where examples are few: how much they can vouch for.
//!
//! Of many choices one looks good on few examples by chance. So each group of folds is judged by what was
//! chosen without it, smoothing and weighting as well as weights, under ridges of several strengths. How
//! strongly weights are held back in the end is not picked but averaged: a strength counts by how surely it
//! beats an answer by the labels' shares alone (Yao, Vehtari, Simpson and Gelman 2018, "Using Stacking to Average
//! Bayesian Predictive Distributions", call this pseudo-BMA; here a standard error is taken off). Features get no
//! weights of their own.

use super::calibrate::Outcome;
use super::evaluate::Judged;
use super::pool::{Pool, Scores, log_softmax};
use super::select::{Problem, Selection};
use super::weigh::real;
use super::{Settings, TrainError};

/// From so many examples on the weakest ridge does, and choices look hardly better than they are.
pub(super) const FEW_EXAMPLES: usize = 300;
/// Strengths of the pool's ridge. The last leaves the labels' shares alone.
const STRENGTHS: [f64; 5] = [1.0, 4.0, 16.0, 64.0, 4096.0];
/// How far apart scores are at least, in nats (their root mean square). Of a handful of examples each counts
/// against its own label when it is left out, so that held-out loss may speak against all weights. This is
/// enough to tell which label is the likelier one, and too little to claim anything.
const LEAST_SPREAD: f64 = 0.1;

/// What was chosen without a group of folds.
struct Trial<'a> {
    /// The examples of the group.
    inside: Vec<usize>,
    chosen: Selection<'a>,
    /// Weights and offsets, one a strength.
    pools: Vec<Pool>,
}

impl<'a> Problem<'a> {
    /// Weighs the views as strongly as the examples can vouch for.
    pub(super) fn finish_few(
        &self,
        settings: &Settings,
        selection: &Selection<'_>,
    ) -> Result<Outcome, TrainError> {
        let trials = self.trials(settings)?;
        let mut losses = STRENGTHS.map(|_| Vec::with_capacity(self.labels.len()));
        for trial in &trials {
            for (losses, pool) in losses.iter_mut().zip(&trial.pools) {
                let judged = self.judge_inside(trial, pool);
                losses.extend(judged.iter().map(|(_, judged)| judged.loss));
            }
        }
        let shares = shares_of_strengths(&losses);
        let mut judged: Vec<(usize, Judged)> = Vec::with_capacity(self.labels.len());
        for trial in &trials {
            judged.extend(self.judge_inside(trial, &mean(&trial.pools, &shares)));
        }
        judged.sort_unstable_by_key(|(example, _)| *example);
        let all: Vec<usize> = (0..self.labels.len()).collect();
        let pools = fit_pools(&self.scores(&selection.views), &all, &selection.pool);
        let judged = judged.into_iter().map(|(_, judged)| judged).collect();
        Ok(Outcome { pool: mean(&pools, &shares), refined: None, judged })
    }

    /// Chooses everything without each group.
    fn trials(&self, settings: &Settings) -> Result<Vec<Trial<'a>>, TrainError> {
        let trial = |[inside, outside]: [Vec<usize>; 2]| {
            let chosen = self.select(settings, &outside, &|_| ())?;
            let pools = fit_pools(&self.scores(&chosen.views), &outside, &chosen.pool);
            Ok(Trial { inside, chosen, pools })
        };
        self.groups_and_others().into_iter().map(trial).collect()
    }

    /// Judges the examples of the group.
    fn judge_inside(&self, trial: &Trial<'_>, pool: &Pool) -> Vec<(usize, Judged)> {
        let scores = self.scores(&trial.chosen.views);
        let judge = |example: &usize| (*example, self.judge(&scores, *example, pool));
        trial.inside.iter().map(judge).collect()
    }
}

/// Fits weights and offsets under each strength, so that they tell the labels apart at least a little.
fn fit_pools(scores: &Scores<'_>, examples: &[usize], start: &Pool) -> Vec<Pool> {
    let fit = |strength| {
        let pool = scores.fit(examples, &Pool { strength, ..start.clone() });
        match scores.spread_out(examples, &pool.weights, LEAST_SPREAD) {
            Some(weights) => Pool { weights, ..pool },
            None => pool,
        }
    };
    STRENGTHS.map(fit).into()
}

/// What each strength counts: in proportion to the exponential of what it gains in log probability over all
/// examples against the last, less a standard error of that. `losses` has the examples' losses, a list a
/// strength.
fn shares_of_strengths(losses: &[Vec<f64>]) -> Vec<f64> {
    let alone = losses.last().map_or(&[][..], Vec::as_slice);
    let n = real(alone.len().max(1));
    let evidence = |losses: &Vec<f64>| {
        let gains = || losses.iter().zip(alone).map(|(loss, alone)| alone - loss);
        let mean = gains().sum::<f64>() / n;
        let variance = gains().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        n * mean - (n * variance).sqrt()
    };
    let mut shares: Vec<f64> = losses.iter().map(evidence).collect();
    log_softmax(&mut shares);
    shares.iter_mut().for_each(|share| *share = share.exp());
    shares
}

/// The mean of pools of the same views, each counted by its share.
fn mean(pools: &[Pool], shares: &[f64]) -> Pool {
    let of = |value: &dyn Fn(&Pool) -> f64| -> f64 {
        pools.iter().zip(shares).map(|(pool, share)| share * value(pool)).sum()
    };
    let of_each = |values: &dyn Fn(&Pool) -> &[f64]| -> Vec<f64> {
        let n_values = pools.first().map_or(0, |pool| values(pool).len());
        let at = |at| of(&|pool| values(pool).get(at).copied().unwrap_or_default());
        (0..n_values).map(at).collect()
    };
    Pool {
        weights: of_each(&|pool| &pool.weights),
        offsets: of_each(&|pool| &pool.offsets),
        loss: of(&|pool| pool.loss),
        strength: of(&|pool| pool.strength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strength_counts_by_how_surely_it_beats_the_shares_alone() {
        // Two that win on each of eight examples, one by more; one that wins as often as it loses.
        let losses = [vec![0.2; 8], vec![0.3; 8], [0.1, 1.3].repeat(4), vec![0.7; 8]];
        let shares = shares_of_strengths(&losses);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
        assert!(shares[0] > 0.5 && shares[0] > shares[1] && shares[1] > shares[3], "{shares:?}");
        assert!(shares[2] < shares[3] / 4.0, "{shares:?}");
        // Gains of 4.0, 3.2 and 0 in all, the third with a standard error of 0.6 · sqrt(8 · 8 / 7).
        let weights = [4f64, 3.2, -0.6 * (64f64 / 7.0).sqrt(), 0.0].map(f64::exp);
        let total: f64 = weights.iter().sum();
        for (share, weight) in shares.iter().zip(weights) {
            assert!((share - weight / total).abs() < 1e-12, "{shares:?}");
        }
    }

    #[test]
    fn a_mean_counts_pools_by_their_shares() {
        let pool = |weight, offset| Pool {
            weights: vec![weight, 0.0],
            offsets: vec![offset],
            loss: 1.0,
            strength: 1.0,
        };
        let mean = mean(&[pool(1.0, 2.0), pool(3.0, -2.0)], &[0.25, 0.75]);
        assert_eq!((mean.weights, mean.offsets), (vec![2.5, 0.0], vec![-1.0]));
    }
}
