//! One partition of the counts: what its features' hashes lead to.

use std::hint::black_box;

use super::batch::{Batch, Row};
use super::scatter::{Occurrence, Scattered};
use super::table::{Entry, Table};
use super::tokens::Tokens;
use crate::features::View;

/// The counts of the features whose hashes belong to one partition.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// By single words. The mark is the sum of the rows' lines: of what occurs once, its line.
    pub(super) words: Table<u32>,
    /// By what else is counted as it is found, in the order of [`NGRAM_VIEWS`].
    pub(super) ngrams: [Table<()>; NGRAM_VIEWS.len()],
    /// By tokens, how often they occur again in rows in which they occur.
    pub(super) repeats: Table<()>,
    /// The texts of the words.
    pub(super) tokens: Tokens,
    /// Pairs that were dropped because there were too many.
    pub(super) n_dropped: usize,
}

/// Entries that are read ahead of being changed.
const TOUCHED: usize = 32;

/// The views that are counted as they are found.
pub(super) const NGRAM_VIEWS: [View; 4] = [View::Word2, View::Word3, View::Shape, View::Lead];

impl Partition {
    /// Counts what rows of a batch have for this partition, and drops rare pairs as soon as a table has
    /// more than `max_pairs`. One table after the other, so that it stays in the processor's cache.
    pub(super) fn count(
        &mut self,
        partition: usize,
        batch: &Batch,
        found: &[&Scattered],
        max_pairs: usize,
    ) {
        for scattered in found {
            self.count_words(batch, scattered.of(View::Word1, partition), max_pairs);
        }
        let ngrams = self.ngrams.iter_mut().zip(NGRAM_VIEWS);
        for (table, view) in ngrams.chain([(&mut self.repeats, View::Character)]) {
            for scattered in found {
                let occurrences = scattered.of(view, partition);
                self.n_dropped += count(table, batch.rows(), occurrences, max_pairs);
            }
        }
    }

    fn count_words(&mut self, batch: &Batch, occurrences: &[Occurrence], max_pairs: usize) {
        for some in occurrences.chunks(TOUCHED) {
            touch(&self.words, batch.rows(), some);
            for occurrence in some {
                let (hash, at) = (occurrence.hash(), occurrence.row as usize);
                let Some(row) = batch.rows().get(at) else { continue };
                let Some((entry, is_new)) = self.words.entry(hash, row.label) else { continue };
                change(entry, row);
                if row.is_withdrawn {
                    entry.mark = entry.mark.wrapping_sub(row.line);
                } else {
                    entry.mark = entry.mark.wrapping_add(row.line);
                }
                if is_new {
                    self.tokens.learn(hash, batch.text(at));
                }
            }
            self.prune_words(max_pairs);
        }
    }

    /// Adds the counts of other rows.
    #[cfg(test)]
    pub(super) fn merge(&mut self, other: &Self, max_pairs: usize) {
        for from in other.words.entries() {
            if let Some((entry, _)) = self.words.entry(from.hash, from.label) {
                entry.count += from.count;
                entry.mark = entry.mark.wrapping_add(from.mark);
            }
        }
        let others = other.ngrams.iter().chain([&other.repeats]);
        for (table, other) in self.ngrams.iter_mut().chain([&mut self.repeats]).zip(others) {
            for from in other.entries() {
                if let Some((entry, _)) = table.entry(from.hash, from.label) {
                    entry.count += from.count;
                }
            }
        }
        self.tokens.merge(&other.tokens);
        self.n_dropped += other.n_dropped;
        self.prune_words(max_pairs);
        let tables = self.ngrams.iter_mut().chain([&mut self.repeats]);
        self.n_dropped += tables.map(|table| table.prune(max_pairs)).sum::<usize>();
    }

    fn prune_words(&mut self, max_pairs: usize) {
        let n_words = self.words.prune(max_pairs);
        if n_words > 0 {
            self.tokens.keep_only(self.words.entries().map(|entry| entry.hash));
            self.n_dropped += n_words;
        }
    }
}

/// Counts occurrences; returns how many pairs were dropped.
fn count(
    table: &mut Table<()>,
    rows: &[Row],
    occurrences: &[Occurrence],
    max_pairs: usize,
) -> usize {
    let mut n_dropped = 0;
    for some in occurrences.chunks(TOUCHED) {
        touch(table, rows, some);
        for occurrence in some {
            let Some(row) = rows.get(occurrence.row as usize) else { continue };
            if let Some((entry, _)) = table.entry(occurrence.hash(), row.label) {
                change(entry, row);
            }
        }
        n_dropped += table.prune(max_pairs);
    }
    n_dropped
}

/// Reads the entries that will be changed, so that the processor waits for all of them at once.
#[inline]
fn touch<M: Copy + Default>(table: &Table<M>, rows: &[Row], occurrences: &[Occurrence]) {
    let touched = occurrences.iter().map(|occurrence| {
        let label = rows.get(occurrence.row as usize).map_or(0, |row| row.label);
        table.touch(occurrence.hash(), label)
    });
    black_box(touched.fold(0, |all, hash| all ^ hash));
}

#[inline]
fn change<M>(entry: &mut Entry<M>, row: &Row) {
    // What is withdrawn was counted before, unless it was dropped since.
    entry.count = if row.is_withdrawn {
        entry.count.saturating_sub(1)
    } else {
        entry.count.saturating_add(1)
    };
}
