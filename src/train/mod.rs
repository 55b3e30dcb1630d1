//! Labelled examples become a model and an honest evaluation of it.
//!
//! In the order of the flow:
//!
//! - [`examples`]: CSV or messages → a checked [`examples::Dataset`] and what was wrong with the rest.
//! - `counts`: examples → which features occur in which example.
//! - `select`: smoothing and weighting by out-of-fold log loss.
//! - `pool`: the weights of the views, which are also the calibration.
//! - `estimate`: the published tables, through linfa-bayes.
//! - `evaluate`: how good the model is.

pub mod examples;

use crate::features::View;
use crate::model::{Evaluation, Model, Parts, Weighting};
use examples::Dataset;

/// What may be set; everything else is found from the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Lidstone smoothing values to choose from, each in [1e-6, 1000], 1 to 16 of them.
    pub alphas: Vec<f64>,
    /// How features are weighted; `None`: chosen.
    pub weighting: Option<Weighting>,
    /// Views to use, at least one.
    pub views: Vec<View>,
    /// Number of folds, in [2, 50]; with fewer examples than folds, one example a fold.
    pub folds: u32,
    /// Seed of the fold assignment.
    pub seed: u64,
    /// The model's own threshold for abstaining, in [0, 1].
    pub min_probability: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            alphas: vec![1.0, 0.3, 0.1, 0.03, 0.01],
            weighting: None,
            views: View::ALL.to_vec(),
            folds: 10,
            seed: 1,
            min_probability: 0.0,
        }
    }
}

/// What a training is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reading and checking examples.
    Reading,
    /// Counting features.
    Counting,
    /// Choosing smoothing and weighting.
    Selecting,
    /// Weighing the views, calibrating, judging.
    Pooling,
    /// Writing the new version.
    Storing,
}

/// Hears how far a training is, and may end it.
pub trait Observer: Sync {
    /// Called now and then, with the estimated share of the whole training that is done, in [0, 1];
    /// never falls.
    fn progress(&self, stage: Stage, fraction: f64);
    /// Asked often; the training ends with [`TrainError::Cancelled`] soon after it says yes.
    fn is_cancelled(&self) -> bool;
}

/// Hears nothing, ends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&self, _stage: Stage, _fraction: f64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

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
    /// The [`Observer`] ended it.
    #[error("the training was cancelled")]
    Cancelled,
    /// The tables came out unusable; a defect of this program.
    #[error("the estimate is unusable: {0}")]
    Unusable(String),
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
) -> Result<Parts, TrainError> {
    let _ = (dataset, settings, observer);
    todo!()
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
    let _ = (model, dataset, observer);
    todo!()
}
