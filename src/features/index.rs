//! An index from hashes to their positions in a list: built once, then only read.

/// An open-addressing index. Immutable; at most 4/5 full.
#[derive(Debug)]
pub struct HashIndex {
    /// Hash and position; [`EMPTY`] where there is none.
    slots: Vec<(u64, u32)>,
}

/// The position of a slot without a hash.
const EMPTY: u32 = u32::MAX;

impl HashIndex {
    /// Indexes a list of distinct hashes, at most 2^32 - 1 of them.
    #[must_use]
    pub fn new(hashes: &[u64]) -> Self {
        let mut index = Self { slots: vec![(0, EMPTY); hashes.len() / 4 * 5 + 8] };
        for (position, hash) in (0u32..).zip(hashes) {
            let mut at = index.first_slot(*hash);
            while index.slots.get(at).is_some_and(|(_, taken)| *taken != EMPTY) {
                at = index.next_slot(at);
            }
            if let Some(slot) = index.slots.get_mut(at) {
                *slot = (*hash, position);
            }
        }
        index
    }

    /// Returns the position of a hash.
    #[inline]
    #[must_use]
    pub fn get(&self, hash: u64) -> Option<u32> {
        let mut at = self.first_slot(hash);
        loop {
            let &(key, position) = self.slots.get(at)?;
            if position == EMPTY {
                return None;
            }
            if key == hash {
                return Some(position);
            }
            at = self.next_slot(at);
        }
    }

    /// Spreads hashes evenly over the slots by their upper bits, without a division.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the upper half of a 128-bit product")]
    fn first_slot(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline]
    fn next_slot(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_found_and_no_other() {
        let hashes: Vec<u64> = (0..10_000).map(|n| super::super::hash::extend(20_000, n)).collect();
        let index = HashIndex::new(&hashes);
        for (position, hash) in (0u32..).zip(&hashes) {
            assert_eq!(index.get(*hash), Some(position));
        }
        assert_eq!(index.get(0), None);
        assert_eq!(HashIndex::new(&[0, u64::MAX]).get(0), Some(0));
        assert_eq!(HashIndex::new(&[]).get(0), None);
    }
}
