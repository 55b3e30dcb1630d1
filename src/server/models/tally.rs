//! What a version has answered since it is in memory: the figures in which drift shows.

use crate::model::{AbstainReason, Classification, Outcome};
use crate::server::metrics::figures::Count;

/// Labels that are counted each for itself; the others are counted together.
const MAX_LABELS: usize = 64;

/// What a version has answered. No text: labels are positions.
#[derive(Debug)]
pub(crate) struct Tally {
    labels: Box<[Count]>,
    other_labels: Count,
    low_probability: Count,
    no_known_tokens: Count,
    tokens: Count,
    unknown_tokens: Count,
}

impl Tally {
    /// Nothing yet, for a model with so many labels.
    pub(crate) fn new(n_labels: usize) -> Self {
        Self {
            labels: (0..n_labels.min(MAX_LABELS)).map(|_| Count::default()).collect(),
            other_labels: Count::default(),
            low_probability: Count::default(),
            no_known_tokens: Count::default(),
            tokens: Count::default(),
            unknown_tokens: Count::default(),
        }
    }

    /// Counts an answer.
    pub(crate) fn count(&self, answer: &Classification) {
        let count = match answer.outcome {
            Outcome::Label(label) => self.labels.get(label).unwrap_or(&self.other_labels),
            Outcome::Abstained(AbstainReason::LowProbability) => &self.low_probability,
            Outcome::Abstained(AbstainReason::NoKnownTokens) => &self.no_known_tokens,
        };
        count.add(1);
        self.tokens.add(answer.token_count.into());
        if answer.unknown_token_count > 0 {
            self.unknown_tokens.add(answer.unknown_token_count.into());
        }
    }

    /// Answers by the label's position, the last entry being all further labels.
    pub(crate) fn by_label(&self) -> impl Iterator<Item = (Option<usize>, u64)> {
        let each = self.labels.iter().enumerate().map(|(label, n)| (Some(label), n.get()));
        each.chain([(None, self.other_labels.get())])
    }

    /// Answers without a label, by why.
    pub(crate) fn abstained(&self) -> [(&'static str, u64); 2] {
        [
            ("low_probability", self.low_probability.get()),
            ("no_known_tokens", self.no_known_tokens.get()),
        ]
    }

    /// All answers.
    pub(crate) fn sentences(&self) -> u64 {
        let with_label: u64 = self.by_label().map(|(_, n)| n).sum();
        with_label + self.abstained().iter().map(|(_, n)| n).sum::<u64>()
    }

    /// Tokens of all sentences.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens.get()
    }

    /// Those that training had not seen.
    pub(crate) fn unknown_tokens(&self) -> u64 {
        self.unknown_tokens.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: Outcome) -> Classification {
        Classification {
            outcome,
            probabilities: Vec::new(),
            token_count: 5,
            unknown_token_count: 2,
            explanation: None,
        }
    }

    #[test]
    fn answers_are_counted_by_label_and_reason() {
        let tally = Tally::new(1_000);
        for outcome in [
            Outcome::Label(0),
            Outcome::Label(0),
            Outcome::Label(999),
            Outcome::Abstained(AbstainReason::LowProbability),
        ] {
            tally.count(&answer(outcome));
        }
        let by_label: Vec<_> = tally.by_label().collect();
        assert_eq!((by_label.len(), by_label[0], by_label[64]), (65, (Some(0), 2), (None, 1)));
        assert_eq!(tally.abstained()[0].1, 1);
        assert_eq!((tally.sentences(), tally.tokens(), tally.unknown_tokens()), (4, 20, 8));
    }
}
