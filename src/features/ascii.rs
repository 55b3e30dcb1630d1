//! Finds the tokens of ASCII text, 64 characters at a time.
//!
//! A block of 64 characters becomes masks with a bit a character: word characters, white space,
//! digits. Where tokens begin and end follows from them by a few operations on whole masks. The result is that of the
//! general way, for text in which every byte is a character that NFKC leaves alone.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it has a digit.
    pub(super) has_digit: bool,
}

/// Finds tokens. Keeps its buffers.
#[derive(Debug, Default, Clone)]
pub(super) struct Finder {
    places: Vec<Place>,
}

/// What one block leaves to the next: the last bit of each mask, and whether the sum that finds
/// digits carries.
#[derive(Debug, Clone, Copy, Default)]
struct Carry {
    word: u64,
    other: u64,
    digit: bool,
}

impl Finder {
    /// The tokens of a text, which must be ASCII.
    pub(super) fn find(&mut self, text: &[u8]) -> &[Place] {
        self.places.clear();
        let mut carry = Carry::default();
        let mut n_ended = 0;
        let mut base = 0;
        for block in text.chunks(64) {
            let masks = Masks::of(block);
            self.block(masks, base, &mut n_ended, &mut carry);
            base += 64;
        }
        // White space behind the end ends what is open.
        self.block(Masks::default(), base, &mut n_ended, &mut carry);
        debug_assert_eq!(n_ended, self.places.len(), "each token ends");
        &self.places
    }

    fn block(&mut self, masks: Masks, base: usize, n_ended: &mut usize, carry: &mut Carry) {
        let Masks { word, other, digit } = masks;
        let before = word << 1 | carry.word;
        let mut starts = word & !before | other;
        while starts != 0 {
            let start = base + starts.trailing_zeros() as usize;
            self.places.push(Place { start, end: start, has_digit: false });
            starts &= starts - 1;
        }
        // In a run of ones, a one that is added somewhere carries to the place behind the run.
        let (sum, over) = word.overflowing_add(digit);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry.digit));
        let ends = !word & before;
        let mut all_ends = ends | other << 1 | carry.other;
        while all_ends != 0 {
            let at = all_ends.trailing_zeros();
            if let Some(place) = self.places.get_mut(*n_ended) {
                place.end = base + at as usize;
                place.has_digit = (sum & ends) >> at & 1 == 1;
            }
            *n_ended += 1;
            all_ends &= all_ends - 1;
        }
        *carry = Carry { word: word >> 63, other: other >> 63, digit: over | over_again };
    }
}

/// A bit a character.
#[derive(Debug, Clone, Copy, Default)]
struct Masks {
    /// Letters, digits, the underscore.
    word: u64,
    /// What is neither that nor white space.
    other: u64,
    digit: u64,
}

impl Masks {
    /// The masks of up to 64 characters; behind them is white space.
    fn of(block: &[u8]) -> Self {
        let mut masks = Self::default();
        let (eights, rest) = block.as_chunks::<8>();
        let mut shift = 0;
        for eight in eights {
            masks.take_in(u64::from_le_bytes(*eight), shift);
            shift += 8;
        }
        if !rest.is_empty() {
            let mut last = [b' '; 8];
            last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
            masks.take_in(u64::from_le_bytes(last), shift);
        }
        masks
    }

    fn take_in(&mut self, bytes: u64, shift: u32) {
        let digit = within(bytes, b'0', b'9');
        let letter = within(bytes | (0x20 * ONES), b'a', b'z');
        let word = digit | letter | within(bytes, b'_', b'_');
        // White space as `char::is_whitespace` has it, and the separators that Python's `\s` adds.
        let space = within(bytes, b'\t', b'\r') | within(bytes, 0x1c, b' ');
        self.word |= gather(word) << shift;
        self.other |= gather(!(word | space) & HIGHS) << shift;
        self.digit |= gather(digit) << shift;
    }
}

/// The high bit of each of eight bytes, all below 128, that is in a range.
#[inline]
fn within(bytes: u64, first: u8, last: u8) -> u64 {
    let from_first = bytes + u64::from(0x80 - first) * ONES;
    let behind_last = bytes + u64::from(0x7f - last) * ONES;
    from_first & !behind_last & HIGHS
}

/// Makes eight high bits one byte.
#[inline]
fn gather(highs: u64) -> u64 {
    (highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_of_its_kind() {
        for byte in 0..128u8 {
            let masks = Masks::of(&[byte]);
            let c = char::from(byte);
            let is_word = c.is_ascii_alphanumeric() || c == '_';
            let is_space = c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
            assert_eq!(masks.word & 1 == 1, is_word, "{byte}");
            assert_eq!(masks.digit & 1 == 1, c.is_ascii_digit(), "{byte}");
            assert_eq!(masks.other & 1 == 1, !is_word && !is_space, "{byte}");
            assert_eq!((masks.word | masks.other | masks.digit) >> 1, 0, "{byte}");
        }
    }

    #[test]
    fn tokens_go_on_from_block_to_block() {
        for n in [1, 63, 64, 65, 127, 128, 129, 200] {
            for (before, digit) in [("", ""), ("!", "7"), (" ", "")] {
                let text = format!("{before}{}{digit}", "a".repeat(n));
                let last =
                    Place { start: before.len(), end: text.len(), has_digit: !digit.is_empty() };
                let mut finder = Finder::default();
                for end in ["", ".", " ", " b"] {
                    let text = format!("{text}{end}");
                    let places = finder.find(text.as_bytes());
                    let wanted = places.iter().find(|place| place.start == before.len());
                    assert_eq!(wanted, Some(&last), "{text}");
                }
            }
        }
    }
}
