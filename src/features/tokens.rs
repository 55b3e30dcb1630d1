//! Cuts a sentence into tokens and gives each its folded text, its shape and its place.
//!
//! A token is a maximal run of word characters, or one other character that is not white space.
//! Scripts that are written without spaces (Chinese, Japanese kana, Thai and others) give one token
//! a character, so that n-grams of tokens are n-grams of characters there.

use icu_casemap::CaseMapperBorrowed;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

use super::{Span, ascii, hash, normalise};

const CASE: CaseMapperBorrowed<'static> = icu_casemap::CaseMapper::new();

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
    current: String,
    finder: ascii::Finder,
}

impl Analysis {
    /// Replaces what was analysed before by `sentence`.
    pub fn analyse(&mut self, sentence: &str) {
        self.tokens.clear();
        self.shapes.clear();
        self.folded.clear();
        if sentence.is_ascii() {
            self.tokenise_ascii(sentence);
        } else {
            self.tokenise(sentence);
        }
        self.find_shapes();
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
            let first = bytes.get(start).copied().unwrap_or_default();
            let class = CLASSES.get(usize::from(first)).copied().unwrap_or(Class::Plain);
            let class = if has_digit { Class::Number } else { class };
            let span = Span { start: normalise::offset(start), end: normalise::offset(end) };
            let hash = hash::bytes(folded.get(start..end).unwrap_or_default());
            Token { hash, span, folded: (span.start, span.end), class }
        }));
    }

    fn tokenise(&mut self, sentence: &str) {
        let mut current = std::mem::take(&mut self.current);
        let mut run = Run::None;
        let mut span = Span::default();
        normalise::for_each_char(sentence, |c, place| {
            let kind = kind_of(c);
            if kind == Kind::Ignored {
                return;
            }
            if !run.goes_on_with(kind) {
                self.push_token(&mut current, span);
                span = place;
            }
            run = run.then(kind);
            if run != Run::None {
                current.push(c);
                span.end = place.end;
            }
        });
        self.push_token(&mut current, span);
        self.current = current;
    }

    /// Ends the token whose normalised text is in `current`, if there is one.
    fn push_token(&mut self, current: &mut String, span: Span) {
        let Some(first) = current.chars().next() else { return };
        let class = if current.chars().any(char::is_numeric) {
            Class::Number
        } else {
            class_of_first(first)
        };
        let start = self.folded.len();
        self.folded.push_str(&CASE.fold_string(current));
        current.clear();
        let folded = (normalise::offset(start), normalise::offset(self.folded.len()));
        let hash = hash::token(self.folded.get(start..).unwrap_or_default());
        self.tokens.push(Token { hash, span, folded, class });
    }

    fn find_shapes(&mut self) {
        let (name, number) = (hash::token("Aa"), hash::token("0"));
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
            let hash = if is_number { number } else { token.hash };
            let hash = if is_name { name } else { hash };
            self.shapes.push(Shape { hash, first: at, last: at, mark });
        }
    }
}

/// What a normalised character is to the tokeniser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Belongs to a run of its like.
    Word,
    /// Belongs to whatever token came before: combining marks, joiners.
    Attached,
    /// A word character of a script without spaces: a token alone.
    Alone,
    /// A token alone: punctuation, symbols.
    Other,
    /// Ends a token.
    Space,
    /// Invisible formatting: as if it were not there.
    Ignored,
}

/// The token that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
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

fn is_ascii_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// White space as `char::is_whitespace` has it, and the separators that Python's `\s` adds.
fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0x1c..=0x1f)
}

fn class_of_first(first: char) -> Class {
    match first {
        '\u{201c}' => Class::Opener,
        c if c.is_uppercase() => Class::Capitalised,
        c => u8::try_from(c).map_or(Class::Plain, class_of_ascii),
    }
}

const fn class_of_ascii(first: u8) -> Class {
    match first {
        b'.' | b'!' | b'?' | b'"' => Class::Opener,
        b'A'..=b'Z' => Class::Capitalised,
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

fn kind_of(c: char) -> Kind {
    if let Ok(byte) = u8::try_from(c)
        && byte.is_ascii()
    {
        return if is_ascii_word(byte) {
            Kind::Word
        } else if is_ascii_space(byte) {
            Kind::Space
        } else {
            Kind::Other
        };
    }
    match c {
        // Zero-width space: a word boundary in Thai and Khmer text.
        '\u{200b}' => Kind::Space,
        // Zero-width joiners decide how letters join, not where words end.
        '\u{200c}' | '\u{200d}' => Kind::Attached,
        // Soft hyphen, directional marks, word joiner, variation selectors, byte order mark.
        '\u{ad}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => Kind::Ignored,
        c if c.is_whitespace() => Kind::Space,
        c if is_combining_mark(c) => Kind::Attached,
        c if c.is_alphanumeric() => {
            if is_written_without_spaces(c) {
                Kind::Alone
            } else {
                Kind::Word
            }
        }
        _ => Kind::Other,
    }
}

fn is_written_without_spaces(c: char) -> bool {
    // Thai is the first of them.
    c >= '\u{e00}'
        && matches!(
            c.script(),
            Script::Han
                | Script::Hiragana
                | Script::Thai
                | Script::Lao
                | Script::Khmer
                | Script::Myanmar
                | Script::Tibetan
        )
}

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
