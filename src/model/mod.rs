//! The immutable classifier: labels, tables, scores, reasons.
//!
//! A [`Model`] is made once and never changes: of the [`Parts`] that a training gives, or of the checked [`Arrays`]
//! of a file, which are those of its table. A [`Scorer`] holds the buffers of one thread and classifies with any model.
//!
//! The score of a label is
//!
//! ```text
//! score(k) = offset[k] + Σ over views v of 1/length[v] · Σ over the sentence's known features f of v of
//!            count(f) · (mass[f] · background[v][k] + entry[f][k])
//! ```
//!
//! with `count(f)` 1 but in the character view, and `length[v]` 1, or for length-normalised models
//! the root of the summed `square[f]` (character view: summed over tokens, see `score`).
//! Probabilities are the softmax of the scores.

mod add;
#[cfg(test)]
pub(crate) mod arbitrary;
mod arrays;
mod build;
mod classification;
mod evaluation;
mod explain;
mod fixed;
mod formula;
mod index;
mod known;
mod met;
mod metadata;
mod parts;
mod row;
mod rows;
mod score;
#[cfg(test)]
mod score_tests;
mod stored;
mod table;
mod token_rows;

pub use arrays::{Array, Arrays, Number, Numbers};
pub use classification::{AbstainReason, Classification, Contribution, Explanation, Outcome};
pub use evaluation::{ConfusionCell, CoveragePoint, Evaluation, LabelEvaluation, Method};
pub use formula::Formula;
pub use metadata::{ChosenSettings, ChosenView, MAX_LABELS, Metadata, Weighting};
pub use parts::{Parts, PartsError};
pub use score::{Options, Scorer};

use crate::features::{Analysis, Gram, View};
use table::Table;

/// A trained classifier. Immutable; share it behind an `Arc`.
#[derive(Debug, PartialEq)]
pub struct Model {
    metadata: Metadata,
    n_features: usize,
    table: Table,
}

impl Model {
    /// Makes a model of parts, after checking everything that scoring relies on.
    ///
    /// # Errors
    ///
    /// Says which part is at fault and how: wrong length, unsorted hashes, a number that is not finite.
    pub fn try_new(parts: &Parts) -> Result<Self, PartsError> {
        parts.check()?;
        let model = Self {
            metadata: parts.metadata.clone(),
            n_features: parts.hashes.len(),
            table: Table::new(parts),
        };
        // Sums of good numbers may be too large.
        model.check()?;
        Ok(model)
    }

    /// What is known about the model besides its tables.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The labels, ascending by their UTF-8 bytes. Scores and probabilities follow this order.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.metadata.labels
    }

    /// Number of features.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// What one n-gram of an analysed sentence adds to each label before lengths are taken into account, up to a
    /// number that is the same for all labels; `None` if it is no feature of the model, or adds nothing. For all
    /// views but that of characters.
    #[must_use]
    pub fn values(
        &self,
        view: View,
        analysis: &Analysis,
        hash: u64,
        gram: Gram,
    ) -> Option<Vec<f64>> {
        let row = self.table.row(view, analysis, hash, gram)?;
        let background = self.table.background(view);
        let values = background.iter().map(|background| row.mass * background);
        let mut values: Vec<f64> = values.collect();
        row.add_to(&mut values, 1.0);
        Some(values)
    }

    /// Whether [`Self::values`] has values.
    #[must_use]
    pub fn knows(&self, view: View, analysis: &Analysis, hash: u64, gram: Gram) -> bool {
        self.table.row(view, analysis, hash, gram).is_some()
    }
}
