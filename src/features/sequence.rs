//! Items in a row and their n-grams.

use super::repeats::{Bits, Seen};
use super::{View, hash};

/// Items in a row, with a mark at each end, and their n-grams.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// With the marks.
    pub(super) items: Vec<u64>,
    /// The items that may stand elsewhere too. An n-gram can repeat only if all its items do.
    pub(super) repeats: Bits,
    /// The hashes of the n-grams so far, while longer ones are made of them.
    ones: Vec<u64>,
    /// By their length.
    pub(super) grams: [Vec<u64>; 3],
}

impl Sequence {
    /// Begins anew with these items.
    pub(super) fn begin(&mut self, items: impl ExactSizeIterator<Item = u64>) {
        let [start, end] = View::BOUNDARIES;
        self.grams.iter_mut().for_each(Vec::clear);
        self.repeats.begin(items.len() + 2);
        self.items.clear();
        self.items.push(start);
        self.items.extend(items);
        self.items.push(end);
    }

    /// Collects n-grams of the wanted lengths.
    pub(super) fn collect(&mut self, view: View, wanted: [bool; 3], seen: &mut Seen) {
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
