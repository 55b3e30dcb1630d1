//! The features of some rows, sorted into the partitions that count them.
//!
//! A feature belongs to the partition of its hash's upper bits, so that partitions are counted side by
//! side, and one behind the other are in the order of the hashes.

use super::batch::Batch;
use crate::features::{Analysis, Ngrams, View};

/// Bits of a hash that tell its partition.
const PARTITION_BITS: u32 = 6;
/// Partitions.
pub(super) const N_PARTITIONS: usize = 1 << PARTITION_BITS;
/// Rows that one thread takes in a row.
pub(super) const CHUNK: usize = 1024;

/// The partition of a hash.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a few bits")]
pub(super) fn partition_of(hash: u64) -> usize {
    (hash >> (u64::BITS - PARTITION_BITS)) as usize
}

/// Where a feature occurs: its hash and the row, counted from the start of the batch.
pub(super) type Occurrence = (u64, u32);

/// The features of some rows by view and partition.
///
/// The word view has each token of a row once. In place of the character view stand the tokens again,
/// as often as they occur after the first time.
#[derive(Debug)]
pub(super) struct Scattered(Vec<Vec<Occurrence>>);

impl Default for Scattered {
    fn default() -> Self {
        Self(vec![Vec::new(); View::ALL.len() * N_PARTITIONS])
    }
}

impl Scattered {
    /// What a partition has of a view.
    pub(super) fn of(&self, view: View, partition: usize) -> &[Occurrence] {
        let at = view.index() * N_PARTITIONS + partition;
        self.0.get(at).map_or(&[], Vec::as_slice)
    }
}

/// Finds the features of rows. Its buffers are one thread's own; what it found is for all.
#[derive(Debug, Default)]
pub(super) struct Finder {
    pub(super) found: Scattered,
    analysis: Analysis,
    ngrams: Ngrams,
}

impl Finder {
    /// Finds the features of some rows of a batch, in place of those found before.
    pub(super) fn scatter(&mut self, batch: &Batch, rows: std::ops::Range<usize>, views: &[View]) {
        self.found.0.iter_mut().for_each(Vec::clear);
        for row in rows {
            self.analysis.analyse(batch.text(row));
            self.ngrams.collect(&self.analysis, views);
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            self.add_tokens(row, views.contains(&View::Character));
            for view in [View::Word2, View::Word3, View::Shape] {
                if views.contains(&view) {
                    let buckets = part(&mut self.found.0, view);
                    self.ngrams.of(view).iter().for_each(|hashes| add(buckets, hashes, row));
                }
            }
        }
    }

    fn add_tokens(&mut self, row: u32, with_repeats: bool) {
        let [distinct] = self.ngrams.of(View::Word1) else { return };
        add(part(&mut self.found.0, View::Word1), distinct, row);
        if !with_repeats || distinct.len() == self.analysis.tokens().len() {
            return;
        }
        let buckets = part(&mut self.found.0, View::Character);
        // Tokens in the order in which they come for the first time, among all tokens.
        let mut first = distinct.iter().peekable();
        View::Word1.for_each(&self.analysis, |hash, _| {
            if first.next_if(|first| **first == hash).is_none() {
                add(buckets, &[hash], row);
            }
        });
    }
}

fn part(buckets: &mut [Vec<Occurrence>], view: View) -> &mut [Vec<Occurrence>] {
    let start = view.index() * N_PARTITIONS;
    buckets.get_mut(start..start + N_PARTITIONS).unwrap_or_default()
}

#[inline]
fn add(buckets: &mut [Vec<Occurrence>], hashes: &[u64], row: u32) {
    for hash in hashes {
        if let Some(bucket) = buckets.get_mut(partition_of(*hash)) {
            bucket.push((*hash, row));
        }
    }
}
