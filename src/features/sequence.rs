//! Items in a row and their n-grams.

use super::repeats::{Bits, Seen};
use super::{View, hash};

/// The hashes of items in a row, with a mark at each end.
#[derive(Debug, Default)]
pub struct Items(Vec<u64>);

impl Items {
    /// Begins anew with these items.
    pub fn begin(&mut self, items: impl Iterator<Item = u64>) {
        let [start, end] = View::BOUNDARIES;
        self.0.clear();
        self.0.push(start);
        self.0.extend(items);
        self.0.push(end);
    }

    /// The items without the marks.
    #[must_use]
    pub fn inner(&self) -> &[u64] {
        self.0.get(1..self.0.len().saturating_sub(1)).unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn inner_mut(&mut self) -> &mut [u64] {
        let end = self.0.len().saturating_sub(1);
        self.0.get_mut(1..end).unwrap_or_default()
    }

    /// The hashes of the items alone.
    #[inline]
    #[must_use]
    pub fn singles(&self, seed: u64) -> impl ExactSizeIterator<Item = u64> {
        self.inner().iter().map(move |item| hash::extend(seed, *item))
    }

    /// The hashes of two items in a row, marks included.
    #[inline]
    #[must_use]
    pub fn pairs(&self, seed: u64) -> impl ExactSizeIterator<Item = u64> {
        let pairs = self.0.iter().zip(self.from(1));
        pairs.map(move |(a, b)| hash::extend(hash::extend(seed, *a), *b))
    }

    /// The hashes of three items in a row, marks included.
    #[inline]
    #[must_use]
    pub fn triples(&self, seed: u64) -> impl ExactSizeIterator<Item = u64> {
        let triples = self.0.iter().zip(self.from(1)).zip(self.from(2));
        triples.map(move |((a, b), c)| hash::extend(hash::extend(hash::extend(seed, *a), *b), *c))
    }

    fn from(&self, nth: usize) -> &[u64] {
        self.0.get(nth..).unwrap_or_default()
    }
}

/// Items and their distinct n-grams.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    pub(super) items: Items,
    /// The items that may stand elsewhere too. An n-gram can repeat only if all its items do.
    pub(super) repeats: Bits,
    /// By their length.
    pub(super) grams: [Vec<u64>; 3],
}

impl Sequence {
    /// Begins anew with these items.
    pub(super) fn begin(&mut self, items: impl ExactSizeIterator<Item = u64>) {
        self.grams.iter_mut().for_each(Vec::clear);
        self.repeats.begin(items.len() + 2);
        self.items.begin(items);
    }

    /// Collects n-grams of the wanted lengths.
    pub(super) fn collect(&mut self, view: View, wanted: [bool; 3], seen: &mut Seen) {
        let Self { items, repeats, grams: [singles, pairs, triples] } = self;
        if wanted[0] {
            singles.extend(items.singles(view.seed()));
        }
        if wanted[1] {
            pairs.extend(items.pairs(view.seed()));
        }
        if wanted[2] {
            triples.extend(items.triples(view.seed()));
        }
        seen.drop_repeats(singles, repeats.runs(1).map(|at| at - 1));
        seen.drop_repeats(pairs, repeats.runs(2));
        seen.drop_repeats(triples, repeats.runs(3));
    }
}
