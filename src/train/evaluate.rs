//! How good probabilities are, given the right labels.

use super::weigh::real;
use crate::model::{ConfusionCell, CoveragePoint, Evaluation, LabelEvaluation, Method};

/// Bins of the expected calibration error.
const N_BINS: usize = 10;
/// Thresholds of the coverage curve: 0, 0.05 … 0.95, and 0.99.
const THRESHOLDS: [f64; 21] = [
    0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8,
    0.85, 0.9, 0.95, 0.99,
];

/// One judged example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The right label; `None` for one the model does not know.
    pub right: Option<usize>,
    /// The best label.
    pub given: usize,
    /// Its probability.
    pub probability: f64,
    /// Negative log probability of the right label, in nats.
    pub loss: f64,
}

impl Judged {
    /// Judges probabilities. A right label the model does not know costs as much as one it gives the
    /// smallest probability there is.
    pub(super) fn new(probabilities: &[f64], right: Option<usize>) -> Self {
        let mut given = 0;
        for (label, probability) in probabilities.iter().enumerate() {
            if probabilities.get(given).is_some_and(|best| probability > best) {
                given = label;
            }
        }
        let of = |label: usize| probabilities.get(label).copied();
        let of_right = right.and_then(of).unwrap_or_default();
        let loss = -of_right.max(f64::MIN_POSITIVE).ln();
        Self { right, given, probability: of(given).unwrap_or_default(), loss }
    }

    /// Whether the best label is the right one.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.right == Some(self.given)
    }
}

/// Sums judged examples up.
///
/// Labels the model does not know count against accuracy and log loss, and have no place in the
/// figures by label.
pub(super) fn summarise(
    labels: &[String],
    judged: &[Judged],
    method: Method,
    data_digest: &str,
) -> Evaluation {
    let by_label = judge_labels(labels, judged);
    let supported: Vec<_> = by_label.iter().filter(|l| l.support > 0).collect();
    Evaluation {
        example_count: judged.len() as u64,
        accuracy: share(judged, Judged::is_right),
        macro_f1: mean(supported.iter().map(|l| l.f1)),
        log_loss: mean(judged.iter().map(|j| j.loss)),
        expected_calibration_error: calibration_error(judged),
        confusion: confusion(labels, judged),
        coverage: coverage(judged),
        labels: by_label,
        method,
        data_digest: data_digest.to_owned(),
    }
}

/// How often a label was given, was right, and both.
#[derive(Debug, Clone, Copy, Default)]
struct LabelCounts {
    given: usize,
    support: usize,
    hits: usize,
}

fn judge_labels(labels: &[String], judged: &[Judged]) -> Vec<LabelEvaluation> {
    let mut counts = vec![LabelCounts::default(); labels.len()];
    for j in judged {
        if let Some(of_given) = counts.get_mut(j.given) {
            of_given.given += 1;
            of_given.hits += usize::from(j.is_right());
        }
        if let Some(of_right) = j.right.and_then(|right| counts.get_mut(right)) {
            of_right.support += 1;
        }
    }
    let ratio = |n: usize, of: usize| if of == 0 { 0.0 } else { real(n) / real(of) };
    let evaluation = |(label, counts): (&String, LabelCounts)| LabelEvaluation {
        label: label.clone(),
        precision: ratio(counts.hits, counts.given),
        recall: ratio(counts.hits, counts.support),
        f1: ratio(2 * counts.hits, counts.given + counts.support),
        support: counts.support as u64,
    };
    labels.iter().zip(counts).map(evaluation).collect()
}

fn confusion(labels: &[String], judged: &[Judged]) -> Vec<ConfusionCell> {
    let mut cells = std::collections::BTreeMap::new();
    for j in judged {
        if let Some(right) = j.right {
            *cells.entry((right, j.given)).or_insert(0u64) += 1;
        }
    }
    let name = |label: usize| labels.get(label).cloned().unwrap_or_default();
    cells
        .into_iter()
        .map(|((right, given), count)| ConfusionCell {
            label: name(right),
            predicted: name(given),
            count,
        })
        .collect()
}

fn coverage(judged: &[Judged]) -> Vec<CoveragePoint> {
    THRESHOLDS.into_iter().map(|threshold| coverage_at(threshold, judged)).collect()
}

/// What a threshold costs and gives.
pub(super) fn coverage_at(min_probability: f64, judged: &[Judged]) -> CoveragePoint {
    let answered: Vec<_> =
        judged.iter().copied().filter(|j| j.probability >= min_probability).collect();
    CoveragePoint {
        min_probability,
        coverage: share(judged, |j| j.probability >= min_probability),
        accuracy: share(&answered, Judged::is_right),
    }
}

/// The mean gap between probability and accuracy over bins of equal width, weighted by their size.
fn calibration_error(judged: &[Judged]) -> f64 {
    let mut gaps = [0.0; N_BINS];
    for j in judged {
        let bin = (1..N_BINS).filter(|b| j.probability * real(N_BINS) >= real(*b)).count();
        if let Some(gap) = gaps.get_mut(bin) {
            *gap += j.probability - f64::from(u8::from(j.is_right()));
        }
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / real(judged.len().max(1))
}

fn share(judged: &[Judged], is_counted: impl Fn(&Judged) -> bool) -> f64 {
    mean(judged.iter().map(|j| f64::from(u8::from(is_counted(j)))))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len();
    if n == 0 { 0.0 } else { values.sum::<f64>() / real(n) }
}
