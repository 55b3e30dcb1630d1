//! The hashes that are features: those that enough examples have.

use rayon::prelude::*;

use super::cells::RawCell;
use super::chunk::Chunk;
use crate::train::Observer;
use crate::train::sorted::sorted;

/// Returns the hashes that at least so many rows have, ascending.
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
    let keep = |equal: &[u64], kept: &mut Vec<u64>| {
        kept.extend(equal.first().filter(|_| equal.len() >= least));
    };
    sorted(&chunks, keep, observer)
}
