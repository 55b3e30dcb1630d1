//! Finds the tokens of ASCII text, 64 characters at a time.
//!
//! A block of 64 characters becomes masks with a bit a character: word characters, white space,
//! digits. Where tokens begin and end follows from them by a few operations on whole masks. The result is that of the
//! general way, for text in which every byte is a character that NFKC leaves alone.

use super::Span;
use super::normalise::offset;

/// Finds the tokens of a text, which must be ASCII and shorter than 4 GiB; returns how many they are. Writes their
/// places to the front of `spans`, which it makes longer if need be, and which have a digit to `numbers`.
pub(super) fn find(text: &[u8], spans: &mut Vec<Span>, numbers: &mut Vec<u32>) -> usize {
    // Not shorter: what is new would be written twice.
    if spans.len() < text.len() {
        spans.resize(text.len(), Span::default());
    }
    numbers.clear();
    let mut finder = Finder::default();
    let mut base = 0;
    let (blocks, rest) = text.as_chunks::<64>();
    for block in blocks {
        finder.block(block, base, spans, numbers);
        base += 64;
    }
    // White space behind the end ends what is open.
    let mut last = [b' '; 64];
    last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
    finder.block(&last, base, spans, numbers);
    debug_assert_eq!(finder.n_begun, finder.n_ended, "each token ends");
    finder.n_ended
}

/// What one block leaves to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Finder {
    /// The last bits of the masks, and whether the sum that finds digits carries.
    word: u64,
    other: u64,
    digit: bool,
    /// Tokens that have begun, and those of them that have ended.
    n_begun: usize,
    n_ended: usize,
}

impl Finder {
    fn block(&mut self, block: &[u8; 64], base: u32, spans: &mut [Span], numbers: &mut Vec<u32>) {
        let Masks { word, other, digit } = Masks::of(block);
        let before = word << 1 | self.word;
        let starts = word & !before | other;
        // In a run of ones, a one that is added somewhere carries to the place behind the run.
        let (sum, over) = word.overflowing_add(digit);
        let (sum, over_again) = sum.overflowing_add(u64::from(self.digit));
        let word_ends = !word & before;
        let with_digit = sum & word_ends;
        let ends = word_ends | other << 1 | self.other;
        (self.word, self.other, self.digit) = (word >> 63, other >> 63, over | over_again);
        // Tokens end in the order in which they begin.
        let begun = spans.get_mut(self.n_begun..).unwrap_or_default();
        self.n_begun += each_bit(starts, begun, |span, at| span.start = base + at);
        for at in bits_of(with_digit) {
            let n_before = (ends & ((1 << at) - 1)).count_ones();
            numbers.push(offset(self.n_ended) + n_before);
        }
        let ended = spans.get_mut(self.n_ended..).unwrap_or_default();
        self.n_ended += each_bit(ends, ended, |span, at| span.end = base + at);
    }
}

/// Writes the positions of the bits that are set, one to a span; returns how many they are.
#[inline(always)]
fn each_bit(mask: u64, spans: &mut [Span], write: impl Fn(&mut Span, u32)) -> usize {
    let mut n = 0;
    for (span, at) in spans.iter_mut().zip(bits_of(mask)) {
        write(span, at);
        n += 1;
    }
    n
}

/// The positions of the bits that are set, ascending.
#[inline(always)]
fn bits_of(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let at = mask.trailing_zeros();
            mask &= mask - 1;
            at
        })
    })
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
        let digit = block.map(|byte| all_bits(byte.wrapping_sub(b'0') < 10));
        let word = block.map(|byte| {
            all_bits(
                ((byte | 0x20).wrapping_sub(b'a') < 26)
                    | (byte.wrapping_sub(b'0') < 10)
                    | (byte == b'_'),
            )
        });
        // White space as `char::is_whitespace` has it, and the separators that Python's `\s` adds.
        let space = block
            .map(|byte| all_bits((byte.wrapping_sub(b'\t') < 5) | (byte.wrapping_sub(0x1c) < 5)));
        let word = bits(&word);
        Self { word, other: !(word | bits(&space)), digit: bits(&digit) }
    }
}

/// A byte of ones for what is true, as comparisons of many bytes at once give it.
#[inline(always)]
fn all_bits(is_true: bool) -> u8 {
    u8::from(is_true).wrapping_neg()
}

/// A bit for each of 64 bytes, which are ones or zeros.
#[inline]
fn bits(bytes: &[u8; 64]) -> u64 {
    // Part of every x86-64: nothing is asked when the program runs.
    #[cfg(target_arch = "x86_64")]
    if let Some(sse2) = pulp::core_arch::x86::Sse2::try_new() {
        return bits_by_sse2(sse2, bytes);
    }
    let mut bits = 0;
    let (eights, _) = bytes.as_chunks::<8>();
    for (nth, eight) in eights.iter().enumerate() {
        // The product has the eight lowest bits of bytes side by side in its uppermost byte.
        let eight = u64::from_le_bytes(*eight) & 0x0101_0101_0101_0101;
        bits |= (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * nth);
    }
    bits
}

/// The same, 16 at a time.
#[cfg(target_arch = "x86_64")]
#[inline]
fn bits_by_sse2(sse2: pulp::core_arch::x86::Sse2, bytes: &[u8; 64]) -> u64 {
    let bits = |sixteen: &[u8; 16]| {
        let (eights, _) = sixteen.as_chunks::<8>();
        let mut eights = eights.iter().map(|eight| i64::from_le_bytes(*eight));
        let (low, high) = (eights.next().unwrap_or_default(), eights.next().unwrap_or_default());
        u64::from(sse2._mm_movemask_epi8(sse2._mm_set_epi64x(high, low)).cast_unsigned())
    };
    let (sixteens, _) = bytes.as_chunks::<16>();
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
                for end in ["", ".", " ", " b"] {
                    let text = format!("{text}{end}");
                    let (mut spans, mut numbers) = (Vec::new(), Vec::new());
                    let n = find(text.as_bytes(), &mut spans, &mut numbers);
                    let nth = spans[..n].iter().position(|span| *span == last).expect(&text);
                    let wanted = if digit.is_empty() {
                        vec![]
                    } else {
                        vec![u32::try_from(nth).expect("few")]
                    };
                    assert_eq!(numbers, wanted, "{text}");
                }
            }
        }
    }
}
