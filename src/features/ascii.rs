//! Finds the tokens of ASCII text, 64 characters at a time.
//!
//! A block of 64 characters becomes masks with a bit a character: word characters, white space,
//! digits. Where tokens begin and end follows from them by a few operations on whole masks. The result is that of the
//! general way, for text in which every byte is a character that NFKC leaves alone.

use super::Span;
use super::shapes::Class;
use super::tokens::Place;

/// Adds the tokens of a text, which must be ASCII and shorter than 4 GiB.
pub(super) fn find(text: &[u8], places: &mut Vec<Place>) {
    let mut finder = Finder::default();
    let mut base = 0;
    let (blocks, rest) = text.as_chunks::<64>();
    for block in blocks {
        finder.block(block, base, places);
        base += 64;
    }
    // White space behind the end ends what is open.
    let mut last = [b' '; 64];
    last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
    finder.block(&last, base, places);
    debug_assert!(finder.open.is_none(), "each token ends");
}

/// What one block leaves to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Finder {
    /// The last bits of the masks, and whether the sum that finds digits carries.
    word: u64,
    other: u64,
    digit: bool,
    /// A token that has begun: where, and its class but for digits.
    open: Option<(u32, Class)>,
}

impl Finder {
    fn block(&mut self, block: &[u8; 64], base: u32, places: &mut Vec<Place>) {
        let Masks { word, other, digit } = Masks::of(block);
        let before = word << 1 | self.word;
        let mut starts = word & !before | other;
        // In a run of ones, a one that is added somewhere carries to the place behind the run.
        let (sum, over) = word.overflowing_add(digit);
        let (sum, over_again) = sum.overflowing_add(u64::from(self.digit));
        let word_ends = !word & before;
        let with_digit = sum & word_ends;
        let mut ends = word_ends | other << 1 | self.other;
        (self.word, self.other, self.digit) = (word >> 63, other >> 63, over | over_again);
        places.reserve(64);
        loop {
            if let Some((start, class)) = self.open {
                if ends == 0 {
                    return;
                }
                let class = if with_digit & lowest(ends) == 0 { class } else { Class::Number };
                let span = Span { start, end: base + ends.trailing_zeros() };
                places.push(Place { span, folded: span, class });
                ends ^= lowest(ends);
            }
            if starts == 0 {
                self.open = None;
                return;
            }
            let at = starts.trailing_zeros();
            let first = block.get(at as usize).copied().unwrap_or_default();
            self.open = Some((base + at, Class::of_ascii(first)));
            starts ^= lowest(starts);
        }
    }
}

/// The lowest bit that is set.
#[inline]
fn lowest(mask: u64) -> u64 {
    mask & mask.wrapping_neg()
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
        let word = block.map(|byte| {
            ((byte | 0x20).wrapping_sub(b'a') < 26)
                | (byte.wrapping_sub(b'0') < 10)
                | (byte == b'_')
        });
        // White space as `char::is_whitespace` has it, and the separators that Python's `\s` adds.
        let space =
            block.map(|byte| (byte.wrapping_sub(b'\t') < 5) | (byte.wrapping_sub(0x1c) < 5));
        let word = bits(&word);
        Self { word, other: !(word | bits(&space)), digit: bits(&digit) }
    }
}

/// A bit for each of 64 truths.
#[inline]
fn bits(truths: &[bool; 64]) -> u64 {
    // Part of every x86-64: nothing is asked when the program runs.
    #[cfg(target_arch = "x86_64")]
    if let Some(sse2) = pulp::core_arch::x86::Sse2::try_new() {
        return bits_by_sse2(sse2, truths);
    }
    let mut bits = 0;
    let (eights, _) = truths.as_chunks::<8>();
    for (nth, eight) in eights.iter().enumerate() {
        // The product has the eight lowest bits of bytes side by side in its uppermost byte.
        let eight = u64::from_le_bytes(eight.map(u8::from));
        bits |= (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * nth);
    }
    bits
}

/// The same, 16 at a time.
#[cfg(target_arch = "x86_64")]
#[inline]
fn bits_by_sse2(sse2: pulp::core_arch::x86::Sse2, truths: &[bool; 64]) -> u64 {
    let bits = |sixteen: &[bool; 16]| {
        let (eights, _) = sixteen.as_chunks::<8>();
        let mut eights = eights.iter().map(|eight| i64::from_le_bytes(eight.map(u8::from)));
        let (low, high) = (eights.next().unwrap_or_default(), eights.next().unwrap_or_default());
        // Each byte's lowest bit becomes its highest.
        let bytes = sse2._mm_slli_epi64::<7>(sse2._mm_set_epi64x(high, low));
        u64::from(sse2._mm_movemask_epi8(bytes).cast_unsigned())
    };
    let (sixteens, _) = truths.as_chunks::<16>();
    sixteens.iter().rev().fold(0, |all, sixteen| all << 16 | bits(sixteen))
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
                let last = Span { start: len(before), end: len(&text) };
                let class = if digit.is_empty() { Class::Plain } else { Class::Number };
                for end in ["", ".", " ", " b"] {
                    let text = format!("{text}{end}");
                    let mut places = Vec::new();
                    find(text.as_bytes(), &mut places);
                    let wanted = places.iter().find(|place| place.span.start == last.start);
                    assert_eq!(wanted, Some(&Place { span: last, folded: last, class }), "{text}");
                }
            }
        }
    }
}
