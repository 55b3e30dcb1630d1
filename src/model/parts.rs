//! What a model is made of, as training gives it, and the check that makes it safe to build a table of.

use super::{Metadata, Weighting};
use crate::features::View;

/// The arrays of a model. Features stand in ascending order of their hash; a feature's entries are
/// the labels for which it differs from the background.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// Labels, settings, evaluation.
    pub metadata: Metadata,
    /// `n_labels`: what each label scores before any feature.
    pub offsets: Vec<f64>,
    /// `View::ALL.len() × n_labels`, row-major: what one unit of a feature's mass adds to each label. Rows
    /// of views that are not used are 0.
    pub background: Vec<f64>,
    /// `n_features`, ascending: the features' hashes.
    pub hashes: Vec<u64>,
    /// `n_features`: how much of the background a feature brings, at least 0.
    pub masses: Vec<f32>,
    /// `n_features`: what a feature adds to the squared length of a sentence, above 0; empty with
    /// [`Weighting::Presence`], where lengths are 1.
    pub squares: Vec<f32>,
    /// `n_features + 1`, ascending from 0: where each feature's entries begin; the last is `n_entries`.
    pub entry_starts: Vec<u32>,
    /// `n_entries`: the entries' labels, ascending within a feature.
    pub entry_labels: Vec<u16>,
    /// `n_entries`: what the entry's label gets beyond the background.
    pub entry_values: Vec<f32>,
    /// The folded text of every token that occurred in training, ascending by their bytes. Serving
    /// precomputes their character features.
    pub vocabulary: Vec<String>,
}

/// What is wrong with one of the parts or arrays of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct PartsError {
    part: String,
    problem: String,
}

impl PartsError {
    /// Says what is wrong with a part.
    pub fn new(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { part: part.into(), problem: problem.into() }
    }
}

impl Parts {
    /// Checks everything that scoring relies on.
    ///
    /// # Errors
    ///
    /// Names the first part that is wrong, and how.
    pub fn check(&self) -> Result<(), PartsError> {
        self.metadata.check()?;
        self.check_lengths()?;
        self.check_numbers()?;
        self.check_order()
    }

    fn check_lengths(&self) -> Result<(), PartsError> {
        let (n_labels, n_features) = (self.metadata.labels.len(), self.hashes.len());
        let n_squares = match self.metadata.settings.weighting {
            Weighting::Presence => 0,
            Weighting::Idf => n_features,
        };
        let n_entries = self.entry_labels.len();
        let last = self.entry_starts.last().copied().unwrap_or_default() as usize;
        for (part, got, wanted) in [
            ("offsets", self.offsets.len(), n_labels),
            ("background", self.background.len(), View::ALL.len() * n_labels),
            ("masses", self.masses.len(), n_features),
            ("squares", self.squares.len(), n_squares),
            ("entry_starts", self.entry_starts.len(), n_features + 1),
            ("entry_values", self.entry_values.len(), n_entries),
            ("entry_starts: last", last, n_entries),
        ] {
            if got != wanted {
                return wrong(part, format!("{got} values, expected {wanted}"));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), PartsError> {
        let finite32 = |values: &[f32]| values.iter().all(|v| v.is_finite());
        let finite64 = |values: &[f64]| values.iter().all(|v| v.is_finite());
        for (part, good) in [
            ("offsets", finite64(&self.offsets)),
            ("background", finite64(&self.background)),
            ("masses", self.masses.iter().all(|v| v.is_finite() && *v >= 0.0)),
            ("squares", self.squares.iter().all(|v| v.is_finite() && *v > 0.0)),
            ("entry_values", finite32(&self.entry_values)),
        ] {
            if !good {
                return wrong(part, "a value is not finite or out of range");
            }
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), PartsError> {
        let n_labels = self.metadata.labels.len();
        if !self.hashes.is_sorted_by(|a, b| a < b) {
            return wrong("hashes", "not ascending and distinct");
        }
        if !self.vocabulary.is_sorted_by(|a, b| a < b) {
            return wrong("vocabulary", "not ascending and distinct");
        }
        if self.entry_starts.first() != Some(&0) || !self.entry_starts.is_sorted() {
            return wrong("entry_starts", "not ascending from 0");
        }
        for bounds in self.entry_starts.windows(2) {
            let &[start, end] = bounds else { continue };
            let row = self.entry_labels.get(start as usize..end as usize).unwrap_or_default();
            let in_range = row.last().is_none_or(|last| usize::from(*last) < n_labels);
            if !in_range || !row.is_sorted_by(|a, b| a < b) {
                return wrong("entry_labels", "not ascending within a feature, or not a label");
            }
        }
        Ok(())
    }
}

fn wrong(part: &str, problem: impl Into<String>) -> Result<(), PartsError> {
    Err(PartsError::new(part, problem))
}
