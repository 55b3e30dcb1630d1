//! Keeps the first row of each text, and of the others what it takes to report them.

use std::hash::{BuildHasher, RandomState};

use hashbrown::hash_table::{Entry, HashTable};

use super::dataset::Example;
use super::repeats::Repeat;

/// How many rows are looked up together. The index is too large for the processor's caches: looked up
/// one by one, rows would each wait for memory; in a tight loop they wait together. Measured on three
/// million rows: 1.6 times as fast.
const BATCH: usize = 64;
/// Memory for an example besides its text: its fields, its entry in the index, the allocator's
/// bookkeeping, and the room both tables have to spare.
const BYTES_PER_EXAMPLE: u64 = 128;
/// Memory for a row whose text came before.
const BYTES_PER_REPEAT: u64 = 48;

/// Rows, with every text held once.
///
/// The index holds hashes and positions; texts are compared where they stand. The hash has a random
/// seed, so that nobody can make many texts collide; what is found does not depend on it.
#[derive(Debug, Default)]
pub(super) struct DistinctTexts {
    examples: Vec<Example>,
    repeats: Vec<Repeat>,
    index: HashTable<Place>,
    seed: RandomState,
    /// Rows that are not looked up yet, with the hashes of their texts.
    pending: Vec<(u64, Example)>,
    memory_bytes: u64,
}

/// Where in the examples a text is.
#[derive(Debug)]
struct Place {
    hash: u64,
    position: usize,
}

impl DistinctTexts {
    /// Takes in a row.
    pub(super) fn add(&mut self, example: Example) {
        self.memory_bytes += memory_of(&example);
        self.pending.push((self.seed.hash_one(&example.text), example));
        if self.pending.len() >= BATCH {
            self.look_up();
        }
    }

    /// About how much memory the rows take.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Returns the first row of each text, and the others.
    pub(super) fn finish(mut self) -> (Vec<Example>, Vec<Repeat>) {
        self.look_up();
        (self.examples, self.repeats)
    }

    fn look_up(&mut self) {
        for (hash, example) in self.pending.drain(..) {
            let is_same = |place: &Place| {
                place.hash == hash && self.examples[place.position].text == example.text
            };
            match self.index.entry(hash, is_same, |place| place.hash) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Place { hash, position: self.examples.len() });
                    self.examples.push(example);
                }
                Entry::Occupied(found) => {
                    let (line, first, label) = (example.line, found.get().position, example.label);
                    self.repeats.push(Repeat { line, first, label });
                    self.memory_bytes -= memory_of(&example) - BYTES_PER_REPEAT;
                }
            }
        }
    }
}

fn memory_of(example: &Example) -> u64 {
    BYTES_PER_EXAMPLE + example.text.len() as u64
}
