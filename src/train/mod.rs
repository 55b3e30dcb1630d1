//! Labelled examples become a model and an honest evaluation of it.
//!
//! In the order of the flow:
//!
//! - `settings`: what may be set; `observer`: who hears of it and may end it.
//! - [`examples`]: CSV or messages → a checked [`examples::Dataset`] and what was wrong with the rest.
//! - [`stream`]: rows as they come, for data larger than memory and for settings that leave little to
//!   choose.
//! - `folds`: which examples are judged together.
//! - `counts`, `weigh`: examples → which features occur in which example, and what that is worth.
//! - `out_of_fold`: scores under tables that did not count the example.
//! - `select`, `lanes`: smoothing and weighting by out-of-fold log loss; `lead`: whether its view is worth having.
//! - `pool`: the weights of the views, which are also the calibration.
//! - `refine`, `fit`, `rows`: a weight for every feature; `calibrate`: with these or without; `few`: what
//!   little data can vouch for.
//! - `estimate`, `assemble`: the published tables, through linfa-bayes, and the model they make.
//! - `evaluate`: how good the model is; `bootstrap`: how far these figures could be off by chance;
//!   `threshold`: when it had better say nothing.
//! - `examine`: a second look at the examples: near duplicates, odd scripts, disputed labels.
//! - `compare`, `exact_tests`: the new model against the one that answers now.

mod assemble;
mod bootstrap;
mod calibrate;
mod compare;
mod counts;
mod estimate;
mod evaluate;
mod exact_tests;
mod examine;
pub mod examples;
mod few;
mod fit;
mod folds;
mod lanes;
mod lead;
mod minimise;
mod observer;
mod out_of_fold;
mod pool;
#[cfg(test)]
mod reference_tests;
mod refine;
mod rows;
mod select;
mod settings;
mod sorted;
pub mod stream;
mod threshold;
mod weigh;

pub use compare::{Comparison, SIGNIFICANCE, SameRows, compare};
pub use exact_tests::Tally;
pub use examine::examine;
pub use observer::{Observer, Stage, Unobserved};
pub use settings::Settings;
pub use stream::{Collecting, collect};
pub use threshold::Threshold;

use rayon::prelude::*;

use crate::features::View;
use crate::model::{
    CoveragePoint, Evaluation, MAX_LABELS, Method, Model, Options, Parts, Scorer, Weighting,
};
use assemble::Assembly;
pub use bootstrap::{Counts, Interval, Intervals};
use counts::Matrix;
pub use evaluate::Judged;
use examples::{DataReport, Dataset, FindingCode};
use select::Problem;
use weigh::Pattern;

/// Why a training gave no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// All usable examples have one label, or there are none.
    #[error("at least two labels are needed, the data has {found} with usable examples")]
    TooFewLabels {
        /// Number of labels with usable examples.
        found: usize,
    },
    /// More labels than a model may have.
    #[error("{found} labels, at most {limit} are allowed")]
    TooManyLabels {
        /// Number of labels.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A label cannot be judged on data it did not see.
    #[error("label {label:?} has {found} usable example(s), at least 2 are needed")]
    TooFewExamples {
        /// The label.
        label: String,
        /// Number of its usable examples.
        found: u64,
    },
    /// A setting is out of its range.
    #[error("{setting}: {problem}")]
    BadSetting {
        /// Name of the setting, as the field of [`Settings`].
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Not even the surest answers are right so often.
    #[error(
        "no threshold makes the model right {target} of the time; judged out of fold, the best one \
         reaches {best:.3}"
    )]
    TargetNotReached {
        /// The share of right answers wanted.
        target: f64,
        /// The highest share that any threshold gives.
        best: f64,
    },
    /// The [`Observer`] ended it.
    #[error("the training was cancelled")]
    Cancelled,
    /// The tables came out unusable; a defect of this program.
    #[error("the estimate is unusable: {0}")]
    Unusable(String),
}

/// What a training gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model.
    pub parts: Parts,
    /// The report of the dataset, with near duplicates, rows in another script and suspected labels.
    pub report: DataReport,
    /// The model's threshold, with what it costs and gives out of fold.
    pub threshold: CoveragePoint,
    /// Every example, judged by tables and weights that did not see its fold.
    pub judged: Vec<Judged>,
}

/// Trains a model on all examples of a dataset.
///
/// The same examples and settings give the same parts on any number of threads. Runs on the current
/// rayon pool.
///
/// # Errors
///
/// See [`TrainError`]; the dataset is left as it was.
pub fn train(
    dataset: &Dataset,
    settings: &Settings,
    observer: &dyn Observer,
) -> Result<Trained, TrainError> {
    settings.check()?;
    let label_counts = check_labels(dataset)?;
    if dataset.counted.is_some() && settings.weighting == Some(Weighting::Idf) {
        return Err(TrainError::BadSetting {
            setting: "weighting",
            problem: "idf needs all rows in memory, and they are more than fit".to_owned(),
        });
    }
    observer.progress(Stage::Counting, 0.0);
    let labels: Vec<u16> =
        dataset.examples.iter().map(|e| u16::try_from(e.label).unwrap_or(u16::MAX)).collect();
    let priors = log_shares(&label_counts);
    let folds = fold_members(&folds::assign(dataset, settings.folds, settings.seed, observer));
    let matrices = count(dataset, settings, &folds, observer)?;
    let patterns = patterns(dataset, &matrices, &labels, observer)?;
    let problem = Problem {
        matrices: &matrices,
        patterns: &patterns,
        labels: &labels,
        priors: &priors,
        folds: &folds,
        observer,
    };
    let all: Vec<usize> = (0..labels.len()).collect();
    let selecting = |share| observer.progress(Stage::Selecting, 0.2 + 0.6 * share);
    let mut selection = problem.select(settings, &all, &selecting)?;
    observer.progress(Stage::Pooling, 0.8);
    let outcome = problem.finish(settings, &mut selection)?;
    observer.check()?;
    observer.progress(Stage::Pooling, 0.95);
    let evaluation =
        evaluate::summarise(&dataset.labels, &outcome.judged, Method::OutOfFold, &dataset.digest);
    let threshold = settings.threshold.settle(&outcome.judged)?;
    let parts = assemble::parts(&Assembly {
        dataset,
        settings,
        problem: &problem,
        selection: &selection,
        outcome: &outcome,
        label_counts,
        evaluation,
        min_probability: threshold.min_probability,
    })?;
    let mut report = examine(dataset, observer)?;
    let suspects = examine::suspects(dataset, &outcome.judged);
    examine::add(&mut report, FindingCode::SuspectedLabel, suspects);
    Ok(Trained { parts, report, threshold, judged: outcome.judged })
}

/// Counts the features of the views that have any: with little data a view may have no n-gram that
/// occurs twice.
fn count(
    dataset: &Dataset,
    settings: &Settings,
    folds: &[Vec<usize>],
    observer: &dyn Observer,
) -> Result<Vec<Matrix>, TrainError> {
    let mut matrices = Vec::new();
    for view in View::ALL.into_iter().filter(|view| settings.views.contains(view)) {
        let words = matrices.first().filter(|first: &&Matrix| first.view == View::Word1);
        if view == View::Lead && words.is_some_and(|words| !lead::could_tell_more(words)) {
            continue;
        }
        let mut matrix = Matrix::count(dataset, view, observer);
        observer.check()?;
        if matrix.n_features() > 0 {
            let whole = dataset.counted.as_ref().and_then(|counted| counted.view(view));
            matrix.forget_own_folds(folds, whole, observer);
            matrices.push(matrix);
        }
    }
    Ok(matrices)
}

/// Finds under which labels features occur: of all rows, where the dataset is a sample.
fn patterns(
    dataset: &Dataset,
    matrices: &[Matrix],
    labels: &[u16],
    observer: &dyn Observer,
) -> Result<Vec<Pattern>, TrainError> {
    let pattern = |matrix: &Matrix| {
        observer.check()?;
        let whole = dataset.counted.as_ref().and_then(|counted| counted.view(matrix.view));
        Ok(match whole {
            Some(whole) => {
                Pattern::of_sample((matrix, labels), whole, dataset.labels.len(), observer)
            }
            None => Pattern::new(matrix, labels, observer),
        })
    };
    matrices.iter().map(pattern).collect()
}

/// Judges a model on a dataset. Examples whose label the model does not know count as wrong.
///
/// # Errors
///
/// [`TrainError::Cancelled`].
pub fn evaluate(
    model: &Model,
    dataset: &Dataset,
    observer: &dyn Observer,
) -> Result<Evaluation, TrainError> {
    Ok(sum_up(model, dataset, &judge(model, dataset, observer)?))
}

/// Judges every example of a dataset, in its order.
///
/// # Errors
///
/// [`TrainError::Cancelled`].
pub fn judge(
    model: &Model,
    dataset: &Dataset,
    observer: &dyn Observer,
) -> Result<Vec<Judged>, TrainError> {
    let known: Vec<Option<usize>> =
        dataset.labels.iter().map(|label| model.labels().binary_search(label).ok()).collect();
    let judged: Vec<Judged> = dataset
        .examples
        .par_chunks(256)
        .flat_map_iter(|examples| {
            let mut scorer = Scorer::default();
            let known = &known;
            let is_cancelled = observer.is_cancelled();
            examples.iter().filter(move |_| !is_cancelled).map(move |example| {
                let answer = scorer.classify(model, &example.text, &Options::default());
                let right = known.get(example.label).copied().flatten();
                Judged::new(&answer.probabilities, right)
            })
        })
        .collect();
    if judged.len() < dataset.examples.len() {
        return Err(TrainError::Cancelled);
    }
    Ok(judged)
}

/// Sums up what [`judge`] found.
#[must_use]
pub fn sum_up(model: &Model, dataset: &Dataset, judged: &[Judged]) -> Evaluation {
    evaluate::summarise(model.labels(), judged, Method::GivenExamples, &dataset.digest)
}

/// Checks that there is something to tell apart, and something to judge it on. Returns the number of
/// examples per label.
///
/// # Errors
///
/// [`TrainError::TooFewLabels`], [`TrainError::TooManyLabels`], [`TrainError::TooFewExamples`].
pub fn check_labels(dataset: &Dataset) -> Result<Vec<u64>, TrainError> {
    let found = dataset.labels.len();
    if found < 2 {
        return Err(TrainError::TooFewLabels { found });
    }
    if found > MAX_LABELS {
        return Err(TrainError::TooManyLabels { found, limit: MAX_LABELS });
    }
    let counts = label_counts(dataset);
    match dataset.labels.iter().zip(&counts).find(|(_, count)| **count < 2) {
        Some((label, count)) => {
            Err(TrainError::TooFewExamples { label: label.clone(), found: *count })
        }
        None => Ok(counts),
    }
}

/// Returns the number of examples per label, of all rows where the dataset is a sample.
fn label_counts(dataset: &Dataset) -> Vec<u64> {
    if let Some(counted) = &dataset.counted {
        return counted.label_counts.clone();
    }
    let mut counts = vec![0; dataset.labels.len()];
    for example in &dataset.examples {
        if let Some(count) = counts.get_mut(example.label) {
            *count += 1;
        }
    }
    counts
}

/// Returns ln(share) of each label.
fn log_shares(label_counts: &[u64]) -> Vec<f64> {
    let real = |n: u64| weigh::real(usize::try_from(n).unwrap_or(usize::MAX));
    let total = real(label_counts.iter().sum());
    label_counts.iter().map(|n| (real(*n) / total).ln()).collect()
}

/// Turns each example's fold into the examples of each fold.
fn fold_members(fold_of: &[u32]) -> Vec<Vec<usize>> {
    let n_folds = fold_of.iter().max().map_or(0, |last| *last as usize + 1);
    let mut members = vec![Vec::new(); n_folds];
    for (example, fold) in fold_of.iter().enumerate() {
        if let Some(members) = members.get_mut(*fold as usize) {
            members.push(example);
        }
    }
    members
}
