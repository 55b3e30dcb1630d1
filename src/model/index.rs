//! Finds what stands under a hash, among very many: built once, then only read.
//!
//! The items stand in the order of their hashes. The upper bits of a hash lead to a bucket of a few
//! neighbours, of which a word holds a byte each, its print: one comparison of eight bytes tells most
//! unknown hashes and gives the place of most known ones. Looking up many hashes goes in stages, so
//! that what a hash waits for from memory is on its way while others are looked at.

use std::hint::black_box;

/// Items a bucket on average. A bucket has room for eight prints.
const MEAN_ITEMS: usize = 4;
const PRINTS: u32 = 8;
/// The print of no hash: the place is empty.
const EMPTY: u8 = 0xfe;
/// In the last place: the bucket has more items than prints.
const OVERFULL: u8 = 0xff;
const EMPTY_BUCKET: u64 = EMPTY as u64 * ONES;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Items under distinct hashes.
#[derive(Debug)]
pub(super) struct Index<P> {
    items: Vec<Item<P>>,
    /// `n_buckets`: the prints of a bucket's first items.
    prints: Vec<u64>,
    /// `n_buckets + 1`: the position of each bucket's first item.
    starts: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Item<P> {
    /// The lower and the upper half: a row of single-precision numbers needs no padding beside them.
    hash: [u32; 2],
    payload: P,
}

impl<P> Item<P> {
    #[inline]
    fn hash(&self) -> u64 {
        let [lower, upper] = self.hash;
        u64::from(upper) << 32 | u64::from(lower)
    }
}

/// The buffers of a look-up of many hashes.
#[derive(Debug, Default)]
pub(super) struct Finder {
    candidates: Vec<Candidate>,
    n_candidates: usize,
    n_hashes: usize,
}

/// A hash on its way through the stages.
#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    hash: u64,
    /// Its bucket, then the position of the item that may be its.
    at: u32,
    /// Which of the hashes it is.
    nth: u32,
}

impl Finder {
    #[inline]
    fn candidates(&self) -> &[Candidate] {
        self.candidates.get(..self.n_candidates).unwrap_or_default()
    }
}

impl<P> Index<P> {
    pub(super) fn with_capacity(n_items: usize) -> Self {
        Self { items: Vec::with_capacity(n_items), prints: Vec::new(), starts: Vec::new() }
    }

    /// Adds an item; hashes ascending, fewer than 2^32.
    pub(super) fn push(&mut self, hash: u64, payload: P) {
        debug_assert!(self.items.last().is_none_or(|last| last.hash() <= hash), "not in order");
        self.items.push(Item { hash: [low_bits(hash), low_bits(hash >> 32)], payload });
    }

    /// Makes the buckets, once all items are there.
    pub(super) fn finish(&mut self) {
        let n_buckets = self.items.len() / MEAN_ITEMS + 1;
        self.prints = vec![EMPTY_BUCKET; n_buckets];
        self.starts = vec![0; n_buckets + 1];
        for item in &self.items {
            let bucket = spread(item.hash(), n_buckets);
            if let Some(n) = self.starts.get_mut(bucket + 1) {
                if let Some(prints) = self.prints.get_mut(bucket) {
                    *prints = with_print(*prints, *n, item.hash());
                }
                *n += 1;
            }
        }
        let mut start = 0;
        for n in &mut self.starts {
            start += *n;
            *n = start;
        }
    }

    /// The position of a hash, and what stands under it.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<(usize, &P)> {
        let bucket = spread(hash, self.prints.len());
        let prints = self.prints.get(bucket).copied()?;
        if !may_hold(prints, hash) {
            return None;
        }
        let start = self.starts.get(bucket).copied()?;
        self.item((start + place(prints, hash)) as usize, hash)
    }

    /// What stands at a position.
    #[inline]
    pub(super) fn at(&self, position: usize) -> Option<&P> {
        self.items.get(position).map(|item| &item.payload)
    }

    /// Leaves in `finder` those of the hashes that probably have an item, with these items on their way
    /// into the cache.
    #[inline]
    pub(super) fn prepare(&self, hashes: &[u64], finder: &mut Finder) {
        if finder.candidates.len() < hashes.len() {
            finder.candidates.resize(hashes.len(), Candidate::default());
        }
        let mut n_candidates = 0;
        // Without a branch on what the prints say: it would be guessed wrong half of the time.
        for (nth, hash) in (0u32..).zip(hashes) {
            let bucket = spread(*hash, self.prints.len());
            let prints = self.prints.get(bucket).copied().unwrap_or(EMPTY_BUCKET);
            if let Some(to) = finder.candidates.get_mut(n_candidates) {
                *to = Candidate { hash: *hash, at: low_bits(bucket as u64), nth };
            }
            n_candidates += usize::from(may_hold(prints, *hash));
        }
        (finder.n_candidates, finder.n_hashes) = (n_candidates, hashes.len());
        let mut touched = 0;
        for candidate in finder.candidates.iter_mut().take(n_candidates) {
            let bucket = candidate.at as usize;
            let prints = self.prints.get(bucket).copied().unwrap_or(EMPTY_BUCKET);
            let start = self.starts.get(bucket).copied().unwrap_or_default();
            candidate.at = start + place(prints, candidate.hash);
            // Reads that wait for nothing run side by side; the ones behind a comparison would not.
            touched ^= self.items.get(candidate.at as usize).map_or(0, |item| item.hash[0]);
        }
        black_box(touched);
    }

    /// Calls `each` with the position and item of every prepared hash that has one, in order.
    #[inline]
    pub(super) fn visit(&self, finder: &Finder, mut each: impl FnMut(usize, &P)) {
        for candidate in finder.candidates() {
            if let Some((position, payload)) = self.item(candidate.at as usize, candidate.hash) {
                each(position, payload);
            }
        }
    }

    /// Leaves in `missed` the places, among those prepared, of the hashes that have no item.
    pub(super) fn missed(&self, finder: &Finder, missed: &mut Vec<usize>) {
        missed.clear();
        let mut next = 0;
        for candidate in finder.candidates() {
            if self.item(candidate.at as usize, candidate.hash).is_some() {
                let nth = candidate.nth as usize;
                missed.extend(next..nth);
                next = nth + 1;
            }
        }
        missed.extend(next..finder.n_hashes);
    }

    /// The item of a hash, which is most probably the one at `at`.
    #[inline]
    fn item(&self, at: usize, hash: u64) -> Option<(usize, &P)> {
        match self.items.get(at) {
            Some(item) if item.hash() == hash => Some((at, &item.payload)),
            _ => self.search(hash),
        }
    }

    /// The item of a hash that shares its print with another, or has none.
    #[cold]
    fn search(&self, hash: u64) -> Option<(usize, &P)> {
        let bucket = spread(hash, self.prints.len());
        let start = self.starts.get(bucket).copied()? as usize;
        let end = self.starts.get(bucket + 1).copied()? as usize;
        let items = self.items.get(start..end)?;
        let found = items.binary_search_by_key(&hash, Item::hash).ok()?;
        items.get(found).map(|item| (start + found, &item.payload))
    }
}

/// Spreads hashes over `n` buckets by their upper bits, in order, without a division.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of a 128-bit product")]
fn spread(hash: u64, n: usize) -> usize {
    ((u128::from(hash) * n as u128) >> 64) as usize
}

/// The print of a hash: its lowest byte, but for the two values with a meaning.
#[inline]
fn print(hash: u64) -> u64 {
    (hash & 0xff).min(u64::from(EMPTY) - 1)
}

/// Takes in the `n`th item of a bucket.
fn with_print(prints: u64, n: u32, hash: u64) -> u64 {
    match n {
        0..PRINTS => {
            let shift = n * 8;
            prints & !(0xff << shift) | print(hash) << shift
        }
        _ => prints | u64::from(OVERFULL) << 56,
    }
}

/// A high bit for each byte that is the hash's print. Above the lowest there may be wrong ones.
#[inline]
fn matches(prints: u64, hash: u64) -> u64 {
    let differences = prints ^ (print(hash) * ONES);
    differences.wrapping_sub(ONES) & !differences & HIGHS
}

/// Whether a bucket may have an item of a hash.
#[inline]
fn may_hold(prints: u64, hash: u64) -> bool {
    matches(prints, hash) != 0 || prints >= u64::from(OVERFULL) << 56
}

/// Which item of its bucket is most probably that of a hash.
#[inline]
fn place(prints: u64, hash: u64) -> u32 {
    matches(prints, hash).trailing_zeros() / 8
}

/// The lower half of a number.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn low_bits(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(hashes: &[u64]) -> Index<usize> {
        let mut index = Index::with_capacity(hashes.len());
        for (at, hash) in hashes.iter().enumerate() {
            index.push(*hash, at);
        }
        index.finish();
        index
    }

    /// Hashes that crowd in few buckets and share prints, and others.
    fn hashes() -> impl Strategy<Value = Vec<u64>> {
        let crowded = (0..4u64, 0..600u64).prop_map(|(high, low)| high << 62 | low);
        prop::collection::btree_set(prop_oneof![crowded, any::<u64>(), Just(u64::MAX)], 0..300)
            .prop_map(|hashes| hashes.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_hash_is_found_and_no_other(known in hashes(), others in hashes()) {
            let index = index(&known);
            let asked: Vec<u64> = known.iter().zip(&others).flat_map(|(a, b)| [*a, *b]).collect();
            let wanted: Vec<_> = asked.iter().map(|hash| known.binary_search(hash).ok()).collect();
            for (hash, wanted) in asked.iter().zip(&wanted) {
                prop_assert_eq!(index.get(*hash).map(|(at, payload)| (at, *payload)), wanted.map(|at| (at, at)));
            }
            let mut finder = Finder::default();
            for n in [asked.len(), asked.len() / 2] {
                index.prepare(&asked[..n], &mut finder);
                let (mut found, mut missed) = (Vec::new(), Vec::new());
                index.visit(&finder, |at, payload| found.push((at, *payload)));
                index.missed(&finder, &mut missed);
                let positions = wanted[..n].iter().flatten().map(|at| (*at, *at));
                prop_assert_eq!(found, positions.collect::<Vec<_>>());
                let without = (0..n).filter(|nth| wanted[*nth].is_none());
                prop_assert_eq!(missed, without.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn most_unknown_hashes_are_told_by_their_prints() {
        let spread_out = |n: u64| crate::features::hash::extend(7, n);
        let mut known: Vec<u64> = (0..10_000).map(spread_out).collect();
        known.sort_unstable();
        let unknown: Vec<u64> = (10_000..20_000).map(spread_out).collect();
        let mut finder = Finder::default();
        index(&known).prepare(&unknown, &mut finder);
        assert!(finder.n_candidates < 500, "{} of 10,000 pass", finder.n_candidates);
    }
}
