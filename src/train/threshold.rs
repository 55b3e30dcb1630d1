//! The owner's wish "right so often" becomes the model's own threshold for abstaining.

use super::TrainError;
use super::evaluate::Judged;
use super::weigh::real;
use crate::model::CoveragePoint;

/// When a model gives no label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// When the best label is less probable than this, in [0, 1].
    Probability(f64),
    /// As seldom as it can while this share of its labels is right, in (0, 1]; judged out of fold.
    TargetAccuracy(f64),
}

impl Default for Threshold {
    /// Never.
    fn default() -> Self {
        Self::Probability(0.0)
    }
}

impl Threshold {
    /// The threshold as a probability, with what it costs and gives out of fold.
    ///
    /// # Errors
    ///
    /// [`TrainError::TargetNotReached`] where not even the surest answers are right so often.
    pub(super) fn settle(self, judged: &[Judged]) -> Result<CoveragePoint, TrainError> {
        match self {
            Self::Probability(min_probability) => Ok(point(min_probability, judged)),
            Self::TargetAccuracy(target) => reach(target, judged),
        }
    }
}

/// Finds the smallest threshold whose answers are right often enough, among the judgements' own
/// probabilities; 0 where nothing has to be held back.
///
/// Accuracy need not rise with the threshold, so every one is tried, from the surest answer on.
fn reach(target: f64, judged: &[Judged]) -> Result<CoveragePoint, TrainError> {
    let mut by_probability: Vec<&Judged> = judged.iter().collect();
    by_probability.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let (mut n_answered, mut n_right) = (0, 0);
    let (mut found, mut best) = (None, 0.0);
    // Answers of one probability are given or held back together.
    for equal in by_probability.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        n_answered += equal.len();
        n_right += equal.iter().filter(|j| j.is_right()).count();
        let accuracy = real(n_right) / real(n_answered);
        best = accuracy.max(best);
        if accuracy >= target {
            found = equal.first().map(|j| j.probability);
        }
    }
    let lowest = by_probability.last().map(|j| j.probability);
    match found {
        // Everything was answered: also what is less probable than anything seen.
        Some(probability) if Some(probability) == lowest => Ok(point(0.0, judged)),
        Some(probability) => Ok(point(probability, judged)),
        None => Err(TrainError::TargetNotReached { target, best }),
    }
}

fn point(min_probability: f64, judged: &[Judged]) -> CoveragePoint {
    super::evaluate::coverage_at(min_probability, judged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(probability: f64, is_right: bool) -> Judged {
        Judged { right: Some(usize::from(!is_right)), given: 0, probability, loss: 0.0 }
    }

    #[test]
    fn the_smallest_threshold_that_is_right_often_enough_is_found() {
        let rows = [(0.9, true), (0.8, true), (0.7, false), (0.6, true), (0.5, true), (0.4, false)];
        let rows: Vec<_> = rows.map(|(p, is_right)| judged(p, is_right)).into();
        let found = |target| Threshold::TargetAccuracy(target).settle(&rows).expect("reached");
        assert_eq!((found(1.0).min_probability, found(1.0).accuracy), (0.8, 1.0));
        // At 0.7 only two of three are right; further down it is four of five again.
        let point = found(0.8);
        assert_eq!((point.min_probability, point.accuracy), (0.5, 0.8));
        assert!((point.coverage - 5.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn where_all_answers_are_right_often_enough_nothing_is_held_back() {
        let rows = [judged(0.9, true), judged(0.5, false)];
        let point = Threshold::TargetAccuracy(0.5).settle(&rows).expect("reached");
        assert_eq!((point.min_probability, point.coverage), (0.0, 1.0));
    }

    #[test]
    fn answers_of_one_probability_stand_and_fall_together() {
        let rows = [judged(0.9, true), judged(0.9, false), judged(0.3, false)];
        let point = Threshold::TargetAccuracy(0.5).settle(&rows).expect("reached");
        assert_eq!((point.min_probability, point.accuracy), (0.9, 0.5));
    }

    #[test]
    fn a_wish_that_cannot_be_met_is_refused_with_what_can() {
        let rows = [judged(0.9, false), judged(0.5, true)];
        let refused = Threshold::TargetAccuracy(0.9).settle(&rows);
        assert_eq!(refused, Err(TrainError::TargetNotReached { target: 0.9, best: 0.5 }));
    }

    proptest! {
        #[test]
        fn no_smaller_threshold_would_do(
            rows in prop::collection::vec((0u8..20, any::<bool>()), 1..40),
            target in 0.01..=1.0,
        ) {
            let rows: Vec<_> =
                rows.into_iter().map(|(p, r)| judged(f64::from(p) / 20.0, r)).collect();
            let answers = |p: f64| point(p, &rows);
            match Threshold::TargetAccuracy(target).settle(&rows) {
                Ok(found) => {
                    prop_assert!(found.accuracy >= target && found.coverage > 0.0);
                    let smaller = rows.iter().map(|j| j.probability);
                    for p in smaller.filter(|p| *p < found.min_probability) {
                        prop_assert!(answers(p).accuracy < target);
                    }
                }
                Err(_) => prop_assert!(rows.iter().all(|j| answers(j.probability).accuracy < target)),
            }
        }
    }
}
