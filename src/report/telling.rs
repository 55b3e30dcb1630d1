//! The n-grams that speak most for each label, with their text.
//!
//! A model holds hashes only: the text is found by going through the examples again. Parts of words
//! are left out; what they say is said by the words.

use std::collections::{HashMap, HashSet};

use crate::features::{Analysis, HashIndex, View};
use crate::model::Parts;
use crate::train::examples::Dataset;

/// Sentences that an n-gram has to occur in: what is rarer may be chance.
const MIN_SENTENCES: u32 = 3;
/// Most n-grams of a label.
const MAX_NGRAMS: usize = 10;
/// N-grams that are looked at for that: some say the same in several views or lengths.
const N_CANDIDATES: usize = 4 * MAX_NGRAMS;
/// Where n-grams are looked for.
const VIEWS: [View; 4] = [View::Word1, View::Word2, View::Word3, View::Shape];

/// An n-gram that speaks for a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Ngram {
    /// Its text, as [`View::write`] writes it.
    pub text: String,
    /// How much it speaks for the label against the one it speaks for next, in nats.
    pub log_odds: f64,
    /// Number of sentences it occurs in.
    pub n_sentences: u32,
}

impl Ngram {
    /// Whether one holds the other and stands in the same sentences.
    fn says_the_same(&self, other: &Self) -> bool {
        let spaced = |ngram: &Self| format!(" {} ", ngram.text);
        let (this, that) = (spaced(self), spaced(other));
        self.n_sentences == other.n_sentences && (this.contains(&that) || that.contains(&this))
    }
}

/// The n-grams that speak most for one label, the strongest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    /// The label.
    pub label: String,
    /// Its n-grams.
    pub ngrams: Vec<Ngram>,
}

/// Where a feature of the model occurs in the examples.
#[derive(Debug, Clone, Copy, Default)]
struct Occurrence {
    n_sentences: u32,
    view: Option<View>,
    /// The last sentence it was seen in, from 1.
    last: usize,
}

/// Finds the most telling n-grams of every label.
#[must_use]
pub fn find(parts: &Parts, dataset: &Dataset) -> Vec<Telling> {
    let index = HashIndex::new(&parts.hashes);
    let occurrences = occurrences(parts, dataset, &index);
    let candidates = candidates(parts, &occurrences);
    let wanted = candidates.iter().flatten().map(|(_, feature)| *feature).collect();
    let texts = texts(dataset, &index, wanted);
    let labels = parts.metadata.labels.iter().zip(candidates);
    labels
        .map(|(label, candidates)| {
            let mut ngrams: Vec<Ngram> = Vec::with_capacity(MAX_NGRAMS);
            for (log_odds, feature) in candidates {
                let text = texts.get(&feature).cloned();
                let n_sentences = occurrences.get(feature).map(|found| found.n_sentences);
                let (Some(text), Some(n_sentences)) = (text, n_sentences) else { continue };
                let ngram = Ngram { text, log_odds, n_sentences };
                if !ngrams.iter().any(|known| known.says_the_same(&ngram)) {
                    ngrams.push(ngram);
                }
            }
            ngrams.truncate(MAX_NGRAMS);
            Telling { label: label.clone(), ngrams }
        })
        .collect()
}

/// Calls `each` with every n-gram of every example that the model has a feature for.
fn for_each_feature(
    dataset: &Dataset,
    index: &HashIndex,
    mut each: impl FnMut(usize, usize, View, &dyn Fn() -> String),
) {
    let mut analysis = Analysis::default();
    for (example, at) in dataset.examples.iter().zip(1..) {
        analysis.analyse(&example.text);
        for view in VIEWS {
            view.for_each(&analysis, |hash, gram| {
                let feature = index.get(hash).and_then(|feature| usize::try_from(feature).ok());
                if let Some(feature) = feature {
                    each(at, feature, view, &|| view.write(&analysis, gram));
                }
            });
        }
    }
}

fn occurrences(parts: &Parts, dataset: &Dataset, index: &HashIndex) -> Vec<Occurrence> {
    let mut occurrences = vec![Occurrence::default(); parts.hashes.len()];
    for_each_feature(dataset, index, |at, feature, view, _| {
        if let Some(found) = occurrences.get_mut(feature)
            && found.last != at
        {
            found.last = at;
            found.n_sentences += 1;
            found.view = Some(view);
        }
    });
    occurrences
}

/// Returns log odds and feature of the strongest features of each label, the strongest first.
///
/// A model that normalises by length gives rare features the highest log odds, so what occurs more
/// often comes before what is as strong: log odds count times the logarithm of the sentences.
fn candidates(parts: &Parts, occurrences: &[Occurrence]) -> Vec<Vec<(f64, usize)>> {
    let mut by_label = vec![Vec::new(); parts.metadata.labels.len()];
    for (feature, found) in occurrences.iter().enumerate() {
        let view = found.view.filter(|_| found.n_sentences >= MIN_SENTENCES);
        let Some((label, log_odds)) = view.and_then(|view| speaks_for(parts, feature, view)) else {
            continue;
        };
        if let Some(of_label) = by_label.get_mut(label).filter(|_| log_odds > 0.0) {
            of_label.push((log_odds, feature));
        }
    }
    for of_label in &mut by_label {
        let strength = |(log_odds, feature): &(f64, usize)| {
            let n_sentences = occurrences.get(*feature).map_or(0, |found| found.n_sentences);
            log_odds * f64::from(n_sentences).ln_1p()
        };
        of_label.sort_unstable_by(|a: &(f64, usize), b| {
            strength(b).total_cmp(&strength(a)).then(a.1.cmp(&b.1))
        });
        of_label.truncate(N_CANDIDATES);
    }
    by_label
}

/// Returns the label that a feature speaks for, and how much against the next.
fn speaks_for(parts: &Parts, feature: usize, view: View) -> Option<(usize, f64)> {
    let n_labels = parts.metadata.labels.len();
    let start = |at: usize| parts.entry_starts.get(at).and_then(|s| usize::try_from(*s).ok());
    let range = start(feature)?..start(feature + 1)?;
    let labels = parts.entry_labels.get(range.clone())?;
    let mass = f64::from(*parts.masses.get(feature)?);
    let first = view.index() * n_labels;
    let background = parts.background.get(first..first + n_labels)?;
    let mut values: Vec<f64> = background.iter().map(|background| mass * background).collect();
    for (label, value) in labels.iter().zip(parts.entry_values.get(range)?) {
        if let Some(slot) = values.get_mut(usize::from(*label)) {
            *slot += f64::from(*value);
        }
    }
    let (mut best, mut next) = ((0, f64::NEG_INFINITY), f64::NEG_INFINITY);
    for (label, value) in values.into_iter().enumerate() {
        if value > best.1 {
            next = best.1;
            best = (label, value);
        } else {
            next = next.max(value);
        }
    }
    Some((best.0, best.1 - next))
}

fn texts(
    dataset: &Dataset,
    index: &HashIndex,
    mut wanted: HashSet<usize>,
) -> HashMap<usize, String> {
    let mut texts = HashMap::with_capacity(wanted.len());
    for_each_feature(dataset, index, |_, feature, _, text| {
        if wanted.remove(&feature) {
            texts.insert(feature, text());
        }
    });
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::examples::{CsvOptions, Limits, read_csv};
    use crate::train::{Settings, Unobserved, train};

    #[test]
    fn what_holds_another_in_the_same_sentences_says_the_same() {
        let ngram =
            |text: &str, n_sentences| Ngram { text: text.into(), log_odds: 1.0, n_sentences };
        let known = ngram("confirmed .", 30);
        assert!(known.says_the_same(&ngram("confirmed . </s>", 30)));
        assert!(known.says_the_same(&ngram("confirmed", 30)));
        assert!(!known.says_the_same(&ngram("confirmed", 83)));
        assert!(!known.says_the_same(&ngram("unconfirmed .", 30)));
    }

    #[test]
    fn the_words_that_tell_labels_apart_are_found_with_their_text() {
        let mut csv = "text,label\n".to_owned();
        for (at, place) in ["home", "work", "sea", "bank", "door", "shop"].iter().enumerate() {
            csv += &format!("My card is at the {place} number {at},card\n");
            csv += &format!("Refund the money of the {place} number {at},refund\n");
        }
        let proceed = |_| std::ops::ControlFlow::Continue(());
        let dataset = read_csv(csv.as_bytes(), &CsvOptions::default(), &Limits::default(), proceed)
            .expect("a dataset");
        // Words alone, so that they are sure to have a weight.
        let settings = Settings { views: vec![View::Word1], ..Settings::default() };
        let trained = train(&dataset, &settings, &Unobserved).expect("a model");
        let telling = find(&trained.parts, &dataset);
        let words = |label: usize| -> Vec<&str> {
            telling[label].ngrams.iter().map(|ngram| ngram.text.as_str()).collect()
        };
        assert_eq!(telling[0].label, "card");
        assert!(words(0).contains(&"card") && !words(0).contains(&"refund"), "{telling:?}");
        assert!(words(1).contains(&"refund") && !words(1).contains(&"home"), "{telling:?}");
        let refund = telling[1].ngrams.iter().find(|ngram| ngram.text == "refund");
        assert!(refund.is_some_and(|n| n.n_sentences == 6 && n.log_odds > 0.0), "{telling:?}");
        // One n-gram of those that stand in the same sentences within each other.
        for of in &telling {
            for (at, ngram) in of.ngrams.iter().enumerate() {
                assert!(!of.ngrams[..at].iter().any(|known| known.says_the_same(ngram)), "{of:?}");
            }
        }
        let all = telling.iter().flat_map(|of| &of.ngrams);
        assert!(all.into_iter().all(|ngram| ngram.n_sentences >= MIN_SENTENCES));
    }
}
