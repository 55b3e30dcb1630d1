//! NFKC normalisation that remembers where each character came from.
//!
//! The text is cut before every character that no earlier one can combine with; each piece is
//! normalised alone, and all its characters get the piece's place in the sentence. The result equals
//! NFKC of the whole.

use unicode_normalization::{
    IsNormalized, UnicodeNormalization,
    char::{canonical_combining_class, decompose_compatible},
    is_nfkc_quick,
};

use super::Span;

/// Calls `each` with every character of the sentence's NFKC form and the place it came from.
pub(super) fn for_each_char(sentence: &str, mut each: impl FnMut(char, Span)) {
    let mut piece_start = 0;
    for (at, c) in sentence.char_indices() {
        if at > piece_start && starts_piece(c) {
            normalise_piece(sentence, piece_start, at, &mut each);
            piece_start = at;
        }
    }
    if piece_start < sentence.len() {
        normalise_piece(sentence, piece_start, sentence.len(), &mut each);
    }
}

/// Returns whether normalisation can cut before `c`: nothing of it combines with what came before.
fn starts_piece(c: char) -> bool {
    if c < FIRST_COMBINING {
        return true;
    }
    let mut first = None;
    decompose_compatible(c, |d| {
        first.get_or_insert(d);
    });
    first.is_none_or(|d| {
        canonical_combining_class(d) == 0
            && is_nfkc_quick(std::iter::once(d)) != IsNormalized::Maybe
    })
}

/// No character before this one combines with what came before, nor what it decomposes to does.
const FIRST_COMBINING: char = '\u{300}';

fn normalise_piece(sentence: &str, start: usize, end: usize, each: &mut impl FnMut(char, Span)) {
    let place = Span { start: offset(start), end: offset(end) };
    let piece = sentence.get(start..end).unwrap_or_default();
    // Most pieces are one character that is normalised already.
    let mut chars = piece.chars();
    if let (Some(c), None) = (chars.next(), chars.next())
        && is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes
    {
        each(c, place);
        return;
    }
    for c in piece.nfkc() {
        each(c, place);
    }
}

/// Returns a byte offset as it is kept in a [`Span`]. Sentences are limited to far less than 4 GiB;
/// beyond it places would saturate, while features stay right.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normalised(s: &str) -> String {
        let mut out = String::new();
        for_each_char(s, |c, _| out.push(c));
        out
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        for s in [
            "ﬁne ½ ①",
            "カ\u{FF9E}",
            "e\u{301}\u{323}x",
            "\u{1100}\u{1161}\u{11A8}",
            "ﷺ",
            "a\u{308}",
            "Å",
        ] {
            assert_eq!(normalised(s), s.nfkc().collect::<String>(), "{s:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives_on_any_text(s in any::<String>()) {
            prop_assert_eq!(normalised(&s), s.nfkc().collect::<String>());
        }

        #[test]
        fn pieces_give_what_the_whole_gives_on_combining_text(
            s in "[a-zA-Z\u{300}-\u{36f}\u{1100}-\u{11ff}\u{ac00}-\u{ac80}\u{ff66}-\u{ff9f}\u{0900}-\u{0dff}]{0,40}"
        ) {
            prop_assert_eq!(normalised(&s), s.nfkc().collect::<String>());
        }
    }
}
