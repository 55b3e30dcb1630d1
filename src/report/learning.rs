//! How the figures grow with the data: trained on a quarter, a half and three quarters of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::features::hash;
use crate::model::Evaluation;
use crate::train::examples::{DataReport, Dataset};
use crate::train::{Observer, Settings, Stage, Threshold, TrainError, train};

/// Most examples for which the curve is measured: it takes one and a half times as long again.
pub const MAX_EXAMPLES: usize = 20_000;
/// Quarters of the data.
const QUARTERS: [usize; 3] = [1, 2, 3];

/// How the figures grow with the data.
#[derive(Debug, Clone, PartialEq)]
pub enum Learning {
    /// By growing number of examples.
    Curve(Vec<LearningPoint>),
    /// Why there is no curve.
    LeftOut(String),
}

/// The out-of-fold figures of a training on some of the examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningPoint {
    /// Number of examples.
    pub n_examples: u64,
    /// Share of examples whose best label is right.
    pub accuracy: f64,
    /// Mean of the labels' F1.
    pub macro_f1: f64,
}

impl LearningPoint {
    fn of(evaluation: &Evaluation) -> Self {
        let Evaluation { example_count, accuracy, macro_f1, .. } = *evaluation;
        Self { n_examples: example_count, accuracy, macro_f1 }
    }
}

/// Trains on parts of the data, unless there are too many; `whole` is the evaluation of the training
/// on all of it.
///
/// # Errors
///
/// [`TrainError::Cancelled`].
pub fn measure(
    dataset: &Dataset,
    settings: &Settings,
    whole: &Evaluation,
    observer: &dyn Observer,
) -> Result<Learning, TrainError> {
    let n_examples = dataset.examples.len();
    if n_examples > MAX_EXAMPLES || dataset.counted.is_some() {
        return Ok(Learning::LeftOut(format!(
            "Not measured: it means training on parts of the data again, which is done for at most \
             {MAX_EXAMPLES} sentences."
        )));
    }
    // A wish for the threshold that the whole data fulfils may be too much for a part of it.
    let settings = Settings { threshold: Threshold::default(), ..settings.clone() };
    let mut points = Vec::new();
    for quarters in QUARTERS {
        let part = share(dataset, quarters);
        let is_new = part.examples.len() < n_examples
            && points
                .last()
                .is_none_or(|p: &LearningPoint| p.n_examples < part.examples.len() as u64);
        if !is_new {
            continue;
        }
        let observer = Part::new(observer, quarters);
        match train(&part, &settings, &observer) {
            Ok(trained) => points.push(LearningPoint::of(&trained.parts.metadata.evaluation)),
            Err(TrainError::Cancelled) => return Err(TrainError::Cancelled),
            // So few sentences may have no feature in common; the curve begins later then.
            Err(_) => {}
        }
    }
    points.push(LearningPoint::of(whole));
    Ok(if points.len() > 1 {
        Learning::Curve(points)
    } else {
        Learning::LeftOut("Too few sentences to train on a part of them.".to_owned())
    })
}

/// Returns some quarters of each label's examples, at least two, drawn evenly. Larger shares hold the
/// smaller ones.
fn share(dataset: &Dataset, quarters: usize) -> Dataset {
    let mut by_label: Vec<Vec<(u64, usize)>> = vec![Vec::new(); dataset.labels.len()];
    for (at, example) in dataset.examples.iter().enumerate() {
        if let Some(of_label) = by_label.get_mut(example.label) {
            of_label.push((hash::token(&example.text), at));
        }
    }
    let mut chosen = Vec::new();
    for mut of_label in by_label {
        of_label.sort_unstable();
        let n = (of_label.len() * quarters).div_ceil(4).max(2);
        chosen.extend(of_label.into_iter().take(n).map(|(_, at)| at));
    }
    chosen.sort_unstable();
    let examples = chosen.into_iter().filter_map(|at| dataset.examples.get(at).cloned()).collect();
    // Neither report nor digest is used: only figures leave this file.
    let (report, digest) = (DataReport::default(), String::new());
    Dataset { labels: dataset.labels.clone(), examples, counted: None, report, digest }
}

/// Hears of one training as a part of all of them, each as long as it has data.
struct Part<'a> {
    observer: &'a dyn Observer,
    start: f64,
    length: f64,
    /// The bits of the largest fraction so far.
    heard: AtomicU64,
}

impl<'a> Part<'a> {
    fn new(observer: &'a dyn Observer, quarters: usize) -> Self {
        let sixths = |n: usize| f64::from(u32::try_from(n).unwrap_or(6)) / 6.0;
        let before = QUARTERS.into_iter().filter(|q| *q < quarters).sum();
        let (start, length) = (sixths(before), sixths(quarters));
        Self { observer, start, length, heard: AtomicU64::new(start.to_bits()) }
    }
}

impl Observer for Part<'_> {
    fn progress(&self, stage: Stage, fraction: f64) {
        let fraction = self.start + self.length * fraction.clamp(0.0, 1.0);
        // Not negative: the order of the bits is the order of the numbers.
        let before = self.heard.fetch_max(fraction.to_bits(), Ordering::Relaxed);
        self.observer.progress(stage, fraction.max(f64::from_bits(before)));
    }

    fn is_cancelled(&self) -> bool {
        self.observer.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Unobserved;
    use crate::train::examples::Example;

    fn dataset(n: usize) -> Dataset {
        let example = |at: usize| {
            let (label, word) = if at.is_multiple_of(2) { (0, "card") } else { (1, "charge") };
            Example { text: format!("The {word} number {at} is here").into(), label, line: 2 }
        };
        Dataset {
            labels: vec!["a".to_owned(), "b".to_owned()],
            examples: (0..n).map(example).collect(),
            report: DataReport::default(),
            counted: None,
            digest: String::new(),
        }
    }

    #[test]
    fn larger_shares_hold_the_smaller_ones_and_all_labels() {
        let dataset = dataset(80);
        let shares: Vec<_> = QUARTERS.into_iter().map(|q| share(&dataset, q)).collect();
        let sizes: Vec<_> = shares.iter().map(|share| share.examples.len()).collect();
        assert_eq!(sizes, [20, 40, 60]);
        for (small, large) in shares.iter().zip(shares.iter().skip(1)) {
            assert!(small.examples.iter().all(|e| large.examples.contains(e)));
        }
        for share in shares {
            let n_first = share.examples.iter().filter(|e| e.label == 0).count();
            assert_eq!(2 * n_first, share.examples.len());
        }
    }

    #[test]
    fn the_curve_ends_with_the_training_on_everything() {
        let dataset = dataset(40);
        let settings = Settings::default();
        let whole =
            train(&dataset, &settings, &Unobserved).expect("a model").parts.metadata.evaluation;
        let learning = measure(&dataset, &settings, &whole, &Unobserved).expect("a curve");
        let Learning::Curve(points) = learning else { panic!("{learning:?}") };
        assert_eq!(points.iter().map(|p| p.n_examples).collect::<Vec<_>>(), [10, 20, 30, 40]);
        assert_eq!(points.last(), Some(&LearningPoint::of(&whole)));
    }

    #[test]
    fn for_much_data_it_is_left_out_with_the_reason() {
        let whole = train(&dataset(8), &Settings::default(), &Unobserved).expect("parts");
        let many = dataset(MAX_EXAMPLES + 1);
        let evaluation = &whole.parts.metadata.evaluation;
        let learning = measure(&many, &Settings::default(), evaluation, &Unobserved).expect("why");
        assert!(matches!(learning, Learning::LeftOut(why) if why.contains("20000")));
    }
}
