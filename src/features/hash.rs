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
    xxhash_rust::xxh3::xxh3_64(folded.as_bytes())
}

/// Returns the key of a token, by which it is looked up among those that a model knows. Unlike [`token`] it is
/// found without a branch for nearly every token: up to 16 bytes it is the upper half of a 128-bit product, xored
/// onto the lower, of the token's two halves, each xored with a constant.
#[must_use]
pub fn key(folded: &str) -> u64 {
    let mut short = [0; SHORT];
    match short.get_mut(..folded.len()) {
        Some(start) => {
            start.copy_from_slice(folded.as_bytes());
            key_within(&short, 0, folded.len())
        }
        None => token(folded),
    }
}

/// The key of a token that stands in a buffer with at least 16 bytes behind it.
#[inline(always)]
pub(super) fn key_within(buffer: &[u8], start: usize, end: usize) -> u64 {
    let bytes = buffer.get(start..).and_then(<[u8]>::first_chunk::<SHORT>);
    match (bytes.map(|bytes| bytes.as_chunks::<8>().0), SHORT_MASKS.get(end.wrapping_sub(start))) {
        (Some([low, high]), Some(masks)) => {
            let low = u64::from_le_bytes(*low) & masks[0];
            let high = u64::from_le_bytes(*high) & masks[1];
            fold(u128::from(low ^ KEYS[0]) * u128::from(high ^ KEYS[1]))
        }
        _ => xxhash_rust::xxh3::xxh3_64(buffer.get(start..end).unwrap_or_default()),
    }
}

/// Most bytes of a token whose key is a product.
const SHORT: usize = 16;
/// Any bits, with the uppermost of a byte set, so that no ASCII text makes a factor 0.
const KEYS: [u64; 2] = [0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f];
/// By length: which bytes of the two halves are the token's.
const SHORT_MASKS: [[u64; 2]; SHORT + 1] = {
    let mut masks = [[u64::MAX; 2]; SHORT + 1];
    let mut len = 0;
    while len < SHORT {
        masks[len] =
            if len < 8 { [(1 << (8 * len)) - 1, 0] } else { [u64::MAX, (1 << (8 * len - 64)) - 1] };
        len += 1;
    }
    masks
};

/// Takes one more item into the hash of a sequence: the 128-bit product of `sequence ^ item` and a
/// constant, its upper half xored onto its lower.
#[inline]
#[must_use]
pub fn extend(sequence: u64, item: u64) -> u64 {
    fold(u128::from(sequence ^ item) * u128::from(MULTIPLIER))
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the two halves of a 128-bit product")]
fn fold(product: u128) -> u64 {
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
        assert_eq!(key("denied"), 0xe3da_476d_047b_c3e3);
        assert_eq!(key("just 16 bytes,é"), 0x1f48_2739_0772_205b);
        assert_eq!(key("more than 16 bytes"), token("more than 16 bytes"));
    }

    #[test]
    fn order_matters() {
        assert_ne!(extend(extend(7, 1), 2), extend(extend(7, 2), 1));
    }
}
