//! Cuts a sentence into tokens and gives each its folded text, its class and its place.
//!
//! A token is a maximal run of word characters, or one other character that is not white space.
//! Scripts that are written without spaces (Chinese, Japanese kana, Thai and others) give one token
//! a character, so that n-grams of tokens are n-grams of characters there.

use super::characters::Characters;
use super::shapes::Class;
use super::{Span, ascii, hash, unicode};

/// The tokens of a sentence, with buffers that are reused from sentence to sentence.
#[derive(Debug, Default, Clone)]
pub struct Tokens {
    pub(super) places: Vec<Place>,
    folded: String,
    characters: Characters,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it stands in the sentence.
    pub(super) span: Span,
    /// Where its folded text stands among that of all tokens.
    pub(super) folded: Span,
    pub(super) class: Class,
}

/// Stands behind folded text, so that as many bytes as a short token may have follow each token's start.
const BEHIND: &str = "                ";

impl Tokens {
    /// Replaces what was found before by the tokens of `sentence`.
    pub fn find(&mut self, sentence: &str) {
        self.places.clear();
        self.folded.clear();
        if sentence.is_ascii() && u32::try_from(sentence.len()).is_ok() {
            self.find_ascii(sentence);
        } else {
            self.find_unicode(sentence);
        }
        self.folded.push_str(BEHIND);
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The folded text of the `nth` token.
    #[must_use]
    pub fn folded(&self, nth: usize) -> &str {
        self.places.get(nth).map_or("", |place| self.folded_at(place.folded))
    }

    /// The folded text at a place.
    pub(super) fn folded_at(&self, Span { start, end }: Span) -> &str {
        self.folded.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The [`key`](hash::key) of each token.
    #[inline]
    #[must_use]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = u64> {
        let folded = self.folded.as_bytes();
        self.places.iter().map(|place| {
            let Span { start, end } = place.folded;
            hash::key_within(folded, start as usize, end as usize)
        })
    }

    /// The same result as [`Self::find_unicode`] where every byte is a character that NFKC leaves alone.
    fn find_ascii(&mut self, sentence: &str) {
        self.folded.push_str(sentence);
        self.folded.make_ascii_lowercase();
        ascii::find(sentence.as_bytes(), &mut self.places);
    }

    fn find_unicode(&mut self, sentence: &str) {
        self.characters.prepare();
        unicode::find(sentence, &self.characters, &mut self.folded, &mut self.places);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(sentence: &str) -> Vec<String> {
        let mut tokens = Tokens::default();
        tokens.find(sentence);
        (0..tokens.len()).map(|nth| tokens.folded(nth).to_owned()).collect()
    }

    #[test]
    fn words_and_single_marks_are_tokens() {
        assert_eq!(
            folded("Don't pay 3.5 %_x!"),
            ["don", "'", "t", "pay", "3", ".", "5", "%", "_x", "!"]
        );
    }

    #[test]
    fn folding_is_full() {
        assert_eq!(folded("Straße ΣΊΣΥΦΟΣ ﬁn"), ["strasse", "σίσυφοσ", "fin"]);
    }

    #[test]
    fn scripts_without_spaces_give_a_token_a_character() {
        assert_eq!(folded("東京は雨"), ["東", "京", "は", "雨"]);
        assert_eq!(folded("ที่นี่"), ["ที่", "นี่"]);
        assert_eq!(folded("テレビ"), ["テレビ"]);
    }

    #[test]
    fn marks_stay_with_their_letter() {
        assert_eq!(folded("हिन्दी में"), ["हिन्दी", "में"]);
        assert_eq!(folded("co\u{ad}operate"), ["cooperate"]);
    }

    #[test]
    fn spans_are_places_in_the_sentence() {
        let sentence = "Él no — ½ kg";
        let mut tokens = Tokens::default();
        tokens.find(sentence);
        let at: Vec<_> = tokens
            .places
            .iter()
            .map(|place| sentence.get(place.span.start as usize..place.span.end as usize).unwrap())
            .collect();
        assert_eq!(at, ["Él", "no", "—", "½", "½", "½", "kg"]);
    }

    proptest! {
        #[test]
        fn the_ascii_path_gives_what_the_unicode_path_gives(s in "[ -~\\t\\n\\x00-\\x1f]{0,80}") {
            let (mut fast, mut full) = (Tokens::default(), Tokens::default());
            fast.find(&s);
            full.find_unicode(&s);
            prop_assert_eq!(fast.len(), full.len());
            for (nth, (a, b)) in fast.places.iter().zip(&full.places).enumerate() {
                prop_assert_eq!((a.span, a.class), (b.span, b.class));
                prop_assert_eq!(fast.folded(nth), full.folded(nth));
            }
        }

        #[test]
        fn any_text_has_valid_spans_in_order(s in any::<String>()) {
            let mut tokens = Tokens::default();
            tokens.find(&s);
            let mut last = 0;
            for (nth, Place { span, .. }) in tokens.places.iter().enumerate() {
                prop_assert!(s.get(span.start as usize..span.end as usize).is_some());
                prop_assert!(span.start < span.end && span.start >= last);
                prop_assert!(!tokens.folded(nth).is_empty());
                last = span.start;
            }
        }

        #[test]
        fn keys_are_those_of_the_texts(s in "([a-zA-Z0-9]{1,24}|\\PC| ){0,30}") {
            let mut tokens = Tokens::default();
            tokens.find(&s);
            let wanted: Vec<u64> = (0..tokens.len()).map(|nth| hash::key(tokens.folded(nth))).collect();
            prop_assert_eq!(Vec::from_iter(tokens.keys()), wanted);
        }
    }
}
