//! The hashes of tokens and n-grams: specified, without a random seed, part of the file format.
//!
//! A token is hashed by XXH3-64 (seed 0) of its folded UTF-8 bytes. A sequence is hashed by
//! starting from the seed of its view and taking in one item after the other with [`extend`], so
//! that a 2-gram's hash is a step on the way to the 3-gram's.

/// Multiplier of [`extend`]: the fractional bits of the golden ratio, made odd.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Returns the hash of a token from its folded text.
#[must_use]
pub fn token(folded: &str) -> u64 {
    bytes(folded.as_bytes())
}

/// The same for what is known to be text.
#[inline]
pub(super) fn bytes(folded: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(folded)
}

/// Takes one more item into the hash of a sequence: the 128-bit product of `sequence ^ item` and a
/// constant, its upper half xored onto its lower.
#[inline]
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the two halves of a 128-bit product")]
pub fn extend(sequence: u64, item: u64) -> u64 {
    let product = u128::from(sequence ^ item) * u128::from(MULTIPLIER);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_ones_of_the_file_format() {
        // Values computed with Python's xxhash and big integers, as tests/format/read_model.py does.
        assert_eq!(token("denied"), 0xb762_98f2_8a52_b297);
        assert_eq!(extend(1, 2), 0xdaa6_6d2c_7ddf_743e);
    }

    #[test]
    fn order_matters() {
        assert_ne!(extend(extend(7, 1), 2), extend(extend(7, 2), 1));
    }
}
