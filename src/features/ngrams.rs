//! The distinct word and shape n-grams of a sentence, in one pass over its tokens.

use super::tokens::{Analysis, Mark};
use super::{View, hash};

/// The hashes of a sentence's n-grams, each once in its view. Keeps its buffers from sentence to
/// sentence.
#[derive(Debug, Default)]
pub struct Ngrams {
    tokens: Vec<u64>,
    words: [Vec<u64>; 3],
    shapes: [Vec<u64>; 3],
    seen: Seen,
    /// The tokens, and two marks of the end behind them.
    items: Vec<Item>,
    /// The shapes, likewise.
    shape_items: Vec<Item>,
}

/// A token or a shape.
#[derive(Debug, Clone, Copy)]
struct Item {
    hash: u64,
    /// Whether it may occur elsewhere in the sentence. An n-gram can repeat only if all its items do.
    repeats: bool,
}

impl Ngrams {
    /// Replaces what was collected before by the n-grams of `analysis`, at least those of `views`.
    pub fn collect(&mut self, analysis: &Analysis, views: &[View]) {
        self.collect_items(analysis);
        let n = if views.contains(&View::Word3) { 3 } else { 2 };
        collect(View::Word1, n, &self.items, &mut self.seen, &mut self.words);
        if !views.contains(&View::Shape) {
            self.shapes.iter_mut().for_each(Vec::clear);
            return;
        }
        self.shape_items.clear();
        for shape in &analysis.shapes {
            let token = self.items.get(shape.first as usize);
            let repeats = shape.mark != Mark::Word || token.is_some_and(|t| t.repeats);
            self.shape_items.push(Item { hash: shape.hash, repeats });
        }
        self.shape_items.extend(ends());
        collect(View::Shape, 3, &self.shape_items, &mut self.seen, &mut self.shapes);
    }

    fn collect_items(&mut self, analysis: &Analysis) {
        self.tokens.clear();
        self.items.clear();
        self.seen.clear();
        for (at, token) in (0u32..).zip(analysis.tokens()) {
            let first = self.seen.insert(token.hash, at);
            if let Some(first) = first.and_then(|first| self.items.get_mut(first as usize)) {
                first.repeats = true;
            }
            self.tokens.push(token.hash);
            self.items.push(Item { hash: token.hash, repeats: first.is_some() });
        }
        self.items.extend(ends());
    }

    /// The hashes of the tokens, repeats included.
    #[must_use]
    pub fn tokens(&self) -> &[u64] {
        &self.tokens
    }

    /// The n-grams of a view, by their length; none for the character view.
    #[must_use]
    pub fn of(&self, view: View) -> &[Vec<u64>] {
        let [words, pairs, triples] = &self.words;
        match view {
            View::Word1 => std::slice::from_ref(words),
            View::Word2 => std::slice::from_ref(pairs),
            View::Word3 => std::slice::from_ref(triples),
            View::Shape => &self.shapes,
            View::Character => &[],
        }
    }
}

fn ends() -> [Item; 2] {
    let [_, end] = View::boundaries();
    [Item { hash: end, repeats: false }; 2]
}

/// Collects the n-grams of `items` up to a length of 2 or 3; from two items on, a mark stands at each end.
fn collect(view: View, n: usize, items: &[Item], seen: &mut Seen, out: &mut [Vec<u64>; 3]) {
    let [ones, pairs, triples] = out;
    ones.clear();
    pairs.clear();
    triples.clear();
    seen.clear();
    let mut add = |to: &mut Vec<u64>, hash, may_repeat: bool| {
        if !may_repeat || seen.insert(hash, 0).is_none() {
            to.push(hash);
        }
    };
    let seed = view.seed();
    let [start, _] = View::boundaries();
    if let &[first, second, ..] = items {
        let opening = hash::extend(hash::extend(seed, start), first.hash);
        pairs.push(opening);
        triples.push(hash::extend(opening, second.hash));
    }
    for window in items.windows(3) {
        let &[first, second, third] = window else { continue };
        let one = hash::extend(seed, first.hash);
        let two = hash::extend(one, second.hash);
        add(ones, one, first.repeats);
        let may_repeat = first.repeats && second.repeats;
        add(pairs, two, may_repeat);
        if n > 2 {
            add(triples, hash::extend(two, third.hash), may_repeat && third.repeats);
        }
    }
    if n > 2 {
        // The last one has nothing but its first item, or is that of the marks alone.
        triples.pop();
    } else {
        triples.clear();
    }
}

/// A set of hashes, each with a number, that is emptied in constant time.
#[derive(Debug, Default)]
struct Seen {
    /// Generation, number and hash; a slot of an older generation is free.
    slots: Vec<(u32, u32, u64)>,
    generation: u32,
    len: usize,
}

impl Seen {
    fn clear(&mut self) {
        self.len = 0;
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.slots.fill((0, 0, 0));
            self.generation = 1;
        }
    }

    /// Adds a hash. Returns the number it came with the first time, if this is not the first.
    #[inline]
    fn insert(&mut self, hash: u64, number: u32) -> Option<u32> {
        if self.len * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = low_bits(hash) & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.0 != self.generation {
                *slot = (self.generation, number, hash);
                self.len += 1;
                return None;
            }
            if slot.2 == hash {
                return Some(slot.1);
            }
            at = (at + 1) & mask;
        }
        None
    }

    fn grow(&mut self) {
        let bigger = (self.slots.len() * 2).max(256);
        let old = std::mem::replace(&mut self.slots, vec![(0, 0, 0); bigger]);
        self.len = 0;
        for (generation, number, hash) in old {
            if generation == self.generation {
                self.insert(hash, number);
            }
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
                    let mut wanted = Vec::new();
                    let mut known = BTreeSet::new();
                    view.for_each(&analysis, |hash, _| if known.insert(hash) { wanted.push(hash) });
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
