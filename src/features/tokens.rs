//! Cuts a sentence into tokens and gives each its folded text, its shape and its place.
//!
//! A token is a maximal run of word characters, or one other character that is not white space.
//! Scripts that are written without spaces (Chinese, Japanese kana, Thai and others) give one token
//! a character, so that n-grams of tokens are n-grams of characters there.

use super::characters::{Characters, Facts, Kind, fold};
use super::{Span, ascii, hash, normalise};

/// One token of an [`Analysis`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Hash of the folded text.
    pub hash: u64,
    /// Where the token stands in the sentence.
    pub span: Span,
    /// Where its folded text stands in the analysis' buffer.
    folded: (u32, u32),
    class: Class,
}

/// What a token is to the shape view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Has a digit.
    Number,
    /// Begins with a capital letter.
    Capitalised,
    /// Ends a sentence or opens a quotation: the next token's capital means nothing.
    Opener,
    /// Anything else.
    Plain,
}

/// One item of the shape sequence: a word as it is, or a mark for a name or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Hash of the folded text or of the mark.
    pub(super) hash: u64,
    /// First token of the item.
    pub(super) first: u32,
    /// Last token of the item.
    pub(super) last: u32,
    /// How to write it.
    pub(super) mark: Mark,
}

/// The hash of `Aa`.
const NAME: u64 = 0x01bb_46f1_b0f4_dd91;
/// The hash of `0`.
const NUMBER: u64 = 0x1982_e3a7_bb24_1055;

/// How a shape item is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `Aa`: a run of capitalised tokens that does not open a sentence.
    Name,
    /// `0`: a token with a digit.
    Number,
    /// The token's own folded text.
    Word,
}

/// The tokens of a sentence, with buffers that are reused from sentence to sentence.
#[derive(Debug, Default, Clone)]
pub struct Analysis {
    tokens: Vec<Token>,
    pub(super) shapes: Vec<Shape>,
    folded: String,
    finder: ascii::Finder,
    characters: Characters,
}

impl Analysis {
    /// Replaces what was analysed before by `sentence`.
    pub fn analyse(&mut self, sentence: &str) {
        self.find_tokens(sentence);
        self.find_shapes();
    }

    /// Replaces what was analysed before by the tokens of `sentence`; it has no shapes then.
    pub fn find_tokens(&mut self, sentence: &str) {
        self.tokens.clear();
        self.shapes.clear();
        self.folded.clear();
        if sentence.is_ascii() && u32::try_from(sentence.len()).is_ok() {
            self.tokenise_ascii(sentence);
        } else {
            self.tokenise(sentence);
        }
    }

    /// The tokens in the order of the sentence.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The folded text of one of this analysis' tokens.
    #[must_use]
    pub fn folded(&self, token: &Token) -> &str {
        self.folded.get(token.folded.0 as usize..token.folded.1 as usize).unwrap_or_default()
    }

    /// The same result as [`Self::tokenise`] where every byte is a character that NFKC leaves alone.
    fn tokenise_ascii(&mut self, sentence: &str) {
        self.folded.push_str(sentence);
        self.folded.make_ascii_lowercase();
        let (bytes, folded) = (sentence.as_bytes(), self.folded.as_bytes());
        let places = self.finder.find(bytes);
        self.tokens.extend(places.iter().map(|place| {
            let ascii::Place { start, end, has_digit } = *place;
            let range = start as usize..end as usize;
            let first = bytes.get(range.start).copied().unwrap_or_default();
            let class = CLASSES.get(usize::from(first)).copied().unwrap_or(Class::Plain);
            let class = if has_digit { Class::Number } else { class };
            let hash = hash::bytes(folded.get(range).unwrap_or_default());
            Token { hash, span: Span { start, end }, folded: (start, end), class }
        }));
    }

    fn tokenise(&mut self, sentence: &str) {
        self.characters.prepare();
        let Self { tokens, folded, characters, .. } = self;
        let mut open = Open::default();
        normalise::for_each_char(sentence, characters, |facts, place| {
            if facts.kind == Kind::Ignored {
                return;
            }
            if !open.run.goes_on_with(facts.kind) {
                tokens.extend(open.end(folded));
                open = Open::begin(facts, place, folded);
            }
            open.run = open.run.then(facts.kind);
            if open.run != Run::None {
                open.take_in(facts, place, folded);
            }
        });
        tokens.extend(open.end(folded));
    }

    /// Adds the shapes of the tokens.
    pub fn find_shapes(&mut self) {
        self.shapes.clear();
        let mut before = Class::Opener;
        let mut in_name = false;
        for (at, token) in (0u32..).zip(&self.tokens) {
            let is_name = token.class == Class::Capitalised && before != Class::Opener;
            before = token.class;
            if is_name && in_name {
                if let Some(last) = self.shapes.last_mut() {
                    last.last = at;
                }
                continue;
            }
            in_name = is_name;
            let is_number = token.class == Class::Number;
            let mark = if is_number { Mark::Number } else { Mark::Word };
            let mark = if is_name { Mark::Name } else { mark };
            let hash = if is_number { NUMBER } else { token.hash };
            let hash = if is_name { NAME } else { hash };
            self.shapes.push(Shape { hash, first: at, last: at, mark });
        }
    }
}

/// The token that is being read; its folded text stands at the end of the buffer.
#[derive(Debug, Default)]
struct Open {
    run: Run,
    span: Span,
    folded_start: usize,
    /// Of the first character.
    class: Option<Class>,
    has_digit: bool,
}

impl Open {
    fn begin(first: Facts, place: Span, folded: &str) -> Self {
        let class =
            if first.is_uppercase { Class::Capitalised } else { class_of_other(first.character) };
        Self { span: place, folded_start: folded.len(), class: Some(class), ..Self::default() }
    }

    fn take_in(&mut self, facts: Facts, place: Span, folded: &mut String) {
        match facts.folded {
            Some(c) => folded.push(c),
            None => folded.push_str(&fold(facts.character)),
        }
        self.has_digit |= facts.is_numeric;
        self.span.end = place.end;
    }

    /// The token, if there is one.
    fn end(&self, folded: &str) -> Option<Token> {
        let class = self.class.filter(|_| self.run != Run::None)?;
        let class = if self.has_digit { Class::Number } else { class };
        let text = folded.get(self.folded_start..)?;
        let ends = (normalise::offset(self.folded_start), normalise::offset(folded.len()));
        Some(Token { hash: hash::token(text), span: self.span, folded: ends, class })
    }
}

/// What kind of token is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Run {
    #[default]
    None,
    Word,
    Alone,
    Other,
}

impl Run {
    fn goes_on_with(self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Word, Kind::Word | Kind::Attached) | (Self::Alone, Kind::Attached)
        )
    }

    fn then(self, kind: Kind) -> Self {
        match kind {
            Kind::Word => Self::Word,
            Kind::Attached if self == Self::Alone => Self::Alone,
            Kind::Attached => Self::Word,
            Kind::Alone => Self::Alone,
            Kind::Other => Self::Other,
            Kind::Space | Kind::Ignored => Self::None,
        }
    }
}

const fn class_of_ascii(first: u8) -> Class {
    match first {
        b'A'..=b'Z' => Class::Capitalised,
        _ => class_of_other(first as char),
    }
}

/// The class of a character that is no capital letter.
const fn class_of_other(first: char) -> Class {
    match first {
        '.' | '!' | '?' | '"' | '\u{201c}' => Class::Opener,
        _ => Class::Plain,
    }
}

/// [`class_of_ascii`] of every byte, without a branch.
const CLASSES: [Class; 128] = {
    let mut classes = [Class::Plain; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = class_of_ascii(byte);
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(s: &str) -> Vec<String> {
        let mut analysis = Analysis::default();
        analysis.analyse(s);
        analysis.tokens().iter().map(|t| analysis.folded(t).to_owned()).collect()
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
        let s = "Él no — ½ kg";
        let mut analysis = Analysis::default();
        analysis.analyse(s);
        let at: Vec<_> = analysis
            .tokens()
            .iter()
            .map(|t| s.get(t.span.start as usize..t.span.end as usize).unwrap())
            .collect();
        assert_eq!(at, ["Él", "no", "—", "½", "½", "½", "kg"]);
    }

    #[test]
    fn names_and_numbers_become_marks() {
        assert_eq!([NAME, NUMBER], ["Aa", "0"].map(hash::token));
        let mut analysis = Analysis::default();
        analysis.analyse("He denied that John Smith paid 30 euros.");
        let marks: Vec<_> = analysis.shapes.iter().map(|s| s.mark).collect();
        use Mark::{Name, Number, Word};
        assert_eq!(marks, [Word, Word, Word, Name, Word, Number, Word, Word]);
        assert_eq!((analysis.shapes[3].first, analysis.shapes[3].last), (3, 4));
    }

    proptest! {
        #[test]
        fn the_ascii_path_gives_what_the_unicode_path_gives(s in "[ -~\\t\\n\\x00-\\x1f]{0,80}") {
            let (mut fast, mut full) = (Analysis::default(), Analysis::default());
            fast.analyse(&s);
            full.tokenise(&s);
            full.find_shapes();
            prop_assert_eq!(&fast.shapes, &full.shapes);
            prop_assert_eq!(fast.tokens.len(), full.tokens.len());
            for (a, b) in fast.tokens.iter().zip(&full.tokens) {
                prop_assert_eq!((a.hash, a.span, a.class), (b.hash, b.span, b.class));
                prop_assert_eq!(fast.folded(a), full.folded(b));
            }
        }

        #[test]
        fn any_text_has_valid_spans_in_order(s in any::<String>()) {
            let mut analysis = Analysis::default();
            analysis.analyse(&s);
            let mut last = 0;
            for token in analysis.tokens() {
                prop_assert!(s.get(token.span.start as usize..token.span.end as usize).is_some());
                prop_assert!(token.span.start < token.span.end && token.span.start >= last);
                prop_assert!(!analysis.folded(token).is_empty());
                last = token.span.start;
            }
        }
    }
}
