//! The character view's counts from those of the tokens: a token's character n-grams depend on the token
//! alone, so that they need not be counted row by row.

use rayon::prelude::*;

use super::partition::Partition;
use super::scatter::{N_PARTITIONS, partition_of};
use super::table::{Entry, Table};
use crate::features;
use crate::train::Observer;

/// Partitions of tokens that are gone through at a time.
const ROUND: usize = 8;

/// A character n-gram of one token: hash, label, occurrences under it, [`Lines`].
type Occurrence = (u64, u16, u32, Lines);

/// The line an n-gram occurs in, or [`SEVERAL`]. No line has the number 0.
type Lines = u32;
const SEVERAL: Lines = u32::MAX;

/// Counts the character n-grams of all tokens, partition by partition, and how many pairs were dropped.
pub(super) fn count(
    partitions: &mut [Partition],
    max_pairs: usize,
    observer: &dyn Observer,
) -> Vec<(Table<Lines>, usize)> {
    let mut tables: Vec<(Table<Lines>, usize)> = Vec::new();
    tables.resize_with(N_PARTITIONS, Default::default);
    for round in observer.wanted(partitions.chunks_mut(ROUND)) {
        let found: Vec<Vec<Vec<Occurrence>>> =
            round.par_iter_mut().map(|partition| of_tokens(partition)).collect();
        tables.par_iter_mut().enumerate().for_each(|(at, (table, n_dropped))| {
            for occurrence in found.iter().filter_map(|buckets| buckets.get(at)).flatten() {
                add(table, *occurrence);
            }
            *n_dropped += table.prune(max_pairs);
        });
    }
    tables
}

/// Whether an n-gram occurs in two rows: an n-gram of one row tells nothing about others.
pub(super) fn is_feature(entries: &[Entry<Lines>]) -> bool {
    // Rows under different labels are different rows.
    entries.len() > 1 || entries.iter().any(|entry| entry.mark == SEVERAL)
}

fn add(table: &mut Table<Lines>, (hash, label, count, lines): Occurrence) {
    if let Some((entry, is_new)) = table.entry(hash, label) {
        entry.count = entry.count.saturating_add(count);
        entry.mark = if is_new || entry.mark == lines { lines } else { SEVERAL };
    }
}

/// The character n-grams of a partition's tokens, by their own partitions.
fn of_tokens(partition: &Partition) -> Vec<Vec<Occurrence>> {
    let mut buckets = vec![Vec::new(); N_PARTITIONS];
    let mut grams = Vec::new();
    for word in partition.words.entries().filter(|word| word.count > 0) {
        let Some(text) = partition.tokens.get(word.hash) else { continue };
        let repeats = partition.repeats.get(word.hash, word.label).map_or(0, |entry| entry.count);
        let occurrences = word.count.saturating_add(repeats);
        let lines = if word.count == 1 { word.mark } else { SEVERAL };
        grams.clear();
        features::for_each_character_ngram(text, |hash| grams.push(hash));
        grams.sort_unstable();
        for run in grams.chunk_by(|a, b| a == b) {
            let Some(hash) = run.first() else { continue };
            let in_token = u32::try_from(run.len()).unwrap_or(u32::MAX);
            if let Some(bucket) = buckets.get_mut(partition_of(*hash)) {
                let count = occurrences.saturating_mul(in_token);
                bucket.push((*hash, word.label, count, lines));
            }
        }
    }
    buckets
}
