//! The scorer against its formula.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{ChosenSettings, Formula, Model, Options, Parts, Scorer, Weighting, arbitrary};
use crate::features::{Analysis, View, hash};

/// A model that knows about half of the features of these sentences, and half of their tokens.
fn parts_for(sentences: &[String], n_labels: u16, weighting: Weighting, seed: u64) -> Parts {
    let (mut hashes, mut vocabulary) = (BTreeSet::new(), BTreeSet::new());
    let mut analysis = Analysis::default();
    for sentence in sentences {
        analysis.analyse(sentence);
        for view in View::ALL {
            view.for_each(&analysis, |hash, _| {
                hashes.insert(hash);
            });
        }
        vocabulary.extend(analysis.tokens().iter().map(|t| analysis.folded(t).to_owned()));
    }
    hashes.retain(|hash| hash::extend(seed, *hash).is_multiple_of(2));
    vocabulary.retain(|token| hash::extend(seed, hash::token(token)).is_multiple_of(2));
    let mut state = seed;
    let mut next = || {
        state = hash::extend(state, 1);
        f32::from(u16::try_from(state % 1000).expect("below 1000")) / 1000.0
    };
    let mut parts = arbitrary::example(1);
    let labels = 0..n_labels;
    parts.metadata.labels = labels.clone().map(|label| format!("{label:05}")).collect();
    parts.metadata.label_counts = vec![7; usize::from(n_labels)];
    parts.metadata.settings = ChosenSettings { weighting, ..parts.metadata.settings };
    parts.offsets = labels.clone().map(|_| f64::from(next())).collect();
    parts.background =
        (0..usize::from(n_labels) * View::ALL.len()).map(|_| -f64::from(next())).collect();
    parts.masses = hashes.iter().map(|_| next()).collect();
    parts.squares = match weighting {
        Weighting::Presence => Vec::new(),
        Weighting::Idf => hashes.iter().map(|_| next() + 0.1).collect(),
    };
    (parts.entry_starts, parts.entry_labels, parts.entry_values) = (vec![0], vec![], vec![]);
    for _ in &hashes {
        for label in labels.clone() {
            if next() < 0.4 {
                parts.entry_labels.push(label);
                parts.entry_values.push(next() * 2.0 - 1.0);
            }
        }
        parts.entry_starts.push(u32::try_from(parts.entry_labels.len()).expect("few entries"));
    }
    parts.hashes = hashes.into_iter().collect();
    parts.vocabulary = vocabulary.into_iter().collect();
    parts
}

proptest! {
    #[test]
    fn scores_are_those_of_the_formula(
        sentences in prop::collection::vec("(the |a |Ann |No |12 |[a-d]{1,4} |[.,é政ﬁ]|\\PC){0,40}", 1..6),
        n_labels in prop::sample::select(vec![2u16, 3, 4, 5, 8, 9, 40]),
        is_idf in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let weighting = if is_idf { Weighting::Idf } else { Weighting::Presence };
        // The last sentence is one the model was not made for.
        let known = sentences.len().saturating_sub(1).max(1);
        let parts = parts_for(&sentences[..known], n_labels, weighting, seed);
        let model = Model::try_new(&parts).expect("valid parts");
        let (mut scorer, mut analysis) = (Scorer::default(), Analysis::default());
        for sentence in &sentences {
            analysis.analyse(sentence);
            let wanted = Formula::new(&parts).probabilities(&analysis);
            let options = Options { explain: true, ..Options::default() };
            let got = scorer.classify(&model, sentence, &options);
            for (got, wanted) in got.probabilities.iter().zip(&wanted) {
                prop_assert!((got - wanted).abs() < 1e-5, "{got} instead of {wanted}: {sentence:?}");
            }
            let unknown = analysis.tokens().iter().filter(|t| {
                let folded = analysis.folded(t).to_owned();
                parts.vocabulary.binary_search(&folded).is_err()
            });
            prop_assert_eq!(got.unknown_token_count as usize, unknown.count());
            prop_assert_eq!(got.token_count as usize, analysis.tokens().len());
            let why = got.explanation.as_ref().expect("it was asked for");
            let listed: f64 = why.contributions.iter().map(|c| c.log_odds).sum();
            let difference =
                got.probabilities[why.label].ln() - got.probabilities[why.against].ln();
            let explained = why.prior_log_odds + listed + why.rest_log_odds;
            prop_assert!((explained - difference).abs() < 1e-9 || got.probabilities[why.against] < 1e-30);
        }
    }
}
