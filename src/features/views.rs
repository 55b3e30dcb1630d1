//! The families of n-grams, each a sequence of hashes with places.
//!
//! Word and shape views see n-grams of one sequence, with a mark at each end of the sentence for
//! n > 1. The character view sees each token alone, padded with a space on both sides, so that a
//! token's features depend on the token alone.

use super::shapes::{Mark, Shape};
use super::{Analysis, Span, hash};

/// How the start of a sentence is written in a feature.
const BOUNDARY_START: &str = "<s>";
/// How the end of a sentence is written in a feature.
const BOUNDARY_END: &str = "</s>";

/// Shortest character n-gram, but for pairs with a Hangul syllable: it says as much as two or three letters.
const CHARACTERS_MIN: usize = 3;
/// Syllables of Korean, as NFKC composes them.
const HANGUL_SYLLABLES: std::ops::RangeInclusive<char> = '가'..='힣';
/// Longest character n-gram.
const CHARACTERS_MAX: usize = 5;
/// Characters of a token that the character view looks at. It bounds the work for one token.
const CHARACTERS_SEEN: usize = 64;
/// Tokens of the lead.
pub const LEAD_TOKENS: usize = 10;

/// A family of features.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Single words.
    Word1,
    /// Pairs of words.
    Word2,
    /// Triples of words.
    Word3,
    /// One to three words, with names and numbers replaced by marks.
    Shape,
    /// Three to five characters of one padded token; of Korean two to five.
    Character,
    /// Single words of the lead: what a text says first is often what it is about.
    Lead,
}

/// Where an n-gram stands among the items of its sequence: tokens, or shape items for the shape
/// view. Position 0 is the boundary mark before the first item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gram {
    start: u32,
    len: u32,
}

impl Gram {
    /// Position of the first item.
    #[must_use]
    pub fn position(self) -> u32 {
        self.start
    }

    /// The places of single tokens, first to last, as the character view gives them.
    pub fn tokens() -> impl Iterator<Item = Self> {
        (1..).map(|start| Self { start, len: 1 })
    }
}

impl View {
    /// All views, in the order of the model file.
    pub const ALL: [Self; 6] =
        [Self::Word1, Self::Word2, Self::Word3, Self::Shape, Self::Character, Self::Lead];

    /// Position in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Name of the view in settings, files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Word1 => "word1",
            Self::Word2 => "word2",
            Self::Word3 => "word3",
            Self::Shape => "shape",
            Self::Character => "character",
            Self::Lead => "lead",
        }
    }

    /// The hash an n-gram of this view starts from.
    #[inline]
    #[must_use]
    pub fn seed(self) -> u64 {
        match self {
            // Words of all lengths share a seed: a 2-gram's hash is a step to the 3-gram's.
            Self::Word1 | Self::Word2 | Self::Word3 => 0x5749_e3a1_6b0d_44c7,
            Self::Shape => 0xa3d7_0b54_19c6_e82f,
            Self::Character => 0x1f86_c95d_e270_3ab9,
            Self::Lead => 0xc2e4_716d_903b_f85b,
        }
    }

    /// The hashes of the marks at the start and at the end of a sentence.
    pub(super) const BOUNDARIES: [u64; 2] = [0x0b79_48f4_16a6_8099, 0x47c5_2907_0790_a263];

    /// Whether a sentence counts how often a feature occurs, and not only whether it does.
    #[must_use]
    pub fn counts_repeats(self) -> bool {
        self == Self::Character
    }

    /// Calls `each` with every n-gram of the analysed sentence, repeats included.
    ///
    /// For the character view the place is that of the token, with length 1.
    #[inline]
    pub fn for_each(self, analysis: &Analysis, mut each: impl FnMut(u64, Gram)) {
        let tokens = analysis.tokens();
        match self {
            Self::Word1 => ngrams(self, tokens, |t| t.hash, 1, &mut each),
            Self::Lead => ngrams(self, lead(tokens), |t| t.hash, 1, &mut each),
            Self::Word2 => ngrams(self, tokens, |t| t.hash, 2, &mut each),
            Self::Word3 => ngrams(self, tokens, |t| t.hash, 3, &mut each),
            Self::Shape => {
                for n in 1..=3 {
                    ngrams(self, &analysis.shapes, |s| analysis.shape_hash(s), n, &mut each);
                }
            }
            Self::Character => {
                for (gram, token) in Gram::tokens().zip(tokens) {
                    for_each_character_ngram(analysis.folded(token), |hash| each(hash, gram));
                }
            }
        }
    }

    /// Writes a feature for people: items joined by a space, boundary marks as `<s>` and `</s>`,
    /// all character n-grams of a token as `~token`.
    #[must_use]
    pub fn write(self, analysis: &Analysis, gram: Gram) -> String {
        let n_items = self.n_items(analysis);
        let item = |at: usize| match at.checked_sub(1) {
            None => BOUNDARY_START,
            Some(at) if at >= n_items => BOUNDARY_END,
            Some(at) if self == Self::Shape => {
                analysis.shapes.get(at).map_or("", |s| s.text(analysis))
            }
            Some(at) => analysis.tokens().get(at).map_or("", |t| analysis.folded(t)),
        };
        let start = gram.start as usize;
        let items: Vec<_> = (start..start + gram.len as usize).map(item).collect();
        let prefix = if self == Self::Character { "~" } else { "" };
        format!("{prefix}{}", items.join(" "))
    }

    /// Returns the part of the sentence an n-gram covers, boundary marks left out.
    #[must_use]
    pub fn span(self, analysis: &Analysis, gram: Gram) -> Option<Span> {
        let first = (gram.start as usize).saturating_sub(1);
        let last = (gram.start + gram.len).saturating_sub(2) as usize;
        let last = last.min(self.n_items(analysis).checked_sub(1)?);
        let (first, last) = if self == Self::Shape {
            (analysis.shapes.get(first)?.first as usize, analysis.shapes.get(last)?.last as usize)
        } else {
            (first, last)
        };
        let (first, last) = (analysis.tokens().get(first)?, analysis.tokens().get(last)?);
        Some(Span { start: first.span.start, end: last.span.end })
    }

    /// The place among the tokens of the one that an n-gram is, if it is one token as it stands.
    #[must_use]
    pub fn token(self, analysis: &Analysis, gram: Gram) -> Option<usize> {
        let at = (gram.start as usize).checked_sub(1).filter(|_| gram.len == 1)?;
        match self {
            Self::Word1 | Self::Character | Self::Lead => Some(at),
            Self::Shape => {
                let shape = analysis.shapes.get(at)?;
                (shape.mark == Mark::Word).then_some(shape.first as usize)
            }
            Self::Word2 | Self::Word3 => None,
        }
    }

    fn n_items(self, analysis: &Analysis) -> usize {
        if self == Self::Shape { analysis.shapes.len() } else { analysis.tokens().len() }
    }
}

impl Shape {
    fn text<'a>(&self, analysis: &'a Analysis) -> &'a str {
        match self.mark {
            Mark::Name => "Aa",
            Mark::Number => "0",
            Mark::Word => {
                analysis.tokens().get(self.first as usize).map_or("", |t| analysis.folded(t))
            }
        }
    }
}

/// Returns the first ten of a sentence's tokens, or of what there is for each of them: the lead.
#[must_use]
pub fn lead<T>(of_tokens: &[T]) -> &[T] {
    of_tokens.get(..LEAD_TOKENS).unwrap_or(of_tokens)
}

/// Calls `each` with the n-grams of one length over `items`; n > 1 sees a mark at each end.
#[inline]
fn ngrams<T>(
    view: View,
    items: &[T],
    hash_of: impl Fn(&T) -> u64,
    n: usize,
    each: &mut impl FnMut(u64, Gram),
) {
    let [start, end] = View::BOUNDARIES;
    let marks = usize::from(n > 1);
    let n_grams = (items.len() + 2 * marks + 1).saturating_sub(n);
    let len = if n == 1 {
        1
    } else if n == 2 {
        2
    } else {
        3
    };
    for (from, at) in (1 - marks..).zip(0..n_grams) {
        let mut sequence = view.seed();
        for position in from..from + n {
            // Position 0 is the mark before the first item.
            let item = match position.checked_sub(1) {
                None => start,
                Some(item) => items.get(item).map_or(end, &hash_of),
            };
            sequence = hash::extend(sequence, item);
        }
        debug_assert!(at < n_grams);
        each(sequence, Gram { start: u32::try_from(from).unwrap_or(u32::MAX), len });
    }
}

/// Calls `each` with the hash of every character 3- to 5-gram of a token padded with a space on
/// both sides, and of every pair with a Hangul syllable in it, repeats included; of a longer token only
/// its first 64 characters.
#[inline]
pub fn for_each_character_ngram(folded: &str, mut each: impl FnMut(u64)) {
    let seen = folded.chars().take(CHARACTERS_SEEN);
    let padded = std::iter::once(' ').chain(seen).chain(std::iter::once(' '));
    // The sequences that begin at each of the last characters, by their length so far.
    let mut open = [0u64; CHARACTERS_MAX];
    let mut follows_syllable = false;
    for (at, c) in padded.enumerate() {
        let item = u64::from(u32::from(c));
        let is_syllable = HANGUL_SYLLABLES.contains(&c);
        let shortest = if is_syllable || follows_syllable { 2 } else { CHARACTERS_MIN };
        follows_syllable = is_syllable;
        open.copy_within(..CHARACTERS_MAX - 1, 1);
        open[0] = View::Character.seed();
        for (before, sequence) in open.iter_mut().enumerate().take(at + 1) {
            *sequence = hash::extend(*sequence, item);
            if before + 1 >= shortest {
                each(*sequence);
            }
        }
    }
}

/// The hash of one character n-gram.
#[cfg(test)]
pub(crate) fn character_sequence(gram: &str) -> u64 {
    let items = gram.chars().map(|c| u64::from(u32::from(c)));
    items.fold(View::Character.seed(), hash::extend)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(view: View, sentence: &str) -> Vec<String> {
        let mut analysis = Analysis::default();
        analysis.analyse(sentence);
        let mut out = Vec::new();
        view.for_each(&analysis, |_, gram| out.push(view.write(&analysis, gram)));
        out
    }

    #[test]
    fn marks_have_the_hashes_of_what_is_written_for_them() {
        assert_eq!(View::BOUNDARIES, [BOUNDARY_START, BOUNDARY_END].map(hash::token));
    }

    #[test]
    fn pairs_see_the_ends_of_the_sentence() {
        assert_eq!(written(View::Word2, "We deny"), ["<s> we", "we deny", "deny </s>"]);
        assert_eq!(written(View::Word3, "We deny"), ["<s> we deny", "we deny </s>"]);
        assert_eq!(written(View::Word3, "No"), ["<s> no </s>"]);
        assert_eq!(written(View::Word1, "We deny"), ["we", "deny"]);
    }

    #[test]
    fn where_no_spaces_are_written_ngrams_are_those_of_characters() {
        assert_eq!(written(View::Word2, "要退款"), ["<s> 要", "要 退", "退 款", "款 </s>"]);
        assert_eq!(written(View::Word3, "返金を"), ["<s> 返 金", "返 金 を", "金 を </s>"]);
        // A Thai vowel or tone mark above or below goes with its consonant.
        assert_eq!(written(View::Word2, "คืนนี้"), ["<s> คื", "คื น", "น นี้", "นี้ </s>"]);
        // Korean is written with spaces: its words are told by their parts.
        assert_eq!(written(View::Word1, "환불해 주세요"), ["환불해", "주세요"]);
    }

    #[test]
    fn shapes_stand_for_names_and_numbers() {
        let shapes = written(View::Shape, "We paid Ann Lee 5");
        assert_eq!(shapes[..4], ["we", "paid", "Aa", "0"]);
        assert!(shapes.contains(&"paid Aa 0".to_owned()));
    }

    #[test]
    fn spans_leave_boundary_marks_out() {
        let mut analysis = Analysis::default();
        analysis.analyse("We paid Ann Lee 5");
        let mut spans = Vec::new();
        View::Shape.for_each(&analysis, |_, gram| spans.push(View::Shape.span(&analysis, gram)));
        assert_eq!(spans[2], Some(Span { start: 8, end: 15 }));
        let mut pairs = Vec::new();
        View::Word2.for_each(&analysis, |_, gram| pairs.push(View::Word2.span(&analysis, gram)));
        assert_eq!(pairs[0], Some(Span { start: 0, end: 2 }));
        assert_eq!(pairs.last(), Some(&Some(Span { start: 16, end: 17 })));
    }

    #[test]
    fn character_ngrams_are_those_of_the_padded_token() {
        let mut hashes = Vec::new();
        for_each_character_ngram("no", |hash| hashes.push(hash));
        hashes.sort_unstable();
        let mut wanted = [" no", "no ", " no "].map(character_sequence);
        wanted.sort_unstable();
        assert_eq!(hashes, wanted);
    }

    #[test]
    fn korean_syllables_are_counted_in_pairs_too() {
        let mut hashes = Vec::new();
        for_each_character_ngram("a환불", |hash| hashes.push(hash));
        hashes.sort_unstable();
        let mut wanted: Vec<u64> =
            ["a환", "환불", "불 ", " a환", "a환불", "환불 ", " a환불", "a환불 ", " a환불 "]
                .map(character_sequence)
                .into();
        wanted.sort_unstable();
        assert_eq!(hashes, wanted);
    }

    #[test]
    fn the_lead_is_the_first_ten_tokens() {
        let sentence = "One two, three: four five six seven eight NINE.";
        assert_eq!(
            written(View::Lead, sentence),
            ["one", "two", ",", "three", ":", "four", "five", "six", "seven", "eight"]
        );
        assert_eq!(written(View::Lead, "No no"), ["no", "no"]);
    }

    #[test]
    fn a_blank_sentence_has_no_single_features() {
        assert!(written(View::Word1, " ").is_empty() && written(View::Character, "").is_empty());
    }
}
