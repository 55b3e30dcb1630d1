//! What repeats in a sentence: found without a branch where it would be guessed wrong, and dropped only where
//! there is any.

/// A bit for each of some things.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// All false, for so many things.
    pub(super) fn begin(&mut self, n: usize) {
        self.0.clear();
        self.0.resize(n / 64 + 1, 0);
    }

    /// Makes one true.
    #[inline]
    pub(super) fn set(&mut self, at: u32) {
        if let Some(word) = self.0.get_mut(at as usize / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Whether one is true.
    pub(super) fn get(&self, at: u32) -> bool {
        self.0.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Where `n` in a row are true, ascending; `n` from 1 to 64.
    pub(super) fn runs(&self, n: u32) -> impl Iterator<Item = usize> {
        let words = self.0.iter().zip(self.0.iter().skip(1).chain([&0])).enumerate();
        words.flat_map(move |(nth, (word, next))| {
            let behind = |by: u32| word >> by | next << (64 - by);
            let mut runs = (1..n).fold(*word, |runs, by| runs & behind(by));
            std::iter::from_fn(move || {
                let at = (runs != 0).then(|| nth * 64 + runs.trailing_zeros() as usize)?;
                runs &= runs - 1;
                Some(at)
            })
        })
    }
}

/// A set of hashes in a list, that is emptied in constant time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Generation, and position in the list; a slot of an older generation is free.
    slots: Vec<(u32, u32)>,
    generation: u32,
    mask: usize,
    /// Positions of a list that are to be dropped.
    dropped: Vec<usize>,
}

impl Seen {
    /// Empties the set and makes room for so many hashes.
    pub(super) fn begin(&mut self, n_hashes: usize) {
        let n_slots = (4 * n_hashes).next_power_of_two().max(256);
        if self.slots.len() < n_slots {
            self.slots.resize(n_slots, (0, 0));
        }
        self.mask = n_slots - 1;
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.slots.fill((0, 0));
            self.generation = 1;
        }
    }

    /// Adds the hashes of a list. Writes for each at which position it stands first.
    #[inline(never)]
    pub(super) fn insert_all(&mut self, list: &[u64], firsts: &mut [u32]) {
        for ((position, hash), first) in (0..).zip(list).zip(firsts) {
            *first = self.insert(*hash, position, list);
        }
    }

    /// Adds a hash that is to stand at a position of the list. Returns the position at which it stands
    /// first: that one, or an earlier one.
    #[inline]
    fn insert(&mut self, hash: u64, position: u32, list: &[u64]) -> u32 {
        let mut at = low_bits(hash) & self.mask;
        while let Some(slot) = self.slots.get_mut(at) {
            let is_free = slot.0 != self.generation;
            let is_same = !is_free & (list.get(slot.1 as usize) == Some(&hash));
            // Which of the two is not branched on: it would be guessed wrong too often.
            if is_free | is_same {
                let first = if is_same { slot.1 } else { position };
                *slot = (self.generation, first);
                return first;
            }
            at = (at + 1) & self.mask;
        }
        position
    }

    /// Leaves each n-gram once; only those at `repeating` positions, ascending, may repeat.
    pub(super) fn drop_repeats(
        &mut self,
        grams: &mut Vec<u64>,
        repeating: impl Iterator<Item = usize>,
    ) {
        self.dropped.clear();
        let mut repeating = repeating.take_while(|at| *at < grams.len()).peekable();
        if repeating.peek().is_none() {
            return;
        }
        self.begin(grams.len());
        for at in repeating {
            let Some(gram) = grams.get(at) else { break };
            let position = u32::try_from(at).unwrap_or(u32::MAX);
            if self.insert(*gram, position, grams) != position {
                self.dropped.push(at);
            }
        }
        if !self.dropped.is_empty() {
            let mut dropped = self.dropped.iter().peekable();
            let mut at = 0..;
            grams.retain(|_| dropped.next_if_eq(&&at.next().unwrap_or_default()).is_none());
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "some bits of a hash")]
fn low_bits(hash: u64) -> usize {
    hash as usize
}
