//! What a person wants to see of a training or an evaluation, as one HTML page that needs nothing else:
//! no script, no file beside it, no network.
//!
//! - `page`: the page from top to bottom; `style.css` is what it looks like.
//! - `curves`: reliability, coverage, growth; `chart`: curves as SVG.
//! - `sentences`: confused and disputed ones, and what was found in the data.
//! - `words`: figures, labels and sentences as they are written.
//! - `matrix`: what was taken for what, as a heat map.
//! - `reliability`: probabilities beside how often they are right.
//! - [`learning`]: how the figures grow with the data.
//! - [`telling`]: the n-grams that speak most for each label.

mod chart;
mod curves;
pub mod learning;
mod matrix;
mod page;
mod reliability;
mod sentences;
pub mod telling;
mod words;

use crate::model::{Evaluation, Model};
use crate::train::Judged;
use crate::train::examples::{DataReport, Dataset};
use learning::Learning;
use telling::Telling;
pub use words::whole;

/// What the page is made of.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Name and version of the model.
    pub title: &'a str,
    /// The model.
    pub model: &'a Model,
    /// The examples it was judged on.
    pub dataset: &'a Dataset,
    /// What was found in the rows of its data.
    pub data_report: &'a DataReport,
    /// The judgement of each of them, in their order.
    pub judged: &'a [Judged],
    /// The figures.
    pub evaluation: &'a Evaluation,
    /// What only a training can tell.
    pub training: Option<&'a Training>,
}

/// What only a training can tell.
#[derive(Debug, Clone)]
pub struct Training {
    /// How the figures grow with the data.
    pub learning: Learning,
    /// The most telling n-grams of each label.
    pub telling: Vec<Telling>,
}

/// The page could not be made; a defect of this program.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a chart: {0}")]
pub struct ReportError(String);

impl Report<'_> {
    /// Returns the page.
    ///
    /// # Errors
    ///
    /// [`ReportError`] when a chart cannot be drawn.
    pub fn page(&self) -> Result<String, ReportError> {
        page::page(self)
    }
}

/// A number of things as a real number.
#[allow(clippy::cast_precision_loss, reason = "numbers of sentences stay below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}
