//! The features of some rows, sorted into the partitions that count them.
//!
//! A feature belongs to the partition of its hash's upper bits, so that partitions are counted side by
//! side, and one behind the other are in the order of the hashes.

use super::batch::Batch;
use crate::features::{Analysis, Ending, Ngrams, View, for_each_ending};

/// Bits of a hash that tell its partition.
const PARTITION_BITS: u32 = 6;
/// Partitions.
pub(super) const N_PARTITIONS: usize = 1 << PARTITION_BITS;
/// Rows that one thread takes in a row.
pub(super) const CHUNK: usize = 256;
/// Tokens of a row up to which repeats are looked for among what a partition has of the row. That takes
/// next to nothing while it is little, but the square of it.
const MAX_SEARCHED: usize = 512;

/// The partition of a hash.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a few bits")]
pub(super) fn partition_of(hash: u64) -> usize {
    (hash >> (u64::BITS - PARTITION_BITS)) as usize
}

/// Where a feature occurs. The hash is in halves so that it takes twelve bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence {
    hash: [u32; 2],
    /// Counted from the start of the batch.
    pub(super) row: u32,
}

impl Occurrence {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the halves of a hash")]
    fn new(hash: u64, row: u32) -> Self {
        Self { hash: [(hash >> 32) as u32, hash as u32], row }
    }

    #[inline]
    pub(super) fn hash(self) -> u64 {
        let [upper, lower] = self.hash.map(u64::from);
        upper << 32 | lower
    }
}

/// What was found of one view, by partition.
#[derive(Debug)]
struct Buckets(Vec<Vec<Occurrence>>);

impl Default for Buckets {
    fn default() -> Self {
        Self(vec![Vec::new(); N_PARTITIONS])
    }
}

impl Buckets {
    #[inline]
    fn add(&mut self, hash: u64, row: u32) {
        if let Some(bucket) = self.0.get_mut(partition_of(hash)) {
            bucket.push(Occurrence::new(hash, row));
        }
    }

    /// Adds a feature unless the row, which is the last one, has it; returns whether it does.
    #[inline]
    fn add_once(&mut self, hash: u64, row: u32) -> bool {
        let Some(bucket) = self.0.get_mut(partition_of(hash)) else { return false };
        let new = Occurrence::new(hash, row);
        let mut of_row = bucket.iter().rev().take_while(|found| found.row == row);
        let is_there = of_row.any(|found| found.hash == new.hash);
        if !is_there {
            bucket.push(new);
        }
        is_there
    }

    /// The same where it is known of most features that they are new.
    #[inline]
    fn add_if_new(&mut self, hash: u64, row: u32, may_be_there: bool) -> bool {
        if may_be_there {
            return self.add_once(hash, row);
        }
        self.add(hash, row);
        false
    }
}

/// The features of some rows by view and partition.
///
/// The word view has each token of a row once. In place of the character view stand the tokens again,
/// as often as they occur after the first time.
#[derive(Debug, Default)]
pub(super) struct Scattered([Buckets; View::ALL.len()]);

impl Scattered {
    /// What a partition has of a view.
    pub(super) fn of(&self, view: View, partition: usize) -> &[Occurrence] {
        let buckets = self.0.get(view.index());
        buckets.and_then(|buckets| buckets.0.get(partition)).map_or(&[], Vec::as_slice)
    }

    fn clear(&mut self) {
        self.0.iter_mut().flat_map(|buckets| &mut buckets.0).for_each(Vec::clear);
    }
}

/// Finds the features of rows. Its buffers are one thread's own; what it found is for all.
#[derive(Debug, Default)]
pub(super) struct Finder {
    pub(super) found: Scattered,
    recent: Recent,
    analysis: Analysis,
    ngrams: Ngrams,
}

impl Finder {
    /// Finds the features of some rows of a batch, in place of those found before.
    pub(super) fn scatter(&mut self, batch: &Batch, rows: std::ops::Range<usize>, views: &[View]) {
        self.found.clear();
        let with_shapes = views.contains(&View::Shape);
        for row in rows {
            if with_shapes {
                self.analysis.analyse(batch.text(row));
            } else {
                self.analysis.find_tokens(batch.text(row));
            }
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            if views.contains(&View::Lead) {
                self.scatter_lead(row);
            }
            if self.analysis.tokens().len() > MAX_SEARCHED {
                self.scatter_long(row, views);
                continue;
            }
            self.scatter_words(row, views);
            if with_shapes {
                self.scatter_shapes(row);
            }
        }
    }

    fn scatter_words(&mut self, row: u32, views: &[View]) {
        let [with_pairs, with_triples, with_repeats] =
            [View::Word2, View::Word3, View::Character].map(|view| views.contains(&view));
        let Self { found: Scattered([words, pairs, triples, _, repeats, _]), recent, .. } = self;
        let mut before = Before::default();
        for_each_ending(View::Word1, &self.analysis, |Ending { single, pair, triple }| {
            let is_again = single.is_some_and(|hash| {
                let is_again = words.add_if_new(hash, row, recent.may_be_in(hash, row));
                if is_again && with_repeats {
                    repeats.add(hash, row);
                }
                is_again
            });
            if with_pairs {
                pairs.add_if_new(pair, row, is_again && before.last);
            }
            if with_triples && let Some(triple) = triple {
                triples.add_if_new(triple, row, is_again && before.last && before.but_one);
            }
            before.follow(is_again);
        });
    }

    fn scatter_shapes(&mut self, row: u32) {
        let Self { found: Scattered([_, _, _, shapes, ..]), recent, .. } = self;
        let mut before = Before::default();
        for_each_ending(View::Shape, &self.analysis, |Ending { single, pair, triple }| {
            let is_again = single
                .is_some_and(|hash| shapes.add_if_new(hash, row, recent.may_be_in(hash, row)));
            shapes.add_if_new(pair, row, is_again && before.last);
            if let Some(triple) = triple {
                shapes.add_if_new(triple, row, is_again && before.last && before.but_one);
            }
            before.follow(is_again);
        });
    }

    fn scatter_lead(&mut self, row: u32) {
        let Scattered([.., leads]) = &mut self.found;
        View::Lead.for_each(&self.analysis, |hash, _| {
            leads.add_once(hash, row);
        });
    }

    /// Words and shapes of a row of many tokens.
    fn scatter_long(&mut self, row: u32, views: &[View]) {
        self.ngrams.collect(&self.analysis, views);
        let counted = [View::Word1, View::Word2, View::Word3, View::Shape];
        for view in counted.into_iter().filter(|v| *v == View::Word1 || views.contains(v)) {
            if let Some(buckets) = self.found.0.get_mut(view.index()) {
                self.ngrams.of(view).iter().flatten().for_each(|hash| buckets.add(*hash, row));
            }
        }
        let Scattered([.., repeats, _]) = &mut self.found;
        let [distinct] = self.ngrams.of(View::Word1) else { return };
        if views.contains(&View::Character) {
            // Tokens in the order in which they come for the first time, among all tokens.
            let mut first = distinct.iter().peekable();
            View::Word1.for_each(&self.analysis, |hash, _| {
                if first.next_if_eq(&&hash).is_none() {
                    repeats.add(hash, row);
                }
            });
        }
    }
}

/// Whether the last two items came before in their row: an n-gram can only if all its items did.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    last: bool,
    but_one: bool,
}

impl Before {
    #[inline]
    fn follow(&mut self, is_again: bool) {
        *self = Self { last: is_again, but_one: self.last };
    }
}

/// The rows in which hashes were seen last, by some of their bits: tells of most that they are new to a row.
#[derive(Debug)]
struct Recent(Box<[u32; RECENT]>);

/// Places for hashes seen: some dozen times the tokens of a common sentence.
const RECENT: usize = 2048;

impl Default for Recent {
    fn default() -> Self {
        Self(Box::new([0; RECENT]))
    }
}

impl Recent {
    /// Whether a row may have had a hash before; it has it from now on.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "some bits of a hash")]
    fn may_be_in(&mut self, hash: u64, row: u32) -> bool {
        let last = self.0.get_mut(hash as usize % RECENT);
        last.is_some_and(|last| std::mem::replace(last, row) == row)
    }
}
