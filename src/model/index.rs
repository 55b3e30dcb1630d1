//! Finds the positions of hashes, among very many: built once, then only read.
//!
//! A perfect hash function: no two of the known hashes have the same slot, so that a look-up is one comparison
//! and needs no branch. The hashes fall into buckets of a few; a bucket's *pilot* is a number that was sought
//! until the slots of its hashes were free and different. (After G. E. Pibiri and R. Trani, `PTHash`,
//! SIGIR 2021.)

use std::cmp::Reverse;

use rayon::prelude::*;

use super::PartsError;
use super::arrays::{Array, Arrays};
use super::met::Met;
use crate::features::hash::extend;

/// Slots and buckets of a block. In order of their hashes, blocks are filled one after the other, so that little
/// memory is touched at a time.
const SLOTS: usize = 2048;
const BUCKETS: usize = 1024;
/// Hashes a block on average: so few that hardly ever one has more than there are slots, four standard deviations.
const MEAN_HASHES: usize = 1880;
/// Where a bucket has more, another seed is taken.
const MAX_BUCKET_HASHES: usize = 64;
/// Odd, and without a pattern: the fractional bits of the golden ratio and of the root of 2.
const MULTIPLIERS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909];
/// Who has a slot that nobody has.
pub(super) const FREE: u32 = u32::MAX;

/// Distinct hashes, each with its slot, and with something else that is wanted when it is found.
#[derive(Debug, PartialEq)]
pub(super) struct Index<T = ()> {
    /// A pilot a bucket.
    pilots: Vec<u16>,
    /// By slot. In a free one stands a hash whose slot is another.
    slots: Vec<(u64, T)>,
    /// Odd. What hashes are multiplied by; not 1 only where no pilots could be found so.
    seed: u64,
}

/// Where some of many hashes are, each once. Keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Finder {
    slots: Vec<u32>,
    met: Met,
}

impl<T: Copy + Default + Send + Sync> Index<T> {
    /// Indexes distinct hashes, ascending, fewer than 2^32 - 1. Returns also, by slot, which of them has it:
    /// [`FREE`] if none has.
    pub(super) fn new(hashes: &[(u64, T)]) -> (Self, Vec<u32>) {
        if let Some(built) = Self::with_seed(hashes, 1) {
            return built;
        }
        // It depends on all hashes, so that nobody chooses some that no pilots are found for.
        let mut seed = hashes.iter().fold(MULTIPLIERS[0], |seed, (hash, _)| extend(seed, *hash));
        loop {
            seed = extend(seed, MULTIPLIERS[1]);
            if let Some(built) = Self::with_seed(hashes, seed | 1) {
                return built;
            }
        }
    }

    /// The same with a seed that may be found wanting.
    fn with_seed(hashes: &[(u64, T)], seed: u64) -> Option<(Self, Vec<u32>)> {
        let n_blocks = hashes.len().div_ceil(MEAN_HASHES);
        let free = hashes.first().copied().unwrap_or_default();
        let (pilots, slots) = (vec![0; n_blocks * BUCKETS], vec![free; n_blocks * SLOTS]);
        let mut index = Self { pilots, slots, seed };
        let mut owners = vec![FREE; n_blocks * SLOTS];
        let seeded = |(nth, (hash, _)): (u32, &(u64, T))| (hash.wrapping_mul(seed), nth);
        let mut keys: Vec<(u64, u32)> = (0..).zip(hashes).map(seeded).collect();
        // With the first seed they are in order.
        keys.sort_unstable();
        let in_block = |block: usize| {
            let end = |block| keys.partition_point(|(key, _)| spread(*key, n_blocks) < block);
            keys.get(end(block)..end(block + 1)).unwrap_or_default()
        };
        let pilots = index.pilots.par_chunks_mut(BUCKETS);
        let blocks =
            pilots.zip(index.slots.par_chunks_mut(SLOTS)).zip(owners.par_chunks_mut(SLOTS));
        blocks.enumerate().try_for_each(|(block, ((pilots, slots), owners))| {
            place(in_block(block), (block, n_blocks), pilots, owners)?;
            for (slot, owner) in slots.iter_mut().zip(owners) {
                if let Some(hash) = hashes.get(*owner as usize) {
                    *slot = *hash;
                }
            }
            Some(())
        })?;
        Some((index, owners))
    }

    /// The slot of a hash.
    pub(super) fn find(&self, hash: u64) -> Option<usize> {
        let (slot, known) = self.look_up(hash);
        known.map(|_| slot)
    }

    /// Number of slots.
    pub(super) fn n_slots(&self) -> usize {
        self.slots.len()
    }

    /// Looks up many hashes. Returns the slots of those that are known, each once.
    pub(super) fn find_all<'a>(&self, hashes: &[u64], finder: &'a mut Finder) -> &'a [u32] {
        let Finder { slots, met } = finder;
        if slots.len() < hashes.len() {
            slots.resize(hashes.len(), 0);
        }
        let n_known = self.known(hashes, slots);
        met.make_room(self.slots.len());
        let n = met.drop_repeats(slots.get_mut(..n_known).unwrap_or_default());
        slots.get(..n).unwrap_or_default()
    }

    /// Writes the slots of the hashes that are known; how many there are. A function of its own, so that what
    /// the loop needs stays in registers.
    #[inline(never)]
    fn known(&self, hashes: &[u64], slots: &mut [u32]) -> usize {
        let mut n = 0;
        // Without a branch on what is known: it would be guessed wrong too often.
        for hash in hashes {
            let (slot, known) = self.look_up(*hash);
            if let Some(to) = slots.get_mut(n) {
                *to = low_bits(slot);
            }
            n += usize::from(known.is_some());
        }
        n
    }

    /// Looks up many hashes. Writes the slot of each, that behind the last for those that are not known, and
    /// what the others were given. Returns how many are not known.
    #[inline(never)]
    pub(super) fn look_up_all(&self, hashes: &[u64], slots: &mut [u32], given: &mut [T]) -> usize {
        let mut n_unknown = 0;
        for (hash, (to_slot, to_given)) in hashes.iter().zip(slots.iter_mut().zip(given)) {
            let (slot, known) = self.look_up(*hash);
            n_unknown += usize::from(known.is_none());
            *to_slot = low_bits(if known.is_some() { slot } else { self.slots.len() });
            *to_given = known.unwrap_or_default();
        }
        n_unknown
    }

    /// The slot that a hash has if it is known, and what it was given if it is.
    #[inline]
    pub(super) fn look_up(&self, hash: u64) -> (usize, Option<T>) {
        let key = hash.wrapping_mul(self.seed);
        let bucket = self.bucket(key);
        let pilot = self.pilots.get(bucket).copied().unwrap_or_default();
        let slot = bucket / BUCKETS * SLOTS + slot_in_block(key, pilot);
        let known = self.slots.get(slot).filter(|(known, _)| *known == hash);
        (slot, known.map(|(_, given)| *given))
    }

    /// The bucket of a key, which is a hash times the seed. Keys in order have buckets in order.
    #[inline]
    fn bucket(&self, key: u64) -> usize {
        spread(key, self.pilots.len())
    }
}

impl Index {
    /// Reads it from its arrays, whose names have this prefix. It is to be checked.
    pub(super) fn from_arrays(arrays: &mut Arrays<'_>, prefix: &str) -> Result<Self, PartsError> {
        let hashes = slots_of(arrays, &format!("{prefix}.hashes"))?;
        Self::of_slots(arrays, prefix, hashes.into_iter().map(|hash| (hash, ())).collect())
    }

    /// Its arrays.
    pub(super) fn arrays(&self, prefix: &str) -> Vec<Array<'static>> {
        let hashes = self.slots.iter().map(|(hash, ())| *hash).collect();
        self.with_pilots(prefix, vec![Array::list(format!("{prefix}.hashes"), hashes)])
    }
}

impl Index<u64> {
    /// Reads it from its arrays, whose names have this prefix. It is to be checked.
    pub(super) fn from_arrays(arrays: &mut Arrays<'_>, prefix: &str) -> Result<Self, PartsError> {
        let keys = slots_of(arrays, &format!("{prefix}.keys"))?;
        let hashes = arrays.take(&format!("{prefix}.hashes"), &[keys.len()])?;
        Self::of_slots(arrays, prefix, keys.into_par_iter().zip(hashes).collect())
    }

    /// Its arrays.
    pub(super) fn arrays(&self, prefix: &str) -> Vec<Array<'static>> {
        let (keys, hashes) = self.slots.iter().copied().unzip();
        let lists = [("keys", keys), ("hashes", hashes)];
        let lists = lists.map(|(name, list)| Array::list(format!("{prefix}.{name}"), list));
        self.with_pilots(prefix, lists.into())
    }
}

/// Takes an array of a number a slot.
fn slots_of(arrays: &mut Arrays<'_>, name: &str) -> Result<Vec<u64>, PartsError> {
    let slots: Vec<u64> = arrays.take_list(name)?;
    // Slots are kept in 32 bits, with that behind the last.
    if !slots.len().is_multiple_of(SLOTS) || u32::try_from(slots.len()).is_err() {
        let problem = format!("{} slots, allowed are multiples of {SLOTS} below 2^32", slots.len());
        return Err(PartsError::new(name, problem));
    }
    Ok(slots)
}

impl<T: Copy + Default + PartialEq + Send + Sync> Index<T> {
    fn of_slots(
        arrays: &mut Arrays<'_>,
        prefix: &str,
        slots: Vec<(u64, T)>,
    ) -> Result<Self, PartsError> {
        let pilots = arrays.take(&format!("{prefix}.pilots"), &[slots.len() / SLOTS * BUCKETS])?;
        Ok(Self { pilots, slots, seed: arrays.take_one(&format!("{prefix}.seed"))? })
    }

    fn with_pilots(&self, prefix: &str, mut arrays: Vec<Array<'static>>) -> Vec<Array<'static>> {
        arrays.push(Array::list(format!("{prefix}.pilots"), self.pilots.clone()));
        arrays.push(Array::list(format!("{prefix}.seed"), vec![self.seed]));
        arrays
    }

    /// Checks that each slot holds what is found: there, or if the slot is free, elsewhere. Returns how many are
    /// not free. `name` is that of the array of what is looked for.
    pub(super) fn check(&self, name: &str) -> Result<usize, PartsError> {
        let slots = self.slots.par_iter().with_min_len(1 << 12).enumerate();
        let is_taken = |(slot, (hash, _)): (usize, &(u64, T))| {
            self.find(*hash).map(|found| usize::from(found == slot))
        };
        let n_taken: Option<usize> = slots.map(is_taken).sum();
        n_taken.ok_or_else(|| PartsError::new(name, "not found where it stands"))
    }
}

/// Finds pilots for the keys of one of `n_blocks`, and writes who has which of its slots. `None` if there are none.
fn place(
    keys: &[(u64, u32)],
    (block, n_blocks): (usize, usize),
    pilots: &mut [u16],
    owners: &mut [u32],
) -> Option<()> {
    let bucket = |(key, _): &(u64, u32)| spread(*key, n_blocks * BUCKETS) - block * BUCKETS;
    let mut buckets: Vec<_> = keys.chunk_by(|a, b| bucket(a) == bucket(b)).collect();
    // Large ones first, while there is room for them.
    buckets.sort_by_key(|bucket| Reverse(bucket.len()));
    let mut taken = Met::default();
    taken.make_room(SLOTS);
    for keys in buckets {
        let pilot = seek_pilot(keys, &mut taken)?;
        *pilots.get_mut(bucket(keys.first()?))? = pilot;
        for (key, nth) in keys {
            *owners.get_mut(slot_in_block(*key, pilot))? = *nth;
        }
    }
    Some(())
}

/// A pilot with which the keys of a bucket have slots that are free and different; they are taken then. `None`
/// if there is none, or more keys than can be hoped for.
fn seek_pilot(keys: &[(u64, u32)], taken: &mut Met) -> Option<u16> {
    if keys.len() > MAX_BUCKET_HASHES {
        return None;
    }
    (0..=u16::MAX).find(|pilot| {
        let slot = |(key, _): &(u64, u32)| low_bits(slot_in_block(*key, *pilot));
        let n_taken = keys.iter().take_while(|key| taken.insert(slot(key))).count();
        if n_taken < keys.len() {
            keys.iter().take(n_taken).for_each(|key| taken.remove(slot(key)));
        }
        n_taken == keys.len()
    })
}

/// The slot of a key among those of its block.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a few upper bits")]
fn slot_in_block(key: u64, pilot: u16) -> usize {
    let multiplier = MULTIPLIERS[1].wrapping_add(u64::from(pilot) << 1);
    // No pilot would move a key of 0.
    let mixed = (key ^ MULTIPLIERS[0]).wrapping_mul(multiplier);
    (mixed >> (u64::BITS - SLOTS.ilog2())) as usize
}

/// Spreads numbers over `n` places by their upper bits, without a division.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of a 128-bit product")]
fn spread(number: u64, n: usize) -> usize {
    ((u128::from(number) * n as u128) >> 64) as usize
}

/// A slot, or which of many hashes, as it is kept.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 2^32 slots, and tokens of a sentence"
)]
fn low_bits(slot: usize) -> u32 {
    slot as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Hashes that crowd in few places, and others.
    fn hashes() -> impl Strategy<Value = Vec<u64>> {
        let crowded = (0..4u64, 0..600u64).prop_map(|(high, low)| high << 62 | low);
        prop::collection::btree_set(prop_oneof![crowded, any::<u64>(), Just(u64::MAX)], 0..300)
            .prop_map(|hashes| hashes.into_iter().collect())
    }

    fn index(hashes: &[u64]) -> (Index<u64>, Vec<u32>) {
        Index::new(&hashes.iter().map(|hash| (*hash, !hash)).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn every_hash_is_found_and_no_other(known in hashes(), others in hashes()) {
            let (index, owners) = index(&known);
            for hash in known.iter().chain(&others) {
                let (slot, given) = index.look_up(*hash);
                match known.binary_search(hash) {
                    Ok(nth) => {
                        prop_assert_eq!(given, Some(!hash));
                        prop_assert_eq!(owners[slot] as usize, nth);
                        prop_assert_eq!(index.find(*hash), Some(slot));
                    }
                    Err(_) => prop_assert_eq!((given, index.find(*hash)), (None, None)),
                }
            }
        }

        #[test]
        fn what_is_asked_twice_is_found_once(known in hashes(), others in hashes()) {
            let (index, owners) = index(&known);
            let asked: Vec<u64> = others.iter().chain(&known).chain(&known).copied().collect();
            let mut finder = Finder::default();
            for _ in 0..2 {
                let found = index.find_all(&asked, &mut finder);
                let found: BTreeSet<u32> = found.iter().copied().collect();
                let taken = (0..).zip(&owners).filter(|(_, owner)| **owner != FREE);
                prop_assert_eq!(found, taken.map(|(slot, _)| slot).collect());
            }
        }
    }

    #[test]
    fn slots_are_hardly_more_than_hashes() {
        let mut known: Vec<u64> = (0..100_000).map(|n| extend(7, n)).collect();
        known.sort_unstable();
        let (index, owners) = index(&known);
        assert_eq!((index.n_slots(), index.seed), (54 * SLOTS, 1));
        let taken: BTreeSet<_> = owners.iter().filter(|owner| **owner != FREE).collect();
        assert_eq!(taken.len(), known.len());
    }
}
