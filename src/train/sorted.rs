//! Sorting much in pieces none of which takes long, so that a training can be cancelled in between.

use rayon::prelude::*;

use super::Observer;

/// Parts that are sorted by themselves, by the upper bits of what they are sorted by.
const PART_BITS: u32 = 8;

/// Items that are ordered by a hash first.
pub(super) trait Hashed: Ord + Copy + Send + Sync {
    /// A hash, which spreads the items evenly.
    fn hash(&self) -> u64;
}

impl Hashed for u64 {
    fn hash(&self) -> u64 {
        *self
    }
}

/// A hash and where it occurs.
impl Hashed for (u64, u32) {
    fn hash(&self) -> u64 {
        self.0
    }
}

/// Sorts the items of all chunks, each of which is sorted already, and lets `keep` choose from those of one hash
/// after the other. Returns some of them once the observer has cancelled.
pub(super) fn sorted<T: Hashed>(
    chunks: &[Vec<T>],
    keep: impl Fn(&[T], &mut Vec<T>) + Sync,
    observer: &dyn Observer,
) -> Vec<T> {
    let parts: Vec<Vec<T>> = (0..1u64 << PART_BITS)
        .into_par_iter()
        .take_any_while(|_| !observer.is_cancelled())
        .map(|part| {
            let of_chunk = |chunk: &Vec<T>| {
                let end = |before: u64| chunk.partition_point(|item| part_of(item) < before);
                end(part)..end(part + 1)
            };
            let slices = chunks.iter().filter_map(|chunk| chunk.get(of_chunk(chunk)));
            let mut items: Vec<T> = slices.flatten().copied().collect();
            items.sort_unstable();
            let mut kept = Vec::new();
            items.chunk_by(|a, b| a.hash() == b.hash()).for_each(|run| keep(run, &mut kept));
            kept
        })
        .collect();
    let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    observer.wanted(parts).for_each(|part| all.extend(part));
    all
}

fn part_of(item: &impl Hashed) -> u64 {
    item.hash() >> (u64::BITS - PART_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::train::Unobserved;

    proptest! {
        #[test]
        fn parts_are_in_the_order_of_the_whole(
            mut chunks in prop::collection::vec(prop::collection::vec((any::<u64>(), 0u32..3), 0..40), 0..5),
        ) {
            chunks.iter_mut().for_each(|chunk| chunk.sort_unstable());
            let mut all = chunks.concat();
            all.sort_unstable();
            let keep_all = |run: &[_], kept: &mut Vec<_>| kept.extend_from_slice(run);
            prop_assert_eq!(sorted(&chunks, keep_all, &Unobserved), all);
        }
    }
}
