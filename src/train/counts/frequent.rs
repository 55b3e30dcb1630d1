//! The hashes that are features: those that enough examples have.

use rayon::prelude::*;

use super::cells::RawCell;
use super::chunk::Chunk;
use crate::train::Observer;

/// Parts of the hashes, by their upper bits, that are sorted by themselves.
const PART_BITS: u32 = 8;

/// Returns the hashes that at least so many rows have, ascending. They are sorted in parts, none of which
/// takes long.
pub(super) fn frequent(
    chunks: &[Chunk<RawCell>],
    least: usize,
    observer: &dyn Observer,
) -> Vec<u64> {
    let chunks: Vec<Vec<u64>> = chunks
        .par_iter()
        .take_any_while(|_| !observer.is_cancelled())
        .map(|chunk| {
            let mut hashes: Vec<u64> = chunk.cells.iter().map(|cell| cell.hash).collect();
            hashes.sort_unstable();
            hashes
        })
        .collect();
    let parts: Vec<Vec<u64>> = (0..1u64 << PART_BITS)
        .into_par_iter()
        .take_any_while(|_| !observer.is_cancelled())
        .map(|part| {
            let of_chunk = |chunk: &Vec<u64>| {
                let end = |before: u64| chunk.partition_point(|hash| part_of(*hash) < before);
                end(part)..end(part + 1)
            };
            let slices = chunks.iter().filter_map(|chunk| chunk.get(of_chunk(chunk)));
            let mut hashes: Vec<u64> = slices.flatten().copied().collect();
            hashes.sort_unstable();
            let runs = hashes.chunk_by(|a, b| a == b).filter(|run| run.len() >= least);
            runs.filter_map(|run| run.first().copied()).collect()
        })
        .collect();
    parts.concat()
}

fn part_of(hash: u64) -> u64 {
    hash >> (u64::BITS - PART_BITS)
}
