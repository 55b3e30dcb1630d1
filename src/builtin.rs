//! The model the program carries, so that it answers without any file at run time.
//!
//! The binary holds the labelled sentences and the model that training on them gives. It answers from
//! the latter, which is read in milliseconds; `tests/it/builtin.rs` proves that training gives
//! the same bytes, and `cargo run --release --example builtin` writes them anew.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use crate::model::{Model, PartsError};
use crate::store::{FormatError, format};
use crate::train::examples::{CsvError, CsvOptions, Limits, read_csv};
use crate::train::{Settings, TrainError, Unobserved};

/// The name under which it answers.
pub const NAME: &str = "news-statements";
/// Its only version; stored models start at 1.
pub const VERSION: u64 = 0;
/// Its labelled sentences.
pub const TRAINING_CSV: &str = include_str!("../models/news-statements/train.csv");
/// Its file.
pub const FILE: &[u8] = include_bytes!("../models/news-statements/model.safetensors");

/// Why there is no built-in model: the program was built from an unusable file.
#[derive(Debug, thiserror::Error)]
pub enum BuiltInError {
    /// The file is not a model.
    #[error("the built-in file is not a model")]
    Format(#[from] FormatError),
    /// What was learned is not a model.
    #[error("the built-in model is unusable")]
    Parts(#[from] PartsError),
    /// The CSV cannot be read.
    #[error("the built-in examples cannot be read")]
    Csv(#[from] CsvError),
    /// The examples cannot be learned from.
    #[error("the built-in examples cannot be learned from")]
    Train(#[from] TrainError),
}

static MODEL: LazyLock<Result<Arc<Model>, BuiltInError>> =
    LazyLock::new(|| Ok(Arc::new(format::decode(FILE)?)));

/// Returns the built-in model; the first call reads it.
///
/// # Errors
///
/// Only in a program that was built from an unusable file.
pub fn model() -> Result<Arc<Model>, &'static BuiltInError> {
    MODEL.as_ref().map(Arc::clone)
}

/// Trains the built-in model anew from its sentences.
///
/// # Errors
///
/// Only in a program that was built from unusable sentences.
pub fn train() -> Result<Model, BuiltInError> {
    let watch = |_| ControlFlow::Continue(());
    let csv = TRAINING_CSV.as_bytes();
    let dataset = read_csv(csv, &CsvOptions::default(), &Limits::default(), watch)?;
    let trained = crate::train::train(&dataset, &Settings::default(), &Unobserved)?;
    Ok(Model::try_new(&trained.parts)?)
}
