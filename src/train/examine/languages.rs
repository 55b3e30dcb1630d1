//! Rows in another language than the others, though in their script.
//!
//! A classifier of languages alone errs on short sentences: of 10,003 questions in English whatlang
//! takes 2,014 for something else. So a row must also be foreign to the data: hardly one of its words
//! stands in other rows. Both together name no row of banking77, SST-2, AG-7600 and the built-in corpus
//! (30,000 in English), six of the 5,574 in the SMS collection (five are in Hindi, Kannada and the like),
//! and 15 of 20 short sentences in ten other languages that were put among the first.

use rayon::prelude::*;
use whatlang::{Lang, detect};

use crate::features::{Analysis, HashIndex};
use crate::train::Observer;
use crate::train::examples::{Dataset, Example};

/// Fewest words of a row that is looked at: of fewer, nothing can be said.
const MIN_WORDS: usize = 4;
/// Fewest letters of such a row.
const MIN_LETTERS: usize = 20;
/// A word is known if at least one row in so many has it, and two rows have it.
const ONE_IN: usize = 500;
/// Share of a row's words, in percent, below which it is foreign.
const MAX_KNOWN_PERCENT: usize = 25;
/// Least confidence that it is another language, in [0, 1].
const MIN_CONFIDENCE: f64 = 0.2;
/// Bytes of text from which the language of the data is told.
const SAMPLE_BYTES: usize = 100_000;
/// Share of the rows, in percent, that may stand out: with more, there is no language they stand out from.
const MAX_FOREIGN_PERCENT: usize = 10;
/// Rows that one thread takes in a row.
const CHUNK: usize = 1024;

/// Returns line and message of each row whose language is not that of the others.
pub(super) fn find(dataset: &Dataset, observer: &dyn Observer) -> Vec<(u64, String)> {
    let foreign = foreign(dataset, observer);
    // Telling a language takes long, and most data has no such row.
    if foreign.is_empty() {
        return Vec::new();
    }
    let Some(common) = common_language(dataset) else { return Vec::new() };
    let message = |example: &&Example| {
        let (other, common) =
            (other_language(&example.text, common)?.eng_name(), common.eng_name());
        Some((example.line, format!("looks like {other}, most rows are in {common}")))
    };
    let wanted = foreign.par_iter().take_any_while(|_| !observer.is_cancelled());
    let found: Vec<(u64, String)> = wanted.filter_map(message).collect();
    let is_rare = found.len() * 100 <= dataset.examples.len() * MAX_FOREIGN_PERCENT;
    if is_rare { found } else { Vec::new() }
}

/// The rows that hardly have a word that stands in others.
fn foreign<'a>(dataset: &'a Dataset, observer: &dyn Observer) -> Vec<&'a Example> {
    let known = known_words(dataset, observer);
    let chunks = dataset.examples.par_chunks(CHUNK).take_any_while(|_| !observer.is_cancelled());
    let foreign = chunks.flat_map_iter(|examples| {
        let mut analysis = Analysis::default();
        let known = &known;
        let is_foreign =
            move |example: &&Example| is_foreign(&words(&mut analysis, &example.text), known);
        examples.iter().filter(is_foreign)
    });
    foreign.collect()
}

/// The language of rows from everywhere in the data, read as one text.
fn common_language(dataset: &Dataset) -> Option<Lang> {
    let n_bytes: usize = dataset.examples.iter().map(|example| example.text.len()).sum();
    let step = n_bytes.div_ceil(SAMPLE_BYTES).max(1);
    let texts: Vec<&str> =
        dataset.examples.iter().step_by(step).map(|example| &*example.text).collect();
    detect(&texts.join("\n")).map(|found| found.lang())
}

/// The language of a text, where it is another one in the same script.
fn other_language(text: &str, common: Lang) -> Option<Lang> {
    let found = detect(text)?;
    let is_other = found.lang() != common && found.confidence() >= MIN_CONFIDENCE;
    // Another script is told as such.
    let has_its_script = found.script().langs().contains(&common);
    (is_other && has_its_script).then_some(found.lang())
}

/// Hash and number of letters of each word of a text.
fn words(analysis: &mut Analysis, text: &str) -> Vec<(u64, usize)> {
    analysis.analyse(text);
    let tokens = analysis.tokens().iter().map(|token| (token.hash, analysis.folded(token)));
    tokens
        .filter(|(_, folded)| folded.chars().all(char::is_alphabetic))
        .map(|(hash, folded)| (hash, folded.chars().count()))
        .collect()
}

/// Whether a row has enough words to tell, and hardly a known one.
fn is_foreign(words: &[(u64, usize)], known: &HashIndex) -> bool {
    let n_letters: usize = words.iter().map(|(_, n)| n).sum();
    let n_known = words.iter().filter(|(word, _)| known.get(*word).is_some()).count();
    words.len() >= MIN_WORDS
        && n_letters >= MIN_LETTERS
        && n_known * 100 < words.len() * MAX_KNOWN_PERCENT
}

/// The words of several rows.
fn known_words(dataset: &Dataset, observer: &dyn Observer) -> HashIndex {
    let least = (dataset.examples.len() / ONE_IN).max(2);
    let chunks = dataset.examples.par_chunks(CHUNK).take_any_while(|_| !observer.is_cancelled());
    let in_rows = chunks.flat_map_iter(|examples| {
        let mut analysis = Analysis::default();
        examples.iter().flat_map(move |example| {
            let words = words(&mut analysis, &example.text);
            let mut words: Vec<u64> = words.into_iter().map(|(word, _)| word).collect();
            words.sort_unstable();
            words.dedup();
            words
        })
    });
    let mut in_rows: Vec<u64> = in_rows.collect();
    in_rows.par_sort_unstable();
    let frequent = in_rows.chunk_by(|a, b| a == b).filter(|rows| rows.len() >= least);
    let known: Vec<u64> = frequent.filter_map(|rows| rows.first().copied()).collect();
    HashIndex::new(&known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Unobserved;
    use crate::train::examples::DatasetBuilder;

    fn found(rows: &[String]) -> Vec<(u64, String)> {
        let mut builder = DatasetBuilder::default();
        for (line, text) in (2..).zip(rows) {
            builder.push(line, text, "x").unwrap();
        }
        find(&builder.finish(), &Unobserved)
    }

    fn english() -> Vec<String> {
        let places = ["at home", "in the shop", "by the sea", "at the bank", "in the office"];
        let rows = |place: &&str| {
            [
                format!("Why was I charged twice for my new card {place}?"),
                format!("When will the card that I ordered arrive {place}?"),
                format!("I would like to have my money back, I paid {place}."),
            ]
        };
        places.iter().flat_map(rows).collect()
    }

    #[test]
    fn a_row_in_another_language_is_named_with_it() {
        let mut rows = english();
        rows.insert(4, "Warum ist meine neue Karte noch nicht angekommen?".to_owned());
        let message = "looks like German, most rows are in English";
        assert_eq!(found(&rows), [(6, message.to_owned())]);
    }

    #[test]
    fn rare_words_alone_are_no_other_language_and_two_words_no_proof() {
        let mut rows = english();
        rows.push("Volcanic eruptions devastated several Indonesian villages yesterday".to_owned());
        rows.push("Meine Karte".to_owned());
        assert_eq!(found(&rows), []);
    }

    #[test]
    fn where_languages_are_mixed_no_row_stands_out() {
        let mut rows = english();
        for thing in ["Karte", "Rechnung", "Lieferung", "Bestellung"] {
            rows.push(format!("Warum wurde {thing} gestern storniert und niemand antwortet?"));
        }
        assert_eq!(found(&rows), []);
        assert_eq!(found(&[]), []);
    }
}
