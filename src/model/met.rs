//! Which of many positions were met in a sentence: a bit each, taken back one by one, so that it costs
//! nothing to begin anew.

use std::cell::Cell;

/// A set of positions.
#[derive(Debug, Default)]
pub(super) struct Met(Vec<u64>);

impl Met {
    /// Makes room for positions below `n`.
    pub(super) fn make_room(&mut self, n: usize) {
        let n_words = n.div_ceil(64);
        if self.0.len() < n_words {
            self.0.resize(n_words, 0);
        }
    }

    /// Takes in a position; whether it was not there. Without a branch on that.
    #[inline]
    pub(super) fn insert(&mut self, position: u32) -> bool {
        let Some(word) = self.0.get_mut(position as usize / 64) else { return true };
        let bit = 1 << (position % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Takes out a position.
    #[inline]
    pub(super) fn remove(&mut self, position: u32) {
        if let Some(word) = self.0.get_mut(position as usize / 64) {
            *word &= !(1 << (position % 64));
        }
    }

    /// Moves the first of each position of a list to the front, in order; how many there are. The set must
    /// be empty, and is so afterwards.
    pub(super) fn drop_repeats(&mut self, list: &mut [u32]) -> usize {
        let cells = Cell::from_mut(&mut *list).as_slice_of_cells();
        let mut n = 0;
        for from in cells {
            if let Some(to) = cells.get(n) {
                to.set(from.get());
            }
            n += usize::from(self.insert(from.get()));
        }
        for position in list.get(..n).unwrap_or_default() {
            if let Some(word) = self.0.get_mut(*position as usize / 64) {
                *word = 0;
            }
        }
        n
    }
}
