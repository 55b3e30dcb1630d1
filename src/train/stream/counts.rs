//! The counts of all rows so far, in partitions that grow side by side.
//!
//! Counts are sums of whole numbers: in whatever parts and order rows are counted, and on whatever number
//! of threads, the sums are the same, as long as no table is full. A table that is full drops its rarest
//! pairs of feature and label; in which order a partition counts depends on the rows alone, so that this
//! does not depend on the threads either.

use rayon::prelude::*;

use super::batch::Batch;
use super::partition::Partition;
use super::scatter::{CHUNK, Finder, N_PARTITIONS};
use crate::features::View;
use crate::train::Observer;

/// Memory for one place of a table: 24 bytes for words, 16 for others.
const BYTES_PER_SLOT: u64 = 18;
/// Least pairs that a table holds, however little memory there is.
const MIN_PAIRS: usize = 256;

/// The counts of some rows.
#[derive(Debug)]
pub(in crate::train) struct Counts {
    pub(super) views: Vec<View>,
    pub(super) partitions: Vec<Partition>,
    /// Most pairs of a table.
    pub(super) max_pairs: usize,
    /// Reused from batch to batch.
    finders: Vec<Finder>,
}

impl Counts {
    /// Counts of nothing, that will take about so much memory at most.
    pub(super) fn new(views: &[View], memory_bytes: u64) -> Self {
        // Words are always counted.
        let n_tables = N_PARTITIONS as u64 * (1 + views.len() as u64).min(View::ALL.len() as u64);
        let n_slots = usize::try_from(memory_bytes / n_tables / BYTES_PER_SLOT).unwrap_or(1 << 30);
        // Tables double: the greatest power of two that fits, not so full that a few more make it grow.
        let n_slots = n_slots.checked_ilog2().map_or(0, |log| 1 << log);
        Self {
            views: views.to_vec(),
            partitions: (0..N_PARTITIONS).map(|_| Partition::default()).collect(),
            max_pairs: MIN_PAIRS.max(n_slots / 3 * 2),
            finders: Vec::new(),
        }
    }

    /// Counts the rows of a batch, on the current rayon pool; some of them once the observer has cancelled.
    pub(super) fn add(&mut self, batch: &Batch, observer: &dyn Observer) {
        let n_rows = batch.rows().len();
        let n_chunks = n_rows.div_ceil(CHUNK);
        if self.finders.len() < n_chunks {
            self.finders.resize_with(n_chunks, Finder::default);
        }
        let Self { views, partitions, max_pairs, finders } = self;
        let finders = finders.get_mut(..n_chunks).unwrap_or_default();
        let chunks = finders.par_iter_mut().enumerate().filter(|_| !observer.is_cancelled());
        chunks.for_each(|(chunk, finder)| {
            let rows = chunk * CHUNK..n_rows.min((chunk + 1) * CHUNK);
            finder.scatter(batch, rows, views);
        });
        let found: Vec<_> = finders.iter().map(|finder| &finder.found).collect();
        partitions
            .par_iter_mut()
            .enumerate()
            .filter(|_| !observer.is_cancelled())
            .for_each(|(at, partition)| partition.count(at, batch, &found, *max_pairs));
    }

    /// Adds the counts of other rows, with the same views and the same numbers for labels.
    #[cfg(test)]
    pub(super) fn merge(&mut self, other: Self) {
        let max_pairs = self.max_pairs;
        let pairs = self.partitions.par_iter_mut().zip(other.partitions);
        pairs.for_each(|(partition, other)| partition.merge(&other, max_pairs));
    }
}
