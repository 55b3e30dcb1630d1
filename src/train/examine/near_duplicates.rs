//! Rows whose text is almost that of an earlier one: found by `MinHash`, proven by comparing.
//!
//! A text is the set of its runs of three words, folded, without punctuation; two texts are near when
//! their sets share at least 70 % of what both have together (Jaccard). Comparing all pairs would take
//! for ever, so only texts that agree in a band of minimal hashes are compared (A. Broder, "On the
//! resemblance and containment of documents", 1997): a pair of similarity s agrees in at least
//! one of 16 bands of 5 with probability 1 - (1 - s⁵)¹⁶, 0.95 at 0.7 and 0.999 at 0.8. In each band a
//! row is compared with two others at most, so the work is bounded on any data.
//!
//! Own code: the crates for it bring hash maps of signatures that must stay in memory; here a band is
//! sorted and forgotten.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::features::{Analysis, hash};
use crate::train::examples::Dataset;
use crate::train::{Observer, TrainError};

/// Words in a shingle.
const N_WORDS: usize = 3;
/// Least similarity of near duplicates, in percent.
const MIN_PERCENT: usize = 70;
const N_BANDS: u64 = 16;
/// Minimal hashes in a band.
const N_ROWS: u64 = 5;
/// Texts that one thread takes in a row.
const CHUNK: usize = 1024;
/// Where the hash of a shingle starts.
const SEED: u64 = 0x3c6e_f372_fe94_f82b;

/// Returns line and message of each row that is almost an earlier one.
pub(super) fn find(
    dataset: &Dataset,
    observer: &dyn Observer,
) -> Result<Vec<(u64, String)>, TrainError> {
    let shingles = Shingles::of(dataset, observer);
    let mut earlier_of: BTreeMap<u32, u32> = BTreeMap::new();
    for band in 0..N_BANDS {
        observer.check()?;
        for (later, earlier) in shingles.near_pairs(band, observer) {
            let known = earlier_of.entry(later).or_insert(earlier);
            *known = earlier.min(*known);
        }
    }
    let line = |position: u32| dataset.examples.get(position as usize).map(|e| e.line);
    let findings = earlier_of.into_iter().filter_map(|(later, earlier)| {
        let message = format!("almost the same text as in line {}", line(earlier)?);
        Some((line(later)?, message))
    });
    Ok(findings.collect())
}

/// The shingles of every text, sorted, one text after the other.
#[derive(Debug)]
struct Shingles {
    hashes: Vec<u32>,
    /// One more than there are texts.
    starts: Vec<usize>,
}

impl Shingles {
    fn of(dataset: &Dataset, observer: &dyn Observer) -> Self {
        let chunks: Vec<Vec<Vec<u32>>> = dataset
            .examples
            .par_chunks(CHUNK)
            .take_any_while(|_| !observer.is_cancelled())
            .map(|examples| {
                let mut analysis = Analysis::default();
                examples.iter().map(|example| shingles(&mut analysis, &example.text)).collect()
            })
            .collect();
        let mut all = Self { hashes: Vec::new(), starts: vec![0] };
        for text in observer.wanted(chunks.into_iter().flatten()) {
            all.hashes.extend(text);
            all.starts.push(all.hashes.len());
        }
        all
    }

    fn text(&self, position: u32) -> &[u32] {
        let position = position as usize;
        match (self.starts.get(position), self.starts.get(position + 1)) {
            (Some(start), Some(end)) => self.hashes.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Returns pairs (later, earlier) of texts that agree in a band and are near indeed. Of the texts
    /// that agree each is compared with the first of them and with the one before it.
    fn near_pairs(&self, band: u64, observer: &dyn Observer) -> Vec<(u32, u32)> {
        let n_texts = u32::try_from(self.starts.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let mut keys: Vec<(u64, u32)> = (0..n_texts)
            .into_par_iter()
            .take_any_while(|_| !observer.is_cancelled())
            .filter(|position| !self.text(*position).is_empty())
            .map(|position| (self.key(position, band), position))
            .collect();
        keys.par_sort_unstable();
        keys.par_chunk_by(|a, b| a.0 == b.0)
            .flat_map_iter(|agreeing| {
                let first = agreeing.first().map_or(0, |(_, position)| *position);
                agreeing.windows(2).filter_map(move |pair| {
                    let &[(_, before), (_, later)] = pair else { return None };
                    let earlier = [first, before].into_iter();
                    let mut near =
                        earlier.filter(|earlier| are_near(self.text(*earlier), self.text(later)));
                    near.next().map(|earlier| (later, earlier))
                })
            })
            .collect()
    }

    /// One hash of a text's minimal hashes in a band.
    fn key(&self, position: u32, band: u64) -> u64 {
        (0..N_ROWS).fold(SEED, |key, row| {
            let order = hash::extend(SEED, band * N_ROWS + row);
            let hashes = self.text(position).iter().map(|h| hash::extend(order, u64::from(*h)));
            hash::extend(key, hashes.min().unwrap_or_default())
        })
    }
}

/// The shingles of one text, sorted and distinct. A text of fewer words is one shingle; one without
/// words has none.
#[allow(clippy::cast_possible_truncation, reason = "half of a hash is enough to compare texts by")]
fn shingles(analysis: &mut Analysis, text: &str) -> Vec<u32> {
    analysis.analyse(text);
    let is_word = |folded: &str| folded.chars().any(char::is_alphanumeric);
    let tokens = analysis.tokens().iter().filter(|token| is_word(analysis.folded(token)));
    let words: Vec<u64> = tokens.map(|token| token.hash).collect();
    let shingle = |words: &[u64]| words.iter().fold(SEED, |h, word| hash::extend(h, *word)) as u32;
    let mut shingles: Vec<u32> = match words.len() {
        0 => Vec::new(),
        n if n < N_WORDS => vec![shingle(&words)],
        _ => words.windows(N_WORDS).map(shingle).collect(),
    };
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

/// Whether two sorted sets share enough.
fn are_near(a: &[u32], b: &[u32]) -> bool {
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    let mut n_shared = 0;
    while let (Some(x), Some(y)) = (left.peek(), right.peek()) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => left.next(),
            std::cmp::Ordering::Greater => right.next(),
            std::cmp::Ordering::Equal => {
                n_shared += 1;
                right.next();
                left.next()
            }
        };
    }
    n_shared * 100 >= (a.len() + b.len() - n_shared) * MIN_PERCENT && n_shared > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Unobserved;
    use crate::train::examples::DatasetBuilder;

    fn found(rows: &[&str]) -> Vec<(u64, String)> {
        let mut builder = DatasetBuilder::default();
        for (line, text) in (2..).zip(rows) {
            builder.push(line, text, "x").unwrap();
        }
        find(&builder.finish(), &Unobserved).unwrap()
    }

    fn near(line: u64, earlier: u64) -> (u64, String) {
        (line, format!("almost the same text as in line {earlier}"))
    }

    const LONG: &str = "The minister said on Monday that the new bridge over the river would open in \
                        spring, two years later than planned and at twice the cost.";

    #[test]
    fn texts_that_differ_in_case_and_punctuation_are_near() {
        let rows = ["Where is my card?", "It rains.", "where is my card", "Where's my card?!"];
        assert_eq!(found(&rows), [near(4, 2)]);
    }

    #[test]
    fn one_other_word_in_a_long_sentence_is_near_in_a_short_one_not() {
        let changed = LONG.replace("Monday", "Tuesday");
        assert_eq!(
            found(&["Where is my card?", LONG, "Where is your card?", &changed]),
            [near(5, 3)]
        );
    }

    #[test]
    fn the_first_of_many_is_named() {
        let copies: Vec<String> = (0..40).map(|i| format!("{LONG} {i}")).collect();
        let rows: Vec<&str> = copies.iter().map(String::as_str).collect();
        let expected: Vec<_> = (3..42).map(|line| near(line, 2)).collect();
        assert_eq!(found(&rows), expected);
    }

    #[test]
    fn texts_without_words_are_not_compared() {
        assert_eq!(found(&["?", "!", "?!", "…"]), []);
    }

    #[test]
    fn similarity_is_what_is_shared_of_what_both_have() {
        assert!(are_near(&[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
        assert!(!are_near(&[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3, 4, 5, 6, 8, 9, 10]));
        assert!(!are_near(&[], &[]));
    }
}
