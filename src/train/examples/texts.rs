//! Texts in few pieces of memory.

use bytes::BytesMut;
use bytestring::ByteString;

/// What is asked for at once.
const PIECE_BYTES: usize = 1 << 18;

/// Keeps texts one behind the other, in pieces of memory that they share. A piece lives as long as one of its
/// texts; all of them are given back in no time, where a hundred thousand texts by themselves would take longer
/// than a training may once it is cancelled.
#[derive(Debug, Default)]
pub(in crate::train) struct Texts(BytesMut);

impl Texts {
    /// Keeps a text.
    pub(in crate::train) fn keep(&mut self, text: &str) -> ByteString {
        if self.0.capacity() < text.len() {
            self.0 = BytesMut::with_capacity(PIECE_BYTES.max(text.len()));
        }
        self.0.extend_from_slice(text.as_bytes());
        // It is UTF-8, being a text.
        ByteString::try_from(self.0.split().freeze()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_as_they_are_side_by_side() {
        let mut texts = Texts::default();
        let long = "é".repeat(PIECE_BYTES);
        let given = ["", "It rains.", "Straße", &long, "after it", ""];
        let kept: Vec<ByteString> = given.iter().map(|text| texts.keep(text)).collect();
        assert!(kept.iter().zip(given).all(|(kept, given)| **kept == *given));
        let end = kept[1].as_bytes().as_ptr_range().end;
        assert_eq!(end, kept[2].as_bytes().as_ptr_range().start);
    }
}
