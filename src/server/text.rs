//! A text is split into sentences, and places in it are counted as the caller counts.
//!
//! Every line break ends a sentence, so that headlines and list items without a full stop stand for
//! themselves; within a line the rules of the text's language decide. The splitter's time grows with
//! the square of what it sees at once where quotation marks stay open, so it sees windows: the last
//! sentence of a window is read again with what follows it.

use std::ops::Range;

use sentencex::get_sentence_boundaries;

use crate::proto::{self, OffsetEncoding};

/// How much the splitter sees at once, in bytes, while it finds sentences shorter than that.
const WINDOW_BYTES: usize = 4 * 1024;
const LINE_BREAKS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Splits a text into sentences: their places in bytes, in order, without surrounding white space.
///
/// `language` is an ISO 639-1 code; the rules of English hold where it is empty or unknown. A sentence
/// over `max_bytes` is cut, at white space where there is some. Ends early, between two lines or
/// windows, once nobody wants it any more.
pub(crate) fn split(
    text: &str,
    language: &str,
    max_bytes: usize,
    is_wanted: &dyn Fn() -> bool,
) -> Vec<Range<usize>> {
    let language = language.to_ascii_lowercase();
    let splitter = Splitter { language: &language, max_bytes, is_wanted };
    let mut sentences = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(LINE_BREAKS) {
        splitter.split_line(line.trim_end(), start, &mut sentences);
        start += line.len();
    }
    sentences
}

struct Splitter<'a> {
    language: &'a str,
    max_bytes: usize,
    is_wanted: &'a dyn Fn() -> bool,
}

impl Splitter<'_> {
    /// Appends the sentences of a line that begins at `start`.
    fn split_line(&self, line: &str, mut start: usize, sentences: &mut Vec<Range<usize>>) {
        let mut rest = line;
        let mut window_bytes = WINDOW_BYTES.min(self.max_bytes);
        while !rest.is_empty() && (self.is_wanted)() {
            let window = head(rest, window_bytes);
            let mut found = get_sentence_boundaries(self.language, window);
            let mut used = window.len();
            if used < rest.len() {
                if found.len() <= 1 && window_bytes < self.max_bytes {
                    window_bytes = self.max_bytes;
                    continue;
                }
                // The window may end within its last sentence.
                if found.len() > 1 {
                    used = found.pop().map_or(used, |last| last.start_byte);
                }
            }
            let places = found.iter().map(|s| trimmed(s.text, start + s.start_byte));
            sentences.extend(places.filter(|place| !place.is_empty()));
            start += used;
            rest = rest.get(used..).unwrap_or_default();
            window_bytes = WINDOW_BYTES.min(self.max_bytes);
        }
    }
}

/// The beginning of a text up to a limit, cut at white space where there is some.
fn head(text: &str, max_bytes: usize) -> &str {
    if text.len() <= max_bytes {
        return text;
    }
    let cut = text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text);
    match cut.rfind(char::is_whitespace) {
        Some(end) if end > 0 => cut.get(..end).unwrap_or(cut),
        Some(_) | None => cut,
    }
}

/// The place of what is left of a part of the text when it is trimmed.
fn trimmed(part: &str, start: usize) -> Range<usize> {
    let without_end = part.trim_end();
    let start = start + without_end.len() - without_end.trim_start().len();
    start..start + without_end.trim_start().len()
}

/// Converts places in a text from bytes to what the caller counts. One pass over the text makes
/// it; a conversion looks at no more than [`OffsetMap::STEP`] bytes.
#[derive(Debug)]
pub(crate) struct OffsetMap<'a> {
    text: &'a [u8],
    unit: Unit,
    /// Units before every [`OffsetMap::STEP`]th byte; empty for bytes.
    marks: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte,
    Utf16,
    CodePoint,
}

impl<'a> OffsetMap<'a> {
    const STEP: usize = 64;

    /// Prepares a text, of at most 4 GiB.
    pub(crate) fn new(text: &'a str, encoding: OffsetEncoding) -> Self {
        let text = text.as_bytes();
        let unit = match encoding {
            OffsetEncoding::Unspecified | OffsetEncoding::Utf8 => Unit::Byte,
            OffsetEncoding::Utf16 => Unit::Utf16,
            OffsetEncoding::Utf32 => Unit::CodePoint,
        };
        let mut marks = Vec::new();
        if unit != Unit::Byte {
            let mut units = 0;
            for step in text.chunks(Self::STEP) {
                marks.push(units);
                units += unit.count(step);
            }
            marks.push(units);
        }
        Self { text, unit, marks }
    }

    /// The span in the caller's units. Both ends are ends of characters.
    pub(crate) fn span(&self, span: Range<usize>) -> proto::Span {
        proto::Span { start: self.position(span.start), end: self.position(span.end) }
    }

    /// The same for a span that counts from `start`.
    pub(crate) fn span_from(&self, start: usize, span: &proto::Span) -> proto::Span {
        let from = |offset| start.saturating_add(usize::try_from(offset).unwrap_or(usize::MAX));
        self.span(from(span.start)..from(span.end))
    }

    fn position(&self, byte: usize) -> u32 {
        let step = byte / Self::STEP;
        let Some(mark) = self.marks.get(step) else {
            return u32::try_from(byte).unwrap_or(u32::MAX);
        };
        let behind_mark = self.text.get(step * Self::STEP..byte).unwrap_or_default();
        mark + self.unit.count(behind_mark)
    }
}

impl Unit {
    /// Units that begin in these bytes. Only the first byte of a character counts, so it does not
    /// matter where the bytes begin and end.
    fn count(self, bytes: &[u8]) -> u32 {
        let of_byte = |byte: &u8| match (self, byte) {
            (Self::Byte, _) => 1,
            (Self::Utf16 | Self::CodePoint, 0x80..=0xbf) => 0,
            // Characters outside the Basic Multilingual Plane: four bytes, two UTF-16 units.
            (Self::Utf16, 0xf0..) => 2,
            (Self::Utf16 | Self::CodePoint, _) => 1,
        };
        bytes.iter().map(of_byte).sum()
    }
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "a wrong place must fail the test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX_SENTENCE_BYTES: usize = 65_536;

    fn split(text: &str, language: &str) -> Vec<Range<usize>> {
        super::split(text, language, MAX_SENTENCE_BYTES, &|| true)
    }

    #[test]
    fn what_nobody_wants_is_not_split() {
        let text = "He denied it.\n".repeat(1_000);
        assert!(super::split(&text, "en", MAX_SENTENCE_BYTES, &|| false).is_empty());
    }

    fn sentences(text: &str) -> Vec<&str> {
        split(text, "en").into_iter().map(|place| &text[place]).collect()
    }

    #[test]
    fn abbreviations_and_numbers_do_not_end_a_sentence() {
        let text =
            "Mr. Okafor left the U.S. on Monday. Growth reached 3.5 percent. Dr. Lind disagreed.";
        let wanted = [
            "Mr. Okafor left the U.S. on Monday.",
            "Growth reached 3.5 percent.",
            "Dr. Lind disagreed.",
        ];
        assert_eq!(sentences(text), wanted);
    }

    #[test]
    fn a_quotation_stays_with_its_speaker() {
        let text = "“We did nothing. It is a lie,” she said. \"Stop!\" he cried. They left.";
        let wanted =
            ["“We did nothing. It is a lie,” she said.", "\"Stop!\" he cried.", "They left."];
        assert_eq!(sentences(text), wanted);
    }

    #[test]
    fn an_ellipsis_inside_a_sentence_does_not_end_it() {
        assert_eq!(
            sentences("He said... nothing. Then he left."),
            ["He said... nothing.", "Then he left."]
        );
    }

    #[test]
    fn lines_end_sentences_even_without_a_full_stop() {
        let text = "Minister denies fraud\r\n\r\n  The minister denied it.\nMore soon\u{2028}End";
        let wanted = ["Minister denies fraud", "The minister denied it.", "More soon", "End"];
        assert_eq!(sentences(text), wanted);
    }

    #[test]
    fn a_sentence_across_a_window_stays_whole() {
        let sentence = "The committee heard a witness from the harbour. ";
        let text = sentence.repeat(3 * WINDOW_BYTES / sentence.len());
        assert!(sentences(&text).iter().all(|s| *s == sentence.trim_end()));
    }

    #[test]
    fn a_sentence_longer_than_a_window_stays_whole_up_to_the_limit() {
        let text = format!("Short one. {}end. Last.", "word ".repeat(5_000));
        assert_eq!(sentences(&text).len(), 3);
        let without_end = "word ".repeat(20_000);
        let cut = sentences(&without_end);
        assert_eq!(cut.len(), 2);
        assert!(cut.iter().all(|s| s.len() <= MAX_SENTENCE_BYTES && !s.ends_with("wor")));
    }

    #[test]
    fn units_are_counted_as_the_encoding_asks() {
        let text = "a𝄞é.";
        let end_in = |encoding| OffsetMap::new(text, encoding).span(0..text.len()).end;
        assert_eq!(end_in(OffsetEncoding::Unspecified), 8);
        assert_eq!(end_in(OffsetEncoding::Utf8), 8);
        assert_eq!(end_in(OffsetEncoding::Utf16), 5);
        assert_eq!(end_in(OffsetEncoding::Utf32), 4);
    }

    proptest! {
        #[test]
        fn positions_equal_those_counted_from_the_start(text in "(\\PC|é|𝄞|語){0,200}") {
            let utf16 = OffsetMap::new(&text, OffsetEncoding::Utf16);
            let utf32 = OffsetMap::new(&text, OffsetEncoding::Utf32);
            for (at, _) in text.char_indices() {
                let before = &text[..at];
                prop_assert_eq!(utf16.position(at) as usize, before.encode_utf16().count());
                prop_assert_eq!(utf32.position(at) as usize, before.chars().count());
            }
        }

        #[test]
        fn any_text_is_split_into_parts_that_hold_all_its_words(
            text in "(\\PC|[.!?…«“\"' \n\r\t()]|Mr\\. |U\\.S\\. ){0,300}",
            language in "[a-zA-Z]{0,3}",
        ) {
            let places = split(&text, &language);
            let joined: String = places.iter().map(|place| &text[place.clone()]).collect();
            let solid = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(solid(&joined), solid(&text));
            prop_assert!(places.is_sorted_by(|a, b| a.end <= b.start));
            for place in places {
                prop_assert_eq!(&text[place.clone()], text[place.clone()].trim());
            }
        }
    }
}
