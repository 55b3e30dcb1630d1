//! The shape of a sentence: its tokens, with a mark in place of each name and number.

use super::tokens::Tokens;

/// What a token is to the shape view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Has a digit.
    Number,
    /// Begins with a capital letter.
    Capitalised,
    /// Ends a sentence or opens a quotation: the next token's capital means nothing.
    Opener,
    /// Anything else.
    Plain,
}

impl Class {
    /// The class of a token without digits, from its first character, which is ASCII. Without a branch.
    #[inline]
    pub(super) fn of_ascii(first: u8) -> Self {
        CLASSES[usize::from(first)]
    }

    /// The class of a token without digits, from a first character that is no capital letter.
    pub(super) const fn of_other(first: char) -> Self {
        match first {
            '.' | '!' | '?' | '"' | '\u{201c}' => Self::Opener,
            _ => Self::Plain,
        }
    }
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'A'..=b'Z' => Class::Capitalised,
            _ => Class::of_other(byte as char),
        };
        byte += 1;
    }
    classes
};

/// One item of the shape sequence: a word as it is, or a mark for a name or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// First token of the item.
    pub first: u32,
    /// Last token of the item.
    pub last: u32,
    /// How it is written.
    pub mark: Mark,
}

/// How a shape item is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `Aa`: a run of capitalised tokens that does not open a sentence.
    Name,
    /// `0`: a token with a digit.
    Number,
    /// The token's own folded text.
    Word,
}

impl Mark {
    /// The hash of what is written for it; `None` for a token's own text.
    #[must_use]
    pub fn hash(self) -> Option<u64> {
        match self {
            Self::Name => Some(0x01bb_46f1_b0f4_dd91),
            Self::Number => Some(0x1982_e3a7_bb24_1055),
            Self::Word => None,
        }
    }
}

impl Shape {
    /// The hash of the item, given those of all tokens.
    #[inline]
    #[must_use]
    pub fn hash(&self, tokens: &[u64]) -> u64 {
        let of_token = tokens.get(self.first as usize).copied().unwrap_or_default();
        self.mark.hash().unwrap_or(of_token)
    }
}

/// Replaces `shapes` by those of the tokens that were found in `sentence`.
pub fn find_shapes(sentence: &str, tokens: &mut Tokens, shapes: &mut Vec<Shape>) {
    shapes.clear();
    let mut before = Class::Opener;
    let mut in_name = false;
    for (at, class) in (0u32..).zip(tokens.classes(sentence)) {
        let is_name = *class == Class::Capitalised && before != Class::Opener;
        before = *class;
        if is_name && in_name {
            if let Some(last) = shapes.last_mut() {
                last.last = at;
            }
            continue;
        }
        in_name = is_name;
        let mark = if *class == Class::Number { Mark::Number } else { Mark::Word };
        let mark = if is_name { Mark::Name } else { mark };
        shapes.push(Shape { first: at, last: at, mark });
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash;
    use super::*;

    #[test]
    fn names_and_numbers_become_marks() {
        assert_eq!(Mark::Name.hash(), Some(hash::token("Aa")));
        assert_eq!(Mark::Number.hash(), Some(hash::token("0")));
        let (mut tokens, mut shapes) = (Tokens::default(), Vec::new());
        let sentence = "He denied that John Smith paid 30 euros.";
        tokens.find(sentence);
        find_shapes(sentence, &mut tokens, &mut shapes);
        let marks: Vec<_> = shapes.iter().map(|s| s.mark).collect();
        use Mark::{Name, Number, Word};
        assert_eq!(marks, [Word, Word, Word, Name, Word, Number, Word, Word]);
        assert_eq!((shapes[3].first, shapes[3].last), (3, 4));
    }
}
