//! Finds the positions of hashes, among very many: built once, then only read.
//!
//! The hashes stand in ascending order. The upper bits of a hash lead to a bucket of a few neighbours, of
//! which a word holds a byte each, its print: one comparison of eight bytes tells most unknown hashes and
//! gives the place of most known ones. Many hashes are looked up in two passes, so that what one waits for
//! from memory is on its way while others are looked at.

use super::met::Met;

/// Hashes a bucket on average. A bucket has room for eight prints.
const MEAN_HASHES: usize = 4;
const PRINTS: u32 = 8;
/// The print of no hash: the place is empty.
const EMPTY: u8 = 0xfe;
/// In the last place: the bucket has more hashes than prints.
const OVERFULL: u8 = 0xff;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Distinct hashes, each with its position.
#[derive(Debug)]
pub(super) struct Index {
    /// Ascending.
    hashes: Vec<u64>,
    /// One more than there are, for the end of the last.
    buckets: Vec<Bucket>,
}

/// A few neighbours.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// The prints of its first hashes, a byte each, from the lowest on.
    prints: u64,
    /// The position of its first hash.
    start: u32,
}

const EMPTY_BUCKET: Bucket = Bucket { prints: EMPTY as u64 * ONES, start: 0 };

/// What a look-up of many hashes found. Keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Finder {
    candidates: Vec<Candidate>,
    /// Of the known hashes: which of all they are, and their positions.
    nths: Vec<u32>,
    positions: Vec<u32>,
    n_found: usize,
    n_hashes: usize,
    met: Met,
}

/// A hash with the position that is most probably its.
#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    hash: u64,
    position: u32,
    nth: u32,
}

impl Finder {
    /// The known hashes, in order: which of all they are, and their positions.
    #[inline]
    pub(super) fn found(&self) -> impl Iterator<Item = (u32, u32)> {
        let nths = self.nths.get(..self.n_found).unwrap_or_default();
        nths.iter().copied().zip(self.positions.iter().copied())
    }

    /// The positions of the known hashes.
    pub(super) fn positions(&self) -> &[u32] {
        self.positions.get(..self.n_found).unwrap_or_default()
    }

    /// Leaves in `unknown` which of the hashes are not known.
    pub(super) fn unknown(&self, unknown: &mut Vec<usize>) {
        unknown.clear();
        if self.n_found == self.n_hashes {
            return;
        }
        let mut next = 0;
        for (nth, _) in self.found() {
            unknown.extend(next..nth as usize);
            next = nth as usize + 1;
        }
        unknown.extend(next..self.n_hashes);
    }

    fn make_room(&mut self, n_hashes: usize) {
        self.n_hashes = n_hashes;
        if self.candidates.len() < n_hashes {
            self.candidates.resize(n_hashes, Candidate::default());
            self.nths.resize(n_hashes, 0);
            self.positions.resize(n_hashes, 0);
        }
    }
}

impl Index {
    /// Indexes hashes: ascending, distinct, fewer than 2^32.
    pub(super) fn new(mut hashes: Vec<u64>) -> Self {
        debug_assert!(hashes.is_sorted_by(|a, b| a < b), "not in order");
        hashes.shrink_to_fit();
        let n_buckets = hashes.len() / MEAN_HASHES + 1;
        let mut buckets = vec![EMPTY_BUCKET; n_buckets + 1];
        let mut start = 0;
        for (at, bucket) in (0..).zip(&mut buckets) {
            bucket.start = start;
            let behind = hashes.get(start as usize..).unwrap_or_default();
            for (n, hash) in
                (0..).zip(behind).take_while(|(_, hash)| spread(**hash, n_buckets) == at)
            {
                bucket.prints = with_print(bucket.prints, n, *hash);
                start += 1;
            }
        }
        Self { hashes, buckets }
    }

    /// The position of a hash.
    pub(super) fn position(&self, hash: u64) -> Option<usize> {
        let mut candidate = [Candidate::default()];
        let n = self.candidates(std::iter::once(hash), &mut candidate);
        let position = self.confirm(candidate.get(..n)?.first()?)?;
        Some(position as usize)
    }

    /// Number of hashes.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Looks up many hashes.
    pub(super) fn find(&self, hashes: &[u64], finder: &mut Finder) {
        finder.make_room(hashes.len());
        let n_candidates = self.candidates(hashes.iter().copied(), &mut finder.candidates);
        let candidates = finder.candidates.get(..n_candidates).unwrap_or_default();
        finder.n_found = self.known(candidates, &mut finder.nths, &mut finder.positions);
    }

    /// Looks up many hashes. Returns the positions of those that are known, each once.
    pub(super) fn find_distinct<'a>(
        &self,
        hashes: impl ExactSizeIterator<Item = u64>,
        finder: &'a mut Finder,
    ) -> &'a [u32] {
        finder.make_room(hashes.len());
        finder.met.make_room(self.hashes.len());
        let n_candidates = self.candidates(hashes, &mut finder.candidates);
        let candidates = finder.candidates.get(..n_candidates).unwrap_or_default();
        let n = self.distinct(candidates, &mut finder.positions, &mut finder.met);
        finder.positions.get(..n).unwrap_or_default()
    }

    /// Writes the hashes that the prints let pass; how many there are. A function of its own, so that what
    /// the loop needs stays in registers.
    #[inline(never)]
    fn candidates(&self, hashes: impl Iterator<Item = u64>, candidates: &mut [Candidate]) -> usize {
        let mut n = 0;
        // Without a branch on what the prints say: it would be guessed wrong half of the time.
        for (nth, hash) in (0..).zip(hashes) {
            let Bucket { prints, start } = self.bucket(hash);
            let matches = matches(prints, hash);
            if let Some(to) = candidates.get_mut(n) {
                // Without a match, the last place.
                let place = (matches | 1 << 63).trailing_zeros() / 8;
                *to = Candidate { hash, position: start + place, nth };
            }
            n += usize::from((matches != 0) | (prints >= u64::from(OVERFULL) << 56));
        }
        n
    }

    /// Writes which candidates are known, and their positions; how many there are.
    #[inline(never)]
    fn known(&self, candidates: &[Candidate], nths: &mut [u32], positions: &mut [u32]) -> usize {
        let mut n = 0;
        for candidate in candidates {
            let Some(found) = self.confirm(candidate) else { continue };
            if let (Some(nth), Some(position)) = (nths.get_mut(n), positions.get_mut(n)) {
                (*nth, *position) = (candidate.nth, found);
            }
            n += 1;
        }
        n
    }

    /// Writes the positions of the candidates that are known, each once; how many there are. `met` is empty
    /// before and after.
    #[inline(never)]
    fn distinct(&self, candidates: &[Candidate], positions: &mut [u32], met: &mut Met) -> usize {
        let mut n = 0;
        for candidate in candidates {
            let Some(position) = self.confirm(candidate) else { continue };
            if let Some(to) = positions.get_mut(n) {
                *to = position;
            }
            n += usize::from(met.insert(position));
        }
        positions.iter().take(n).for_each(|position| met.forget(*position));
        n
    }

    /// The position of a candidate that is known.
    #[inline]
    fn confirm(&self, candidate: &Candidate) -> Option<u32> {
        if self.hashes.get(candidate.position as usize) == Some(&candidate.hash) {
            return Some(candidate.position);
        }
        self.search(candidate.hash).map(|at| low_bits(at as u64))
    }

    #[inline]
    fn bucket(&self, hash: u64) -> Bucket {
        let at = spread(hash, self.buckets.len() - 1);
        self.buckets.get(at).copied().unwrap_or(EMPTY_BUCKET)
    }

    /// The position of a hash that shares its print with another, or has none.
    #[cold]
    fn search(&self, hash: u64) -> Option<usize> {
        let bucket = spread(hash, self.buckets.len() - 1);
        let start = self.buckets.get(bucket)?.start as usize;
        let end = self.buckets.get(bucket + 1)?.start as usize;
        let found = self.hashes.get(start..end)?.binary_search(&hash).ok()?;
        Some(start + found)
    }
}

/// Spreads hashes over `n` buckets by their upper bits, in order, without a division.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of a 128-bit product")]
fn spread(hash: u64, n: usize) -> usize {
    ((u128::from(hash) * n as u128) >> 64) as usize
}

/// The print of a hash: its lowest byte. That of an empty place leads to a comparison in vain.
#[inline]
fn print(hash: u64) -> u64 {
    hash & 0xff
}

/// Takes in the `n`th hash of a bucket.
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

    /// Hashes that crowd in few buckets and share prints, and others.
    fn hashes() -> impl Strategy<Value = Vec<u64>> {
        let crowded = (0..4u64, 0..600u64).prop_map(|(high, low)| high << 62 | low);
        prop::collection::btree_set(prop_oneof![crowded, any::<u64>(), Just(u64::MAX)], 0..300)
            .prop_map(|hashes| hashes.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_hash_is_found_and_no_other(known in hashes(), others in hashes()) {
            let index = Index::new(known.clone());
            let asked: Vec<u64> = known.iter().zip(&others).flat_map(|(a, b)| [*a, *b]).collect();
            let wanted: Vec<_> = asked.iter().map(|hash| known.binary_search(hash).ok()).collect();
            for (hash, wanted) in asked.iter().zip(&wanted) {
                prop_assert_eq!(index.position(*hash), *wanted);
            }
            let mut finder = Finder::default();
            for n in [asked.len(), asked.len() / 2] {
                index.find(&asked[..n], &mut finder);
                let mut unknown = Vec::new();
                finder.unknown(&mut unknown);
                let mut found = finder.found().map(|(nth, at)| (nth as usize, at as usize));
                for (nth, wanted) in wanted[..n].iter().enumerate() {
                    match wanted {
                        Some(at) => prop_assert_eq!(found.next(), Some((nth, *at))),
                        None => prop_assert!(unknown.contains(&nth)),
                    }
                }
                prop_assert_eq!(found.next(), None);
                prop_assert_eq!(unknown.len() + finder.positions().len(), n);
            }
        }

        #[test]
        fn what_is_asked_twice_is_found_once(known in hashes(), others in hashes()) {
            let index = Index::new(known.clone());
            let asked: Vec<u64> = others.iter().chain(&known).chain(&known).copied().collect();
            let mut finder = Finder::default();
            for _ in 0..2 {
                let found = index.find_distinct(asked.iter().copied(), &mut finder);
                let mut found: Vec<_> = found.iter().map(|at| known[*at as usize]).collect();
                found.sort_unstable();
                prop_assert_eq!(&found, &known);
            }
        }
    }

    #[test]
    fn most_unknown_hashes_are_told_by_their_prints() {
        let spread_out = |n: u64| crate::features::hash::extend(7, n);
        let mut known: Vec<u64> = (0..10_000).map(spread_out).collect();
        known.sort_unstable();
        let index = Index::new(known);
        let unknown: Vec<u64> = (10_000..20_000).map(spread_out).collect();
        let n_passed = index.candidates(unknown.into_iter(), &mut [Candidate::default(); 10_000]);
        assert!(n_passed < 500, "{n_passed} of 10,000 pass");
    }
}
