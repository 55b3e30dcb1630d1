//! The answer for one sentence.

use crate::features::Span;

/// The answer for one sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// A label, or why there is none.
    pub outcome: Outcome,
    /// Calibrated probabilities in label order; they sum to 1.
    pub probabilities: Vec<f64>,
    /// Number of tokens in the sentence.
    pub token_count: u32,
    /// How many of them did not occur in the training data.
    pub unknown_token_count: u32,
    /// The reasons, when asked for.
    pub explanation: Option<Explanation>,
}

/// A label, or why there is none. Labels are positions in the model's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The best label.
    Label(usize),
    /// No label is given.
    Abstained(AbstainReason),
}

/// Why an answer has no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbstainReason {
    /// The best label's probability is below the threshold.
    LowProbability,
    /// No feature of the sentence occurred in training.
    NoKnownTokens,
}

impl Default for Classification {
    /// That of no sentence, by a model without labels.
    fn default() -> Self {
        Self {
            outcome: Outcome::Abstained(AbstainReason::NoKnownTokens),
            probabilities: Vec::new(),
            token_count: 0,
            unknown_token_count: 0,
            explanation: None,
        }
    }
}

impl Classification {
    /// Returns labels with their probabilities, best first, ties in label order; `top_k` of them, or
    /// all for 0.
    #[must_use]
    pub fn ranked(&self, top_k: usize) -> Vec<(usize, f64)> {
        let mut ranked: Vec<_> = self.probabilities.iter().copied().enumerate().collect();
        let wanted = if top_k == 0 { ranked.len() } else { top_k.min(ranked.len()) };
        let best_first =
            |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if wanted < ranked.len() {
            ranked.select_nth_unstable_by(wanted, best_first);
            ranked.truncate(wanted);
        }
        ranked.sort_unstable_by(best_first);
        ranked
    }
}

/// Why the best label won against the runner-up, as log odds in nats.
///
/// `prior + Σ contributions + rest` is the difference of the two labels' log probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The best label.
    pub label: usize,
    /// The runner-up.
    pub against: usize,
    /// Difference of the labels' offsets.
    pub prior_log_odds: f64,
    /// The features with the largest effect, by descending absolute value.
    pub contributions: Vec<Contribution>,
    /// The sum of those that are not listed.
    pub rest_log_odds: f64,
}

/// What one feature added.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The feature as text, as [`crate::features::View::write`] writes it.
    pub feature: String,
    /// Its part of the log odds, in nats.
    pub log_odds: f64,
    /// Where it stands, in the order of the sentence, in UTF-8 bytes.
    pub spans: Vec<Span>,
}
