//! The distinct word and shape n-grams of a sentence, in one pass over its tokens.

use super::repeats::Seen;
use super::sequence::Sequence;
use super::shapes::Mark;
use super::{Analysis, View};

/// The hashes of a sentence's n-grams, each once in its view. Keeps its buffers from sentence to
/// sentence.
#[derive(Debug, Default)]
pub struct Ngrams {
    words: Sequence,
    shapes: Sequence,
    /// For each token: where it stands for the first time.
    firsts: Vec<u32>,
    seen: Seen,
}

impl Ngrams {
    /// Replaces what was collected before by the n-grams of `analysis`: single words, and those
    /// of these views.
    pub fn collect(&mut self, analysis: &Analysis, views: &[View]) {
        let wants = |view| views.contains(&view);
        self.collect_tokens(analysis);
        let wanted = [true, wants(View::Word2), wants(View::Word3)];
        self.words.collect(View::Word1, wanted, &mut self.seen);
        self.shapes.begin(std::iter::empty());
        if wants(View::Shape) {
            self.collect_shapes(analysis);
            self.shapes.collect(View::Shape, [true; 3], &mut self.seen);
        }
    }

    fn collect_tokens(&mut self, analysis: &Analysis) {
        let tokens = analysis.tokens();
        self.words.begin(tokens.iter().map(|token| token.hash));
        self.firsts.clear();
        self.firsts.resize(tokens.len(), 0);
        self.seen.begin(tokens.len());
        let hashes = self.words.items.inner();
        self.seen.insert_all(hashes, &mut self.firsts);
        for (at, first) in (0..).zip(&self.firsts) {
            if *first != at {
                self.words.repeats.set(at + 1);
                self.words.repeats.set(*first + 1);
            }
        }
    }

    fn collect_shapes(&mut self, analysis: &Analysis) {
        self.shapes.begin(analysis.shapes.iter().map(|shape| analysis.shape_hash(shape)));
        for (at, shape) in (1..).zip(&analysis.shapes) {
            if shape.mark != Mark::Word || self.words.repeats.get(shape.first + 1) {
                self.shapes.repeats.set(at);
            }
        }
    }

    /// The n-grams of a view, by their length; none for characters and the lead, which are not collected.
    #[must_use]
    pub fn of(&self, view: View) -> &[Vec<u64>] {
        let [words, pairs, triples] = &self.words.grams;
        match view {
            View::Word1 => std::slice::from_ref(words),
            View::Word2 => std::slice::from_ref(pairs),
            View::Word3 => std::slice::from_ref(triples),
            View::Shape => &self.shapes.grams,
            View::Character | View::Lead => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Each n-gram of a view once, in the order of the sentence.
    fn distinct(view: View, analysis: &Analysis) -> Vec<u64> {
        let mut known = BTreeSet::new();
        let mut distinct = Vec::new();
        view.for_each(analysis, |hash, _| distinct.extend(known.insert(hash).then_some(hash)));
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
                ngrams.collect(&analysis, &View::ALL);
                for view in [View::Word1, View::Word2, View::Word3, View::Shape] {
                    let wanted = distinct(view, &analysis);
                    prop_assert_eq!(ngrams.of(view).concat(), wanted, "{:?} {:?}", view, sentence);
                }
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
