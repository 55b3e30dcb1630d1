//! Finds the tokens of ASCII text, 64 characters at a time.
//!
//! A block of 64 characters becomes masks with a bit a character: word characters, white space,
//! digits. Where tokens begin and end follows from them by a few operations on whole masks. The result is that of the
//! general way, for text in which every byte is a character that NFKC leaves alone.

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Found {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether it has a digit.
    pub(super) has_digit: bool,
}

/// Finds tokens. Keeps its buffers.
#[derive(Debug, Default, Clone)]
pub(super) struct Finder {
    places: Vec<Found>,
    n_begun: usize,
    n_ended: usize,
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
    /// The tokens of a text, which must be ASCII and shorter than 4 GiB.
    pub(super) fn find(&mut self, text: &[u8]) -> &[Found] {
        (self.n_begun, self.n_ended) = (0, 0);
        let mut carry = Carry::default();
        let mut base = 0;
        let (blocks, rest) = text.as_chunks::<64>();
        for block in blocks {
            self.block(Masks::of(block), base, &mut carry);
            base += 64;
        }
        // White space behind the end ends what is open.
        let mut last = [b' '; 64];
        last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
        self.block(Masks::of(&last), base, &mut carry);
        if carry.word | carry.other != 0 {
            self.block(Masks::default(), base + 64, &mut carry);
        }
        debug_assert_eq!(self.n_ended, self.n_begun, "each token ends");
        self.places.get(..self.n_begun).unwrap_or_default()
    }

    fn block(&mut self, masks: Masks, base: u32, carry: &mut Carry) {
        let Masks { word, other, digit } = masks;
        let before = word << 1 | carry.word;
        let mut starts = word & !before | other;
        let room = self.n_begun + 64;
        if self.places.len() < room {
            self.places.resize(2 * room, Found::default());
        }
        let n_starts = starts.count_ones() as usize;
        for place in self.places.iter_mut().skip(self.n_begun).take(n_starts) {
            place.start = base + starts.trailing_zeros();
            starts &= starts.wrapping_sub(1);
        }
        self.n_begun += n_starts;
        // In a run of ones, a one that is added somewhere carries to the place behind the run.
        let (sum, over) = word.overflowing_add(digit);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry.digit));
        let ends = !word & before;
        let with_digit = sum & ends;
        let mut all_ends = ends | other << 1 | carry.other;
        let n_ends = all_ends.count_ones() as usize;
        for place in self.places.iter_mut().skip(self.n_ended).take(n_ends) {
            let at = all_ends.trailing_zeros();
            place.end = base + at;
            place.has_digit = with_digit >> (at % 64) & 1 == 1;
            all_ends &= all_ends.wrapping_sub(1);
        }
        self.n_ended += n_ends;
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
    fn of(block: &[u8; 64]) -> Self {
        // Loops without a branch, of which the compiler makes operations on many bytes at once.
        let digit = block.map(|byte| byte.wrapping_sub(b'0') < 10);
        let letter = block.map(|byte| (byte | 0x20).wrapping_sub(b'a') < 26);
        let line = block.map(|byte| byte == b'_');
        // White space as `char::is_whitespace` has it, and the separators that Python's `\s` adds.
        let space =
            block.map(|byte| (byte.wrapping_sub(b'\t') < 5) | (byte.wrapping_sub(0x1c) < 5));
        let digit = bits(&digit);
        let word = digit | bits(&letter) | bits(&line);
        Self { word, other: !(word | bits(&space)), digit }
    }
}

/// A bit for each of 64 truths.
#[inline]
fn bits(truths: &[bool; 64]) -> u64 {
    let mut bits = 0;
    let (eights, _) = truths.as_chunks::<8>();
    for (nth, eight) in eights.iter().enumerate() {
        // The product has the eight lowest bits of bytes side by side in its uppermost byte.
        let eight = u64::from_le_bytes(eight.map(u8::from));
        bits |= (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * nth);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_of_its_kind() {
        for byte in 0..128u8 {
            let mut block = [b' '; 64];
            block[usize::from(byte % 64)] = byte;
            let masks = Masks::of(&block);
            let bit = 1 << (byte % 64);
            let c = char::from(byte);
            let is_word = c.is_ascii_alphanumeric() || c == '_';
            let is_space = c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
            assert_eq!(masks.word, if is_word { bit } else { 0 }, "{byte}");
            assert_eq!(masks.digit, if c.is_ascii_digit() { bit } else { 0 }, "{byte}");
            assert_eq!(masks.other, if is_word || is_space { 0 } else { bit }, "{byte}");
        }
    }

    #[test]
    fn tokens_go_on_from_block_to_block() {
        for n in [1, 63, 64, 65, 127, 128, 129, 200] {
            for (before, digit) in [("", ""), ("!", "7"), (" ", "")] {
                let text = format!("{before}{}{digit}", "a".repeat(n));
                let len = |text: &str| u32::try_from(text.len()).expect("short");
                let last =
                    Found { start: len(before), end: len(&text), has_digit: !digit.is_empty() };
                let mut finder = Finder::default();
                for end in ["", ".", " ", " b"] {
                    let text = format!("{text}{end}");
                    let places = finder.find(text.as_bytes());
                    let wanted = places.iter().find(|place| place.start == last.start);
                    assert_eq!(wanted, Some(&last), "{text}");
                }
            }
        }
    }
}
