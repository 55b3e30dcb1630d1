//! The model the program carries: its labelled sentences are part of the binary, and it is trained on
//! first use, which takes milliseconds. It needs no file at run time.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use crate::model::{Model, PartsError};
use crate::train::examples::{CsvError, CsvOptions, Limits, read_csv};
use crate::train::{Settings, TrainError, Unobserved, train};

/// The name under which it answers.
pub const NAME: &str = "news-statements";
/// Its only version; stored models start at 1.
pub const VERSION: u64 = 0;

const TRAINING_CSV: &str = include_str!("../models/news-statements/train.csv");

/// Why there is no built-in model: the program was built from unusable sentences.
#[derive(Debug, thiserror::Error)]
pub enum BuiltInError {
    /// The CSV cannot be read.
    #[error("the built-in examples cannot be read")]
    Csv(#[from] CsvError),
    /// The examples cannot be learned from.
    #[error("the built-in examples cannot be learned from")]
    Train(#[from] TrainError),
    /// Training gave parts that are not a model.
    #[error("the built-in model is unusable")]
    Parts(#[from] PartsError),
}

static MODEL: LazyLock<Result<Arc<Model>, BuiltInError>> = LazyLock::new(train_it);

/// Returns the built-in model; the first call trains it, on the current rayon pool.
///
/// # Errors
///
/// Only in a program that was built from unusable sentences.
pub fn model() -> Result<Arc<Model>, &'static BuiltInError> {
    MODEL.as_ref().map(Arc::clone)
}

fn train_it() -> Result<Arc<Model>, BuiltInError> {
    let csv = TRAINING_CSV.as_bytes();
    let watch = |_| ControlFlow::Continue(());
    let dataset = read_csv(csv, &CsvOptions::default(), &Limits::default(), watch)?;
    let parts = train(&dataset, &Settings::default(), &Unobserved)?;
    Ok(Arc::new(Model::try_new(&parts)?))
}
