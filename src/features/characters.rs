//! What normalising and cutting into tokens ask about a character, and a memory of the answers: they take
//! searches in large tables, and a text has few characters.

use std::cell::Cell;

use icu_casemap::CaseMapperBorrowed;
use unicode_normalization::{
    IsNormalized,
    char::{canonical_combining_class, decompose_compatible, is_combining_mark},
    is_nfkc_quick,
};
use unicode_script::{Script, UnicodeScript};

const CASE: CaseMapperBorrowed<'static> = icu_casemap::CaseMapper::new();

/// Characters that are remembered; a power of two. 16 KiB in all.
const REMEMBERED: usize = 1024;

/// No character before this one combines with what came before, nor what it decomposes to does.
const FIRST_COMBINING: char = '\u{300}';

/// What there is to know about a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) character: char,
    /// Its case folding, where that is one character.
    pub(super) folded: Option<char>,
    pub(super) kind: Kind,
    pub(super) is_numeric: bool,
    pub(super) is_uppercase: bool,
    /// Normalisation can cut before it: nothing of it combines with what came before.
    pub(super) starts_piece: bool,
    /// Alone it is its own NFKC form.
    pub(super) is_normalised: bool,
}

/// What a normalised character is to the tokeniser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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

/// Remembers the characters of late.
#[derive(Debug, Default, Clone)]
pub(super) struct Characters {
    /// Empty until the first is asked for; each in the place of its lower bits.
    remembered: Vec<Cell<Facts>>,
}

impl Characters {
    /// Makes room for memories, once.
    pub(super) fn prepare(&mut self) {
        if self.remembered.is_empty() {
            self.remembered = vec![Cell::new(Facts::of('\0')); REMEMBERED];
        }
    }

    /// What there is to know about a character.
    #[inline]
    pub(super) fn facts(&self, c: char) -> Facts {
        let Some(place) = self.remembered.get(u32::from(c) as usize % REMEMBERED) else {
            return Facts::of(c);
        };
        if place.get().character != c {
            place.set(Facts::of(c));
        }
        place.get()
    }
}

impl Facts {
    fn of(c: char) -> Self {
        let folded = fold(c);
        let mut chars = folded.chars();
        let only = chars.next().filter(|_| chars.next().is_none());
        Self {
            character: c,
            folded: only,
            kind: kind_of(c),
            is_numeric: c.is_numeric(),
            is_uppercase: c.is_uppercase(),
            starts_piece: starts_piece(c),
            is_normalised: is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes,
        }
    }
}

/// The full case folding of a character. That of a text is that of its characters.
pub(super) fn fold(c: char) -> String {
    let mut buffer = [0; 4];
    CASE.fold_string(c.encode_utf8(&mut buffer)).into_owned()
}

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

fn is_ascii_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// White space as `char::is_whitespace` has it, and the separators that Python's `\s` adds.
fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_memory_is_what_is_found_anew(
            text in "[\\u{0}\\u{400}\\u{800}a-c政ßﬁ\\u{301}\\u{200d}٣]{0,40}|\\PC{0,40}"
        ) {
            let mut characters = Characters::default();
            characters.prepare();
            for c in text.chars() {
                prop_assert_eq!(characters.facts(c), Facts::of(c));
            }
        }

        #[test]
        fn the_folding_of_a_text_is_that_of_its_characters(text in "\\PC{0,40}") {
            let folded: String = text.chars().map(fold).collect();
            prop_assert_eq!(folded, CASE.fold_string(&text));
        }
    }
}
