//! NFKC normalisation that remembers where each character came from.
//!
//! The text is cut before every character that no earlier one can combine with; each piece is
//! normalised alone, and all its characters get the piece's place in the sentence. The result equals
//! NFKC of the whole.

use unicode_normalization::UnicodeNormalization;

use super::Span;
use super::characters::{Characters, Facts};

/// Calls `each` with every character of the sentence's NFKC form and the place it came from.
pub(super) fn for_each_char(
    sentence: &str,
    characters: &Characters,
    mut each: impl FnMut(Facts, Span),
) {
    let mut normaliser = Normaliser { characters, last: None, last_form: Vec::new() };
    let mut piece = Piece::default();
    for (at, c) in sentence.char_indices() {
        let facts = characters.facts(c);
        if facts.starts_piece && at > 0 {
            normaliser.normalise(sentence, &piece, at, &mut each);
            piece = Piece { start: at, only: Some(facts) };
        } else {
            // The first piece begins with whatever stands there.
            piece.only = (at == 0).then_some(facts);
        }
    }
    normaliser.normalise(sentence, &piece, sentence.len(), &mut each);
}

/// A part of the sentence that is normalised alone.
#[derive(Debug, Default)]
struct Piece {
    start: usize,
    /// Its character, where it is but one.
    only: Option<Facts>,
}

struct Normaliser<'a> {
    characters: &'a Characters,
    /// The last piece that was one character and not its own form, and its form: some characters have
    /// long ones, and hostile text repeats them.
    last: Option<char>,
    last_form: Vec<Facts>,
}

impl Normaliser<'_> {
    fn normalise(
        &mut self,
        sentence: &str,
        piece: &Piece,
        end: usize,
        each: &mut impl FnMut(Facts, Span),
    ) {
        let place = Span { start: offset(piece.start), end: offset(end) };
        let only = piece.only.map(|facts| facts.character);
        match piece.only {
            Some(facts) if facts.is_normalised => return each(facts, place),
            Some(facts) if self.last == Some(facts.character) => {}
            Some(_) | None => {
                let text = sentence.get(piece.start..end).unwrap_or_default();
                self.last_form.clear();
                self.last_form.extend(text.nfkc().map(|c| self.characters.facts(c)));
                self.last = only;
            }
        }
        self.last_form.iter().for_each(|facts| each(*facts, place));
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
        let mut characters = Characters::default();
        characters.prepare();
        for_each_char(s, &characters, |facts, _| out.push(facts.character));
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
