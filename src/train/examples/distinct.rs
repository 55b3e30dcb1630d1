//! Finds texts that came before, by their hashes: the texts themselves are not needed.
//!
//! A text is known by 96 bits of its XXH3-128. Among twenty million texts two different ones share
//! them with a probability of 10^-14.

use std::hash::{BuildHasher, RandomState};

use hashbrown::hash_table::{Entry, HashTable};

use crate::features::hash;

/// Tables of the index. Each grows by itself, so that not all of it is copied at once.
const N_TABLES: usize = 64;
/// Memory for one text, with the room that tables have to spare.
const BYTES_PER_TEXT: u64 = 28;

/// What stands for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::train) struct TextKey([u32; 3]);

/// What is known about the first row of a text.
#[derive(Debug, Clone, Copy)]
struct First {
    key: TextKey,
    line: u32,
    label: u16,
    /// Later rows with the same label, up to [`u16::MAX`] of them, as long as there is no conflict.
    n_repeats: u16,
}

/// Stands in place of a number of repeats once labels are in conflict.
const IN_CONFLICT: u16 = u16::MAX;

/// How a row relates to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Its text is new.
    New,
    /// Its text came before, with its label only.
    Duplicate { first_line: u32 },
    /// It is the first of its text with another label than the first row; `n_duplicates` rows before it
    /// were taken for duplicates.
    Conflict { first_line: u32, first_label: u16, n_duplicates: u16 },
    /// Its text is in conflict already.
    InConflict { first_line: u32, first_label: u16 },
}

/// The index of all texts so far.
///
/// The place of an entry has a random seed, so that nobody can make many texts collide; what is found
/// does not depend on it.
#[derive(Debug)]
pub(super) struct TextIndex {
    tables: Vec<HashTable<First>>,
    seed: u64,
    n_texts: u64,
    max_texts: u64,
}

impl TextIndex {
    /// An index that remembers as many texts as fit into some memory; of those that come later no
    /// repeats are found.
    pub(super) fn within(memory_bytes: u64) -> Self {
        Self {
            tables: (0..N_TABLES).map(|_| HashTable::new()).collect(),
            seed: RandomState::new().hash_one(0),
            n_texts: 0,
            max_texts: memory_bytes / BYTES_PER_TEXT,
        }
    }

    /// Takes note of a row.
    pub(super) fn note(&mut self, key: TextKey, line: u32, label: u16) -> Relation {
        let (place, is_full) = (key.place(self.seed), self.n_texts >= self.max_texts);
        let Some(table) = self.tables.get_mut(table_of(place)) else { return Relation::New };
        match table.entry(place, |first| first.key == key, |first| first.key.place(self.seed)) {
            Entry::Vacant(vacant) => {
                if !is_full {
                    vacant.insert(First { key, line, label, n_repeats: 0 });
                    self.n_texts += 1;
                }
                Relation::New
            }
            Entry::Occupied(mut found) => found.get_mut().relate(label),
        }
    }

    /// Whether a text stands under several labels.
    pub(super) fn is_in_conflict(&self, key: TextKey) -> bool {
        let place = key.place(self.seed);
        let table = self.tables.get(table_of(place));
        let first = table.and_then(|table| table.find(place, |first| first.key == key));
        first.is_some_and(|first| first.n_repeats == IN_CONFLICT)
    }
}

impl First {
    /// Takes note of another row with the text.
    fn relate(&mut self, label: u16) -> Relation {
        let (first_line, first_label, n_duplicates) = (self.line, self.label, self.n_repeats);
        if n_duplicates == IN_CONFLICT {
            return Relation::InConflict { first_line, first_label };
        }
        if label == self.label {
            self.n_repeats = (n_duplicates + 1).min(IN_CONFLICT - 1);
            return Relation::Duplicate { first_line };
        }
        self.n_repeats = IN_CONFLICT;
        Relation::Conflict { first_line, first_label, n_duplicates }
    }
}

impl TextKey {
    #[allow(clippy::cast_possible_truncation, reason = "parts of a hash")]
    pub(in crate::train) fn of(text: &str) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
        Self([hash as u32, (hash >> 32) as u32, (hash >> 64) as u32])
    }

    /// A random number for each seed.
    pub(in crate::train) fn place(self, seed: u64) -> u64 {
        let [low, middle, _] = self.0.map(u64::from);
        hash::extend(seed, middle << 32 | low)
    }
}

/// The table by bits that the tables themselves do not go by.
#[allow(clippy::cast_possible_truncation, reason = "six bits of a hash")]
fn table_of(place: u64) -> usize {
    (place >> 40) as usize % N_TABLES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_always_new() {
        let mut index = TextIndex::within(2 * BYTES_PER_TEXT);
        let mut note = |text: &str| index.note(TextKey::of(text), 7, 0);
        assert_eq!(["a", "b", "c", "c"].map(&mut note), [Relation::New; 4]);
        assert_eq!(note("a"), Relation::Duplicate { first_line: 7 });
    }
}
