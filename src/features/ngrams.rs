//! The distinct word and shape n-grams of a sentence, in one pass over its tokens.

use super::repeats::Seen;
use super::sequence::Sequence;
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
