//! How far figures could be off by chance: Wilson's interval for the accuracy, percentiles of a bootstrap
//! over the judged sentences for the macro-F1.
//!
//! Sentences with the same right and given label are alike to accuracy and F1, so counts are drawn
//! instead of sentences: the work follows the cells of the confusion matrix, not the sentences.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::weigh::real;
use crate::model::Evaluation;

/// Samples that are drawn.
const N_RESAMPLES: u64 = 1_000;
/// Seed of the samples.
const SEED: u64 = 0x6a09_e667_f3bc_c908;
/// Standard deviations around the mean that hold 95 % of a normal distribution.
const NORMAL_95: f64 = 1.959_963_984_540_054;
/// Expected count up to which a count is drawn exactly, and above from the normal distribution.
const EXACT: f64 = 50.0;

/// Right label and given label; `None` for a label that is not known.
type Cell = (Option<usize>, Option<usize>);

/// The counts that accuracy and macro-F1 are made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    n_labels: usize,
    cells: BTreeMap<Cell, u64>,
}

/// A range that holds the figure with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// How far the figures of an evaluation could be off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intervals {
    /// Of the accuracy.
    pub accuracy: Interval,
    /// Of the macro-F1.
    pub macro_f1: Interval,
}

impl Counts {
    /// Takes the counts from the figures of an evaluation.
    ///
    /// - `example_count`: all judged sentences.
    /// - `labels`: each label with its precision.
    /// - `confusion`: right label, given label, sentences. Sentences under a label that the model does
    ///   not know are not among them; which label they were given follows from the precision.
    #[must_use]
    pub fn new<'a>(
        example_count: u64,
        labels: impl IntoIterator<Item = (&'a str, f64)>,
        confusion: impl IntoIterator<Item = (&'a str, &'a str, u64)>,
    ) -> Self {
        let labels: Vec<_> = labels.into_iter().collect();
        let position: HashMap<_, _> =
            labels.iter().enumerate().map(|(at, (label, _))| (*label, at)).collect();
        let mut counts = Self { n_labels: labels.len(), cells: BTreeMap::new() };
        let mut given = vec![0; labels.len()];
        let mut hits = vec![0; labels.len()];
        let mut n_unknown = example_count;
        for (right, predicted, count) in confusion {
            let cell = (position.get(right).copied(), position.get(predicted).copied());
            counts.add(cell.0, cell.1, count);
            n_unknown = n_unknown.saturating_sub(count);
            if let Some(given) = cell.1.and_then(|label| given.get_mut(label)) {
                *given += count;
            }
            if let (true, Some(hits)) =
                (cell.0 == cell.1, cell.1.and_then(|label| hits.get_mut(label)))
            {
                *hits += count;
            }
        }
        for (label, (_, precision)) in labels.iter().enumerate() {
            let of = |counts: &[u64]| counts.get(label).copied().unwrap_or_default();
            let all = if *precision > 0.0 { whole(number(of(&hits)) / precision) } else { 0 };
            let unknown = all.saturating_sub(of(&given)).min(n_unknown);
            counts.add(None, Some(label), unknown);
            n_unknown -= unknown;
        }
        counts.add(None, None, n_unknown);
        counts
    }

    fn add(&mut self, right: Option<usize>, given: Option<usize>, count: u64) {
        if count > 0 {
            *self.cells.entry((right, given)).or_default() += count;
        }
    }

    /// Returns the intervals. The same counts always give the same.
    #[must_use]
    pub fn intervals(&self) -> Intervals {
        let cells: Vec<_> = self.cells.iter().map(|(cell, count)| (*cell, *count)).collect();
        let f1s: Vec<f64> = (0..N_RESAMPLES)
            .into_par_iter()
            .map(|sample| {
                let mut random = Random(SEED.wrapping_add(sample << 32));
                self.macro_f1(&random.resample(&cells))
            })
            .collect();
        let hits = cells.iter().filter(|((right, given), _)| right.is_some() && right == given);
        let n_right = hits.map(|(_, count)| count).sum();
        let n_sentences = cells.iter().map(|(_, count)| count).sum();
        Intervals {
            accuracy: Interval::of_share(n_right, n_sentences),
            macro_f1: Interval::of(f1s),
        }
    }

    fn macro_f1(&self, cells: &[(Cell, u64)]) -> f64 {
        let mut supports = vec![0; self.n_labels];
        let (mut given, mut hits) = (supports.clone(), supports.clone());
        for ((right, predicted), count) in cells {
            let add = |counts: &mut Vec<u64>, label: Option<usize>| {
                if let Some(slot) = label.and_then(|label| counts.get_mut(label)) {
                    *slot += count;
                }
            };
            add(&mut supports, *right);
            add(&mut given, *predicted);
            add(&mut hits, right.filter(|_| right == predicted));
        }
        let ratio = |n: u64, of: u64| if of == 0 { 0.0 } else { number(n) / number(of) };
        let rows = supports.iter().zip(&given).zip(&hits).filter(|((support, _), _)| **support > 0);
        let f1s: Vec<_> =
            rows.map(|((support, given), hits)| ratio(2 * hits, given + support)).collect();
        f1s.iter().sum::<f64>() / real(f1s.len().max(1))
    }
}

impl Interval {
    /// That of the accuracy of an evaluation, without drawing samples.
    #[must_use]
    pub fn of_accuracy(evaluation: &Evaluation) -> Self {
        let hits = evaluation.confusion.iter().filter(|cell| cell.label == cell.predicted);
        Self::of_share(hits.map(|cell| cell.count).sum(), evaluation.example_count)
    }

    /// The shares that could well give so many hits: Wilson's score interval, which leaves room where
    /// all of a few are hits.
    fn of_share(n_hits: u64, n: u64) -> Self {
        if n == 0 {
            return Self { low: 0.0, high: 0.0 };
        }
        let (n, share) = (number(n), number(n_hits) / number(n));
        let room = NORMAL_95 * NORMAL_95 / n;
        let middle = (share + room / 2.0) / (1.0 + room);
        let half = (room * (share * (1.0 - share) + room / 4.0)).sqrt() / (1.0 + room);
        Self { low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
    }

    /// The middle 95 % of the values.
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let tail = values.len() / 40;
        let at = |position: Option<usize>| position.and_then(|p| values.get(p)).copied();
        let low = at(Some(tail)).unwrap_or_default();
        Self { low, high: at(values.len().checked_sub(1 + tail)).unwrap_or(low) }
    }
}

/// Sebastiano Vigna's splitmix64: small, and good enough to draw samples.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in (0, 1).
    fn uniform(&mut self) -> f64 {
        (number(self.next() >> 12) + 0.5) / number(1 << 52)
    }

    /// Draws as many sentences as there are, each from any cell by its share: cell by cell, from what
    /// the cells before have left.
    fn resample<T: Copy>(&mut self, cells: &[(T, u64)]) -> Vec<(T, u64)> {
        let mut n_left: u64 = cells.iter().map(|(_, count)| count).sum();
        let mut weight_left = n_left;
        let mut drawn = Vec::with_capacity(cells.len());
        for (cell, count) in cells {
            let n = if *count == weight_left {
                n_left
            } else {
                self.binomial(n_left, number(*count) / number(weight_left.max(1)))
            };
            drawn.push((*cell, n));
            n_left -= n;
            weight_left -= count;
        }
        drawn
    }

    /// Draws how many of `n` trials succeed.
    fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let mean = number(n) * p;
        if mean > EXACT {
            let normal = (-2.0 * self.uniform().ln()).sqrt()
                * (std::f64::consts::TAU * self.uniform()).cos();
            return whole(mean + normal * (mean * (1.0 - p)).sqrt()).min(n);
        }
        // The number of failures before each success is geometric.
        let per_trial = (-p).ln_1p();
        let (mut successes, mut trials) = (0, 0.0);
        if per_trial >= 0.0 {
            return 0;
        }
        loop {
            trials += (self.uniform().ln() / per_trial).floor() + 1.0;
            if trials > number(n) {
                return successes;
            }
            successes += 1;
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of sentences stay below 2^53")]
fn number(n: u64) -> f64 {
    n as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, not negative, and far below 2^53"
)]
fn whole(x: f64) -> u64 {
    x.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(hits: u64, misses: u64) -> Counts {
        let n = hits + misses;
        Counts::new(
            2 * n,
            [("a", 0.8), ("b", 0.8)],
            [("a", "a", hits), ("a", "b", misses), ("b", "b", hits), ("b", "a", misses)],
        )
    }

    #[test]
    fn the_interval_of_a_share_is_that_of_the_normal_approximation() {
        for n in [100, 10_000, 1_000_000] {
            let interval = binary(8 * n / 10, 2 * n / 10).intervals().accuracy;
            let half = 1.96 * (0.8 * 0.2 / number(2 * n)).sqrt();
            let is_near = |end: f64, expected: f64| (end - expected).abs() < 0.25 * half;
            let Interval { low, high } = interval;
            assert!(is_near(low, 0.8 - half) && is_near(high, 0.8 + half), "{n}: {interval:?}");
        }
    }

    #[test]
    fn the_same_counts_give_the_same_intervals() {
        assert_eq!(binary(80, 20).intervals(), binary(80, 20).intervals());
    }

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        // scipy.stats.binomtest(5, 8).proportion_ci(method="wilson").
        let interval = Interval::of_share(5, 8);
        assert!((interval.low - 0.305_742).abs() < 1e-6, "{interval:?}");
        assert!((interval.high - 0.863_155).abs() < 1e-6, "{interval:?}");
    }

    #[test]
    fn a_few_that_are_all_right_leave_room_and_nothing_at_all_gives_no_figure() {
        let sure = Counts::new(9, [("a", 1.0), ("b", 1.0)], [("a", "a", 5), ("b", "b", 4)]);
        let Interval { low, high } = sure.intervals().accuracy;
        assert!(low < 0.71 && high > 0.999, "{low} {high}");
        assert_eq!(Counts::default().intervals().macro_f1, Interval { low: 0.0, high: 0.0 });
    }

    #[test]
    fn sentences_of_unknown_labels_count_as_wrong() {
        // Four sentences are given "a": two are right, one is of "b", one of an unknown label.
        let counts = Counts::new(5, [("a", 0.5), ("b", 0.0)], [("a", "a", 2), ("b", "a", 1)]);
        assert_eq!(counts.cells.get(&(None, Some(0))), Some(&1));
        assert_eq!(counts.cells.get(&(None, None)), Some(&1));
        assert_eq!(counts.cells.values().sum::<u64>(), 5);
    }
}
