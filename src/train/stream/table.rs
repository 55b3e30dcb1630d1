//! The counts of pairs of feature and label: an open-addressing table under the features' hashes.
//!
//! One entry a pair, so that memory follows the labels a feature occurs under.

/// Entries a table has room for at first.
const MIN_SLOTS: usize = 64;
/// Spreads pairs over the slots: the fractional bits of the golden ratio, made odd.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A pair of feature and label with its count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry<M> {
    pub(super) hash: u64,
    pub(super) count: u32,
    pub(super) label: u16,
    is_taken: bool,
    /// Whatever else is remembered of the pair.
    pub(super) mark: M,
}

/// Pairs by hash and label.
#[derive(Debug, Default)]
pub(super) struct Table<M> {
    slots: Vec<Entry<M>>,
    n_taken: usize,
    /// What leaves an index of a slot of 64 bits.
    shift: u32,
}

impl<M: Copy + Default> Table<M> {
    /// Number of pairs.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.n_taken
    }

    /// The entry of a pair, a new one if it is not there; and whether it is new.
    #[inline]
    pub(super) fn entry(&mut self, hash: u64, label: u16) -> Option<(&mut Entry<M>, bool)> {
        if self.n_taken * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = self.place(hash, label);
        loop {
            let slot = self.slots.get(at)?;
            if !slot.is_taken || (slot.hash == hash && slot.label == label) {
                break;
            }
            at = (at + 1) & mask;
        }
        let slot = self.slots.get_mut(at)?;
        let is_new = !slot.is_taken;
        if is_new {
            *slot = Entry { hash, count: 0, label, is_taken: true, mark: M::default() };
            self.n_taken += 1;
        }
        Some((slot, is_new))
    }

    /// Reads where the entry of a pair is looked for first; returns something that depends on it.
    #[inline]
    pub(super) fn touch(&self, hash: u64, label: u16) -> u64 {
        self.slots.get(self.place(hash, label)).map_or(0, |slot| slot.hash)
    }

    /// The entry of a pair, if it is there.
    pub(super) fn get(&self, hash: u64, label: u16) -> Option<&Entry<M>> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = self.place(hash, label);
        loop {
            let slot = self.slots.get(at).filter(|slot| slot.is_taken)?;
            if slot.hash == hash && slot.label == label {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    /// Drops the rarest pairs so that at most half of `max_len` are left, where there are more than
    /// `max_len`: all that occur at most so and so often. Returns how many went.
    pub(super) fn prune(&mut self, max_len: usize) -> usize {
        if self.n_taken <= max_len {
            return 0;
        }
        let mut counts: Vec<u32> = self.entries().map(|entry| entry.count).collect();
        let last_dropped = (self.n_taken - max_len / 2).saturating_sub(1);
        let (_, limit, _) = counts.select_nth_unstable(last_dropped);
        let limit = *limit;
        let n_before = self.n_taken;
        // Its size stays: it fills up again.
        let n_slots = self.slots.len();
        let old = std::mem::replace(&mut self.slots, vec![Entry::default(); n_slots]);
        self.n_taken = 0;
        let stays = |entry: &&Entry<M>| entry.is_taken && entry.count > limit;
        old.iter().filter(stays).for_each(|entry| self.put(*entry));
        n_before - self.n_taken
    }

    /// The pairs, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<M>> {
        self.slots.iter().filter(|slot| slot.is_taken)
    }

    /// The pairs that occur, by hash, then by the new label that `label_of` gives.
    pub(super) fn into_sorted(self, label_of: impl Fn(u16) -> u16) -> Vec<Entry<M>> {
        let mut entries = self.slots;
        entries.retain(|slot| slot.is_taken && slot.count > 0);
        entries.iter_mut().for_each(|entry| entry.label = label_of(entry.label));
        entries.sort_unstable_by_key(|entry| (entry.hash, entry.label));
        entries
    }

    /// Where a pair belongs. All hashes of a table have the same upper bits, so that it goes by the others.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "an index")]
    fn place(&self, hash: u64, label: u16) -> usize {
        let mixed = (hash ^ u64::from(label) << 32).wrapping_mul(MULTIPLIER);
        (mixed >> self.shift) as usize
    }

    #[cold]
    fn grow(&mut self) {
        let n_slots = (self.slots.len() * 2).max(MIN_SLOTS);
        let old = std::mem::replace(&mut self.slots, vec![Entry::default(); n_slots]);
        self.shift = u64::BITS - n_slots.ilog2();
        self.n_taken = 0;
        old.iter().filter(|slot| slot.is_taken).for_each(|slot| self.put(*slot));
    }

    fn put(&mut self, old: Entry<M>) {
        if let Some((entry, _)) = self.entry(old.hash, old.label) {
            *entry = old;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: u64) -> Table<()> {
        let mut table = Table::default();
        for feature in 0..n {
            for label in 0..3 {
                // Feature 5 occurs 6 times.
                table.entry(feature, label).unwrap().0.count = u32::try_from(feature).unwrap() + 1;
            }
        }
        table
    }

    #[test]
    fn every_pair_is_found_and_no_other() {
        let table = filled(1_000);
        assert_eq!(table.len(), 3_000);
        assert_eq!(table.get(5, 2).unwrap().count, 6);
        assert!(table.get(5, 3).is_none() && table.get(1_000, 0).is_none());
        assert!(Table::<()>::default().get(0, 0).is_none());
    }

    #[test]
    fn the_rarest_go_until_half_is_left() {
        let mut table = filled(100);
        assert_eq!(table.prune(300), 0);
        assert_eq!(table.prune(200), 201);
        assert_eq!(table.len(), 99);
        assert!(table.get(66, 0).is_none() && table.get(67, 0).is_some());
    }

    #[test]
    fn pairs_are_sorted_under_their_new_labels() {
        let sorted = filled(2).into_sorted(|label| 2 - label);
        let sorted: Vec<_> = sorted.iter().map(|e| (e.hash, e.label)).collect();
        assert_eq!(sorted, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
    }
}
