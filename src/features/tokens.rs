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
    /// Where they stand in the sentence: the first `len`. What is behind is room that is kept.
    spans: Vec<Span>,
    len: usize,
    /// The folded text of all.
    folded: String,
    /// Where that of each token stands; empty if that is where the token stands in the sentence.
    folded_spans: Vec<Span>,
    classes: Vec<Class>,
    /// Of ASCII text: which tokens have a digit.
    numbers: Vec<u32>,
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
        self.folded.clear();
        self.folded_spans.clear();
        self.classes.clear();
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
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The folded text of the `nth` token.
    #[must_use]
    pub fn folded(&self, nth: usize) -> &str {
        self.folded_spans().get(nth).map_or("", |span| self.folded_at(*span))
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
        self.folded_spans()
            .iter()
            .map(|Span { start, end }| hash::key_within(folded, *start as usize, *end as usize))
    }

    /// Where each token stands in the sentence.
    pub(super) fn spans(&self) -> &[Span] {
        self.spans.get(..self.len).unwrap_or_default()
    }

    /// Where the folded text of each stands among that of all.
    pub(super) fn folded_spans(&self) -> &[Span] {
        if self.folded_spans.is_empty() { self.spans() } else { &self.folded_spans }
    }

    /// The class of each; `sentence` is the one they were found in.
    pub(super) fn classes(&mut self, sentence: &str) -> &[Class] {
        if self.classes.is_empty() {
            let text = sentence.as_bytes();
            let first = |span: &Span| text.get(span.start as usize).copied().unwrap_or_default();
            let spans = self.spans.iter().take(self.len);
            self.classes.extend(spans.map(|span| Class::of_ascii(first(span))));
            for nth in &self.numbers {
                if let Some(class) = self.classes.get_mut(*nth as usize) {
                    *class = Class::Number;
                }
            }
        }
        &self.classes
    }

    /// The same result as [`Self::find_unicode`] where every byte is a character that NFKC leaves alone.
    fn find_ascii(&mut self, sentence: &str) {
        self.folded.push_str(sentence);
        self.folded.make_ascii_lowercase();
        self.len = ascii::find(sentence.as_bytes(), &mut self.spans, &mut self.numbers);
    }

    fn find_unicode(&mut self, sentence: &str) {
        self.characters.prepare();
        self.spans.clear();
        unicode::find(sentence, &self.characters, &mut self.folded, |place| {
            self.spans.push(place.span);
            self.folded_spans.push(place.folded);
            self.classes.push(place.class);
        });
        self.len = self.spans.len();
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
            .spans()
            .iter()
            .map(|span| sentence.get(span.start as usize..span.end as usize).unwrap())
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
            prop_assert_eq!(fast.spans(), full.spans());
            for nth in 0..fast.len() {
                prop_assert_eq!(fast.folded(nth), full.folded(nth));
            }
            prop_assert_eq!(fast.classes(&s), full.classes(&s));
        }

        #[test]
        fn any_text_has_valid_spans_in_order(s in any::<String>()) {
            let mut tokens = Tokens::default();
            tokens.find(&s);
            let mut last = 0;
            for (nth, span) in tokens.spans().iter().enumerate() {
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
