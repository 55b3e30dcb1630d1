//! What a model knows about itself: labels, settings, where it comes from, how good it is.
//!
//! Stored as JSON in the model file. It holds nothing that differs between two trainings on the same
//! data with the same settings: no time, no name, no version.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use crate::features::View;

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
