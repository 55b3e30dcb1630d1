//! What a model knows about itself: labels, settings, where it comes from, how good it is.
//!
//! Stored as JSON in the model file. It holds nothing that differs between two trainings on the same
//! data with the same settings: no time, no name, no version.

use serde::{Deserialize, Serialize};

use super::{Evaluation, PartsError};
use crate::features::{FEATURES_VERSION, View};

/// Most labels a model may have.
pub const MAX_LABELS: usize = 10_000;

/// A model's description of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// [`crate::features::FEATURES_VERSION`] at training.
    pub features_version: u32,
    /// Labels, ascending by their UTF-8 bytes; at least 2.
    pub labels: Vec<String>,
    /// Number of training examples per label.
    pub label_counts: Vec<u64>,
    /// The settings, as chosen.
    pub settings: ChosenSettings,
    /// The model's own threshold for abstaining, in [0, 1].
    pub min_probability: f64,
    /// BLAKE3 digest of the training examples, 64 hexadecimal digits.
    pub data_digest: String,
    /// How good it is, judged out of fold at training.
    pub evaluation: Evaluation,
}

impl Metadata {
    /// Number of examples that were counted, where the evaluation judged only a sample of them.
    #[must_use]
    pub fn sampled_from(&self) -> Option<u64> {
        let n_counted = self.label_counts.iter().sum();
        (self.evaluation.example_count < n_counted).then_some(n_counted)
    }

    /// Whether sums are divided by lengths, so that rows have squares.
    pub(super) fn is_normalised(&self) -> bool {
        self.settings.weighting == Weighting::Idf
    }

    /// Checks what scoring relies on.
    ///
    /// # Errors
    ///
    /// Names the first part that is wrong, and how.
    pub(super) fn check(&self) -> Result<(), PartsError> {
        let n = self.labels.len();
        let views = &self.settings.views;
        let (part, problem) = if self.features_version != FEATURES_VERSION {
            let got = self.features_version;
            ("features_version", format!("{got}, this program has {FEATURES_VERSION}"))
        } else if !(2..=MAX_LABELS).contains(&n) {
            ("labels", format!("{n}, allowed are 2 to {MAX_LABELS}"))
        } else if !self.labels.is_sorted_by(|a, b| a < b) {
            ("labels", "not ascending and distinct".to_owned())
        } else if self.label_counts.len() != n {
            ("label_counts", format!("{} for {n} labels", self.label_counts.len()))
        } else if !views.is_sorted_by(|a, b| a.view < b.view) {
            ("views", "not ascending and distinct".to_owned())
        } else if !(0.0..=1.0).contains(&self.min_probability) {
            ("min_probability", format!("{} is outside [0, 1]", self.min_probability))
        } else {
            return Ok(());
        };
        Err(PartsError::new(part, problem))
    }
}

/// The settings a model was trained with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenSettings {
    /// How features are weighted.
    pub weighting: Weighting,
    /// The views, in the order of [`View::ALL`]; views that are not used are absent.
    pub views: Vec<ChosenView>,
    /// Number of folds of the out-of-fold scores.
    pub folds: u32,
    /// Seed of the fold assignment.
    pub seed: u64,
    /// Strength of the ridge that holds the features' own weights to their view's weight; `None`
    /// where every feature has its view's weight.
    pub refinement: Option<f64>,
}

impl ChosenSettings {
    /// The views that have features.
    pub(super) fn used_views(&self) -> Vec<View> {
        // One of weight 0 has none.
        let used = self.views.iter().filter(|chosen| chosen.weight > 0.0);
        used.map(|chosen| chosen.view).collect()
    }
}

/// One view as it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenView {
    /// The view.
    pub view: View,
    /// Lidstone smoothing, above 0.
    pub alpha: f64,
    /// Weight in the pooled sum, at least 0. The model has no features of a view of weight 0.
    pub weight: f64,
}

/// How features are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Presence (words, shapes) and counts (characters).
    Presence,
    /// The same times inverse document frequency, normalised by length.
    Idf,
}
