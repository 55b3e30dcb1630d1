//! The distinct word and shape n-grams of a sentence, in one pass over its tokens.

use super::tokens::{Analysis, Mark};
use super::{View, hash};

/// The hashes of a sentence's n-grams, each once in its view. Keeps its buffers from sentence to
/// sentence.
#[derive(Debug, Default)]
pub struct Ngrams {
    words: Sequence,
    shapes: Sequence,
    /// For each token: where it stands for the first time.
    firsts: Vec<u32>,
    counts: Vec<TokenCounts>,
    seen: Seen,
}

/// What is to be done about n-grams of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Singles {
    /// They are collected as the others are.
    Collected,
    /// They are left to whoever looks at tokens; those of marks, which are no tokens, are collected.
    LeftToTokens,
}

/// How often a token counts where it stands: in the character view, in that of single words, and as a
/// single item of the shape view.
pub type TokenCounts = [f64; 3];

/// The views of [`TokenCounts`].
pub const TOKEN_VIEWS: [View; 3] = [View::Character, View::Word1, View::Shape];

impl Ngrams {
    /// Replaces what was collected before by the n-grams of `analysis`: single words, and those
    /// of these views.
    pub fn collect(&mut self, analysis: &Analysis, views: &[View]) {
        self.collect_with(analysis, views, Singles::Collected);
    }

    /// The same, with or without what is to be seen of single tokens.
    pub fn collect_with(&mut self, analysis: &Analysis, views: &[View], singles: Singles) {
        let wants = |view| views.contains(&view);
        let collected = singles == Singles::Collected;
        self.collect_tokens(analysis);
        let wanted = [collected, wants(View::Word2), wants(View::Word3)];
        self.words.collect(View::Word1, wanted, &mut self.seen);
        self.shapes.begin(std::iter::empty());
        if wants(View::Shape) {
            self.collect_shapes(analysis);
            self.shapes.collect(View::Shape, [collected, true, true], &mut self.seen);
            if !collected {
                self.collect_marks(analysis);
            }
        }
    }

    fn collect_tokens(&mut self, analysis: &Analysis) {
        let tokens = analysis.tokens();
        self.words.begin(tokens.iter().map(|token| token.hash));
        self.counts.clear();
        self.counts.resize(tokens.len(), [1.0, 1.0, 0.0]);
        self.firsts.clear();
        self.firsts.resize(tokens.len(), 0);
        self.seen.begin(tokens.len());
        let hashes = self.words.items.get(1..).unwrap_or_default();
        self.seen.insert_all(hashes, &mut self.firsts);
        for (at, (first, [_, as_word, _])) in (0..).zip(self.firsts.iter().zip(&mut self.counts)) {
            if *first != at {
                *as_word = 0.0;
                self.words.repeats.set(at + 1);
                self.words.repeats.set(*first + 1);
            }
        }
    }

    fn collect_shapes(&mut self, analysis: &Analysis) {
        self.shapes.begin(analysis.shapes.iter().map(|shape| shape.hash));
        for (at, shape) in (1..).zip(&analysis.shapes) {
            let token = shape.first as usize;
            let repeats = shape.mark != Mark::Word || self.words.repeats.get(shape.first + 1);
            if repeats {
                self.shapes.repeats.set(at);
            }
            if shape.mark == Mark::Word
                && let Some(first) = self.firsts.get(token)
                && let Some([.., as_shape]) = self.counts.get_mut(*first as usize)
            {
                *as_shape = 1.0;
            }
        }
    }

    fn collect_marks(&mut self, analysis: &Analysis) {
        let [ones, ..] = &mut self.shapes.grams;
        for mark in [Mark::Name, Mark::Number] {
            if let Some(shape) = analysis.shapes.iter().find(|shape| shape.mark == mark) {
                ones.push(hash::extend(View::Shape.seed(), shape.hash));
            }
        }
    }

    /// The hashes of the tokens, repeats included.
    #[must_use]
    pub fn tokens(&self) -> &[u64] {
        self.words.items.get(1..=self.counts.len()).unwrap_or_default()
    }

    /// How often each of [`Self::tokens`] counts in each of [`TOKEN_VIEWS`].
    #[must_use]
    pub fn token_counts(&self) -> &[TokenCounts] {
        &self.counts
    }

    /// The n-grams of a view, by their length; none for the character view.
    #[must_use]
    pub fn of(&self, view: View) -> &[Vec<u64>] {
        let [words, pairs, triples] = &self.words.grams;
        match view {
            View::Word1 => std::slice::from_ref(words),
            View::Word2 => std::slice::from_ref(pairs),
            View::Word3 => std::slice::from_ref(triples),
            View::Shape => &self.shapes.grams,
            View::Character => &[],
        }
    }
}

/// Items in a row, with a mark at each end, and their n-grams.
#[derive(Debug, Default)]
struct Sequence {
    items: Vec<u64>,
    /// The items that may stand elsewhere too. An n-gram can repeat only if all its items do.
    repeats: Bits,
    /// The hashes of the n-grams so far, while longer ones are made of them.
    ones: Vec<u64>,
    /// By their length.
    grams: [Vec<u64>; 3],
}

impl Sequence {
    fn begin(&mut self, items: impl ExactSizeIterator<Item = u64>) {
        let [start, end] = View::BOUNDARIES;
        self.grams.iter_mut().for_each(Vec::clear);
        self.repeats.begin(items.len() + 2);
        self.items.clear();
        self.items.push(start);
        self.items.extend(items);
        self.items.push(end);
    }

    /// Collects n-grams of the wanted lengths.
    fn collect(&mut self, view: View, wanted: [bool; 3], seen: &mut Seen) {
        let Self { items, repeats, ones, grams: [singles, pairs, triples] } = self;
        let from = |n: usize| items.get(n..).unwrap_or_default();
        ones.clear();
        ones.extend(items.iter().map(|item| hash::extend(view.seed(), *item)));
        if wanted[0] {
            // Without the marks.
            singles.extend(ones.iter().skip(1).take(items.len() - 2));
        }
        if wanted[1] || wanted[2] {
            pairs.extend(ones.iter().zip(from(1)).map(|(one, item)| hash::extend(*one, *item)));
        }
        if wanted[2] {
            triples.extend(pairs.iter().zip(from(2)).map(|(two, item)| hash::extend(*two, *item)));
        }
        if !wanted[1] {
            pairs.clear();
        }
        seen.drop_repeats(singles, repeats.runs(1).map(|at| at - 1));
        seen.drop_repeats(pairs, repeats.runs(2));
        seen.drop_repeats(triples, repeats.runs(3));
    }
}

/// A bit for each of some things.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// All false, for so many things.
    fn begin(&mut self, n: usize) {
        self.0.clear();
        self.0.resize(n / 64 + 1, 0);
    }

    /// Makes one true.
    #[inline]
    fn set(&mut self, at: u32) {
        if let Some(word) = self.0.get_mut(at as usize / 64) {
            *word |= 1 << (at % 64);
        }
    }

    fn get(&self, at: u32) -> bool {
        self.0.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Where `n` in a row are true, ascending; `n` from 1 to 64.
    fn runs(&self, n: u32) -> impl Iterator<Item = usize> {
        let words = self.0.iter().zip(self.0.iter().skip(1).chain([&0])).enumerate();
        words.flat_map(move |(nth, (word, next))| {
            let behind = |by: u32| word >> by | next << (64 - by);
            let mut runs = (1..n).fold(*word, |runs, by| runs & behind(by));
            std::iter::from_fn(move || {
                let at = (runs != 0).then(|| nth * 64 + runs.trailing_zeros() as usize)?;
                runs &= runs - 1;
                Some(at)
            })
        })
    }
}

/// A set of hashes in a list, that is emptied in constant time.
#[derive(Debug, Default)]
struct Seen {
    /// Generation, and position in the list; a slot of an older generation is free.
    slots: Vec<(u32, u32)>,
    generation: u32,
    mask: usize,
    /// Positions of a list that are to be dropped.
    dropped: Vec<usize>,
}

impl Seen {
    /// Empties the set and makes room for so many hashes.
    fn begin(&mut self, n_hashes: usize) {
        let n_slots = (4 * n_hashes).next_power_of_two().max(256);
        if self.slots.len() < n_slots {
            self.slots.resize(n_slots, (0, 0));
        }
        self.mask = n_slots - 1;
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.slots.fill((0, 0));
            self.generation = 1;
        }
    }

    /// Adds the hashes of a list. Writes for each at which position it stands first.
    #[inline(never)]
    fn insert_all(&mut self, list: &[u64], firsts: &mut [u32]) {
        for ((position, hash), first) in (0..).zip(list).zip(firsts) {
            *first = self.insert(*hash, position, list);
        }
    }

    /// Adds a hash that is to stand at a position of the list. Returns the position at which it stands
    /// first: that one, or an earlier one.
    #[inline]
    fn insert(&mut self, hash: u64, position: u32, list: &[u64]) -> u32 {
        let mut at = low_bits(hash) & self.mask;
        while let Some(slot) = self.slots.get_mut(at) {
            let is_free = slot.0 != self.generation;
            let is_same = !is_free & (list.get(slot.1 as usize) == Some(&hash));
            // Which of the two is not branched on: it would be guessed wrong too often.
            if is_free | is_same {
                let first = if is_same { slot.1 } else { position };
                *slot = (self.generation, first);
                return first;
            }
            at = (at + 1) & self.mask;
        }
        position
    }

    /// Leaves each n-gram once; only those at `repeating` positions, ascending, may repeat.
    fn drop_repeats(&mut self, grams: &mut Vec<u64>, repeating: impl Iterator<Item = usize>) {
        self.dropped.clear();
        let mut repeating = repeating.take_while(|at| *at < grams.len()).peekable();
        if repeating.peek().is_none() {
            return;
        }
        self.begin(grams.len());
        for at in repeating {
            let Some(gram) = grams.get(at) else { break };
            let position = u32::try_from(at).unwrap_or(u32::MAX);
            if self.insert(*gram, position, grams) != position {
                self.dropped.push(at);
            }
        }
        if !self.dropped.is_empty() {
            let mut dropped = self.dropped.iter().peekable();
            let mut at = 0..;
            grams.retain(|_| dropped.next_if_eq(&&at.next().unwrap_or_default()).is_none());
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "some bits of a hash")]
fn low_bits(hash: u64) -> usize {
    hash as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Each n-gram of a view once, in the order of the sentence, with the number of its items.
    fn distinct(view: View, analysis: &Analysis) -> Vec<(u64, bool)> {
        let mut known = BTreeSet::new();
        let mut distinct = Vec::new();
        view.for_each(analysis, |hash, gram| {
            if known.insert(hash) {
                distinct.push((hash, view.token(analysis, gram).is_some()));
            }
        });
        distinct
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_views_without_repeats(
            sentences in prop::collection::vec("([ab政ÉA.1]| |the |<s>|\\PC){0,60}", 1..4)
        ) {
            let (mut analysis, mut ngrams) = (Analysis::default(), Ngrams::default());
            for sentence in sentences {
                analysis.analyse(&sentence);
                for view in [View::Word1, View::Word2, View::Word3, View::Shape] {
                    let wanted = distinct(view, &analysis);
                    ngrams.collect(&analysis, &View::ALL);
                    let all: Vec<u64> = wanted.iter().map(|(hash, _)| *hash).collect();
                    prop_assert_eq!(ngrams.of(view).concat(), all, "{:?} {:?}", view, sentence);
                    ngrams.collect_with(&analysis, &[view], Singles::LeftToTokens);
                    let mut got = ngrams.of(view).concat();
                    got.sort_unstable();
                    let others = wanted.iter().filter(|(_, is_token)| !is_token);
                    let others: BTreeSet<u64> = others.map(|(hash, _)| *hash).collect();
                    prop_assert_eq!(got, Vec::from_iter(others), "{:?} {:?}", view, sentence);
                }
            }
        }

        #[test]
        fn tokens_count_as_the_views_have_them(sentence in "([ab政ÉA.1]| |the |A |1 |\\PC){0,60}") {
            let (mut analysis, mut ngrams) = (Analysis::default(), Ngrams::default());
            analysis.analyse(&sentence);
            ngrams.collect_with(&analysis, &View::ALL, Singles::LeftToTokens);
            for (nth, view) in TOKEN_VIEWS.into_iter().enumerate().skip(1) {
                let mut got: Vec<u64> = Vec::new();
                for (token, counts) in ngrams.tokens().iter().zip(ngrams.token_counts()) {
                    prop_assert!(counts[0] > 0.0);
                    got.extend((counts[nth] > 0.0).then(|| hash::extend(view.seed(), *token)));
                }
                got.sort_unstable();
                let tokens = distinct(view, &analysis).into_iter().filter(|(_, is_token)| *is_token);
                let wanted: BTreeSet<u64> = tokens.map(|(hash, _)| hash).collect();
                prop_assert_eq!(got, Vec::from_iter(wanted), "{:?} {:?}", view, sentence);
            }
        }
    }

    #[test]
    fn a_blank_sentence_has_the_pair_of_its_ends() {
        let mut ngrams = Ngrams::default();
        ngrams.collect(&Analysis::default(), &View::ALL);
        assert_eq!(ngrams.of(View::Word1).concat(), [0u64; 0]);
        assert_eq!(ngrams.of(View::Word2).concat().len(), 1);
        assert_eq!(ngrams.of(View::Word3).concat(), [0u64; 0]);
    }
}
