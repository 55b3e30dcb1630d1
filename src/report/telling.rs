//! The n-grams that speak most for each label, with their text.
//!
//! A model holds hashes only: the text is found by going through the examples again. Parts of words
//! are left out; what they say is said by the words.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::features::{Analysis, Gram, View};
use crate::model::Model;
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
    /// The last sentence it was seen in, from 1.
    last: usize,
    /// The label it speaks for, and how much; once it is in enough sentences.
    speaks_for: Option<(usize, f64)>,
}

/// Features by their hashes.
type Occurrences = HashMap<u64, Occurrence>;

/// Finds the most telling n-grams of every label.
#[must_use]
pub fn find(model: &Model, dataset: &Dataset) -> Vec<Telling> {
    let occurrences = occurrences(model, dataset);
    let candidates = candidates(model.labels().len(), &occurrences);
    let wanted = candidates.iter().flatten().map(|(_, feature)| *feature).collect();
    let texts = texts(dataset, wanted);
    let labels = model.labels().iter().zip(candidates);
    labels
        .map(|(label, candidates)| {
            let mut ngrams: Vec<Ngram> = Vec::with_capacity(MAX_NGRAMS);
            for (log_odds, feature) in candidates {
                let text = texts.get(&feature).cloned();
                let n_sentences = occurrences.get(&feature).map(|found| found.n_sentences);
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

/// Calls `each` with every n-gram of every example: the example's number from 1, its analysis, the view, the
/// n-gram's hash and its place.
fn for_each_ngram(dataset: &Dataset, mut each: impl FnMut(usize, &Analysis, View, (u64, Gram))) {
    let mut analysis = Analysis::default();
    for (example, at) in dataset.examples.iter().zip(1..) {
        analysis.analyse(&example.text);
        for view in VIEWS {
            view.for_each(&analysis, |hash, gram| each(at, &analysis, view, (hash, gram)));
        }
    }
}

fn occurrences(model: &Model, dataset: &Dataset) -> Occurrences {
    let mut occurrences = Occurrences::new();
    for_each_ngram(dataset, |at, analysis, view, (hash, gram)| {
        let found = match occurrences.entry(hash) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(_) if !model.knows(view, analysis, hash, gram) => return,
            Entry::Vacant(place) => place.insert(Occurrence::default()),
        };
        if found.last == at {
            return;
        }
        found.last = at;
        found.n_sentences += 1;
        if found.n_sentences == MIN_SENTENCES {
            found.speaks_for = model.values(view, analysis, hash, gram).map(best_against_next);
        }
    });
    occurrences
}

/// Returns log odds and feature of the strongest features of each label, the strongest first.
///
/// A model that normalises by length gives rare features the highest log odds, so what occurs more
/// often comes before what is as strong: log odds count times the logarithm of the sentences.
fn candidates(n_labels: usize, occurrences: &Occurrences) -> Vec<Vec<(f64, u64)>> {
    let mut by_label = vec![Vec::new(); n_labels];
    for (feature, found) in occurrences {
        let Some((label, log_odds)) = found.speaks_for else { continue };
        if let Some(of_label) = by_label.get_mut(label).filter(|_| log_odds > 0.0) {
            of_label.push((log_odds, *feature));
        }
    }
    for of_label in &mut by_label {
        let strength = |(log_odds, feature): &(f64, u64)| {
            let n_sentences = occurrences.get(feature).map_or(0, |found| found.n_sentences);
            log_odds * f64::from(n_sentences).ln_1p()
        };
        of_label.sort_unstable_by(|a: &(f64, u64), b| {
            strength(b).total_cmp(&strength(a)).then(a.1.cmp(&b.1))
        });
        of_label.truncate(N_CANDIDATES);
    }
    by_label
}

/// Returns the label of the highest value, and by how much it is higher than the next.
fn best_against_next(values: Vec<f64>) -> (usize, f64) {
    let (mut best, mut next) = ((0, f64::NEG_INFINITY), f64::NEG_INFINITY);
    for (label, value) in values.into_iter().enumerate() {
        if value > best.1 {
            next = best.1;
            best = (label, value);
        } else {
            next = next.max(value);
        }
    }
    (best.0, best.1 - next)
}

fn texts(dataset: &Dataset, mut wanted: HashSet<u64>) -> HashMap<u64, String> {
    let mut texts = HashMap::with_capacity(wanted.len());
    for_each_ngram(dataset, |_, analysis, view, (hash, gram)| {
        if wanted.remove(&hash) {
            texts.insert(hash, view.write(analysis, gram));
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
        let model = Model::try_new(&trained.parts).expect("a model");
        let telling = find(&model, &dataset);
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
