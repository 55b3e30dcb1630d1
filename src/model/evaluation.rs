//! How good a model is on labelled sentences: the numbers, not how they are made
//! (`train/evaluate` makes them).

use serde::{Deserialize, Serialize};

/// The judgement of a model on labelled sentences. Shares are in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Number of sentences judged.
    pub example_count: u64,
    /// Share of sentences whose best label is right, abstaining or not.
    pub accuracy: f64,
    /// Mean of the labels' F1.
    pub macro_f1: f64,
    /// Mean negative log probability of the right label, in nats.
    pub log_loss: f64,
    /// Mean gap between the best label's probability and how often it is right, over 10 equal bins.
    pub expected_calibration_error: f64,
    /// Per label, in label order.
    pub labels: Vec<LabelEvaluation>,
    /// Cells above zero, by right label, then by given label.
    pub confusion: Vec<ConfusionCell>,
    /// By ascending threshold.
    pub coverage: Vec<CoveragePoint>,
    /// How the sentences relate to the training data.
    pub method: Method,
    /// BLAKE3 digest of the judged examples, 64 hexadecimal digits.
    pub data_digest: String,
}

/// How well one label is told from the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelEvaluation {
    /// The label.
    pub label: String,
    /// Of the sentences given this label, the share that is right; 0 where none was given it.
    pub precision: f64,
    /// Of the sentences of this label, the share that was given it; 0 where there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of sentences of this label.
    pub support: u64,
}

/// How often sentences of one label were given another (or the same).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfusionCell {
    /// The right label.
    pub label: String,
    /// The label that was given.
    pub predicted: String,
    /// Number of sentences.
    pub count: u64,
}

/// What a threshold costs and gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoveragePoint {
    /// The threshold.
    pub min_probability: f64,
    /// Share of sentences that get an answer.
    pub coverage: f64,
    /// Share of these answers that is right; 0 where there is no answer.
    pub accuracy: f64,
}

/// How judged sentences relate to the training data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every sentence was judged by tables and weights that had not seen it.
    OutOfFold,
    /// The sentences were given for evaluation.
    GivenExamples,
}
