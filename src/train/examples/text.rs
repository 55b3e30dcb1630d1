//! Bytes become text: a stream of UTF-8 without a byte order mark, with its line numbers.
//!
//! What is not text ends the stream with an error, but only once all text before it is used up: the
//! first error by place is the one that is told, however the bytes arrive.

use std::io::{self, Read};

use memchr::memchr_iter;

use super::{CsvError, LimitExceeded};

/// How much is asked for at a time.
const CHUNK_BYTES: usize = 65_536;

/// Text as it arrives from a [`Read`].
pub(super) struct TextSource<R> {
    input: R,
    /// `start..checked` is text not yet used, `checked..end` may be the beginning of a character.
    buffer: Vec<u8>,
    start: usize,
    checked: usize,
    end: usize,
    /// Bytes before `start`.
    offset: u64,
    /// Line of `start`.
    line: u64,
    /// Whether a carriage return stands before `start`.
    after_return: bool,
    n_read: u64,
    max_bytes: u64,
    ending: Option<Ending>,
}

/// What comes behind the checked text.
enum Ending {
    End,
    NotUtf8,
    Nul,
    TooMany,
    Failure(io::Error),
}

impl<R: Read> TextSource<R> {
    /// Opens a stream, looks at its first bytes and skips a byte order mark.
    ///
    /// # Errors
    ///
    /// [`CsvError::OtherFormat`] for what is known not to be UTF-8.
    pub(super) fn open(input: R, max_bytes: u64) -> Result<Self, CsvError> {
        let mut source = Self {
            input,
            buffer: vec![0; CHUNK_BYTES],
            start: 0,
            checked: 0,
            end: 0,
            offset: 0,
            line: 1,
            after_return: false,
            n_read: 0,
            max_bytes,
            ending: None,
        };
        while source.end < LONGEST_SIGNATURE && source.ending.is_none() {
            source.read();
        }
        let head = &source.buffer[..source.end];
        if let Some(format) = other_format(head) {
            return Err(CsvError::OtherFormat { format });
        }
        if head.starts_with(b"\xEF\xBB\xBF") {
            (source.start, source.checked, source.offset) = (3, 3, 3);
        }
        source.check();
        Ok(source)
    }

    /// The text at hand: whole characters, not yet used.
    pub(super) fn text(&self) -> &[u8] {
        &self.buffer[self.start..self.checked]
    }

    /// Number of bytes before [`Self::text`].
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Line on which [`Self::text`] begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Line on which [`Self::text`] ends.
    pub(super) fn last_line(&self) -> u64 {
        self.line + line_ends(self.text(), self.after_return)
    }

    /// Uses up the first `n` bytes of [`Self::text`].
    pub(super) fn advance(&mut self, n: usize) {
        let used = &self.buffer[self.start..self.checked];
        let used = &used[..n.min(used.len())];
        self.line += line_ends(used, self.after_return);
        self.after_return = used.last().map_or(self.after_return, |last| *last == b'\r');
        self.offset += used.len() as u64;
        self.start += used.len();
    }

    /// Uses up line ends; returns whether text follows that is at hand.
    pub(super) fn skip_line_ends(&mut self) -> bool {
        let n = self.text().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.advance(n);
        !self.text().is_empty()
    }

    /// Reads more; returns whether there was more.
    ///
    /// # Errors
    ///
    /// What comes behind the text is not text, too much, or could not be read.
    pub(super) fn fill(&mut self) -> Result<bool, CsvError> {
        while self.ending.is_none() {
            self.read();
            if self.check() {
                return Ok(true);
            }
        }
        let (line, byte) = (self.last_line(), self.offset + self.text().len() as u64);
        match self.ending.replace(Ending::End) {
            None | Some(Ending::End) => Ok(false),
            Some(Ending::NotUtf8) => Err(CsvError::NotUtf8 { line, byte }),
            Some(Ending::Nul) => Err(CsvError::Nul { line, byte }),
            Some(Ending::TooMany) => Err(LimitExceeded::Bytes { limit: self.max_bytes }.into()),
            Some(Ending::Failure(error)) => Err(CsvError::Io(error)),
        }
    }

    /// Reads once. One byte over the limit is asked for, to know that there is one.
    fn read(&mut self) {
        self.make_room();
        let left = self.max_bytes.saturating_sub(self.n_read).saturating_add(1);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let room = &mut self.buffer[self.end..];
        let room_len = room.len().min(left);
        match self.input.read(&mut room[..room_len]) {
            Ok(0) => self.ending = Some(Ending::End),
            Ok(n) => self.take(n.min(room_len)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.ending = Some(Ending::Failure(error)),
        }
    }

    fn take(&mut self, n: usize) {
        self.n_read += n as u64;
        self.end += n;
        if self.n_read > self.max_bytes {
            self.end -= 1;
            self.ending = Some(Ending::TooMany);
        }
    }

    /// Moves what is left to the front; grows where it fills the buffer.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.checked -= self.start;
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
    }

    /// Checks what was read; returns whether there is more text.
    fn check(&mut self) -> bool {
        let fresh = &self.buffer[self.checked..self.end];
        let (mut n_good, is_broken) = match std::str::from_utf8(fresh) {
            Ok(_) => (fresh.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_some()),
        };
        let is_cut_off = matches!(self.ending, Some(Ending::End)) && n_good < fresh.len();
        if is_broken || is_cut_off {
            self.ending = Some(Ending::NotUtf8);
        }
        let good = &fresh[..n_good];
        // `contains` is a good deal faster than `position`.
        if good.contains(&0) {
            n_good = good.iter().take_while(|byte| **byte != 0).count();
            self.ending = Some(Ending::Nul);
        }
        self.checked += n_good;
        n_good > 0
    }
}

/// Counts line ends: LF, CR LF, and CR alone. `after_return`: a CR stands before the bytes, and
/// counted.
pub(super) fn line_ends(bytes: &[u8], after_return: bool) -> u64 {
    let mut n = memchr_iter(b'\n', bytes).count();
    // A CR counts unless an LF follows, which did.
    n += memchr_iter(b'\r', bytes).filter(|at| bytes.get(at + 1) != Some(&b'\n')).count();
    if after_return && bytes.first() == Some(&b'\n') {
        n -= 1;
    }
    n as u64
}

/// First bytes of what is sent in place of CSV. All are impossible, or next to it, in UTF-8 text.
const SIGNATURES: [(&[u8], &str); 13] = [
    // Before UTF-16, of which its mark is a beginning.
    (b"\xFF\xFE\0\0", "text in UTF-32"),
    (b"\0\0\xFE\xFF", "text in UTF-32"),
    (b"\xFF\xFE", "text in UTF-16"),
    (b"\xFE\xFF", "text in UTF-16"),
    (b"\x1F\x8B", "a gzip file"),
    (b"PK\x03\x04", "a ZIP file, as spreadsheets are (.xlsx, .ods)"),
    (b"\xD0\xCF\x11\xE0", "an old Office file, as .xls is"),
    (b"\x28\xB5\x2F\xFD", "a Zstandard file"),
    (b"\xFD7zXZ\0", "an xz file"),
    (b"7z\xBC\xAF", "a 7z file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1\x15", "a Parquet file"),
    (b"%PDF-", "a PDF file"),
];
const LONGEST_SIGNATURE: usize = 16;

fn other_format(head: &[u8]) -> Option<&'static str> {
    SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)).map(|(_, format)| *format)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_source_that_claims_more_than_it_was_asked_for_is_survived() {
        struct Liar;
        impl Read for Liar {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                room.fill(b'x');
                Ok(usize::MAX)
            }
        }
        let mut source = TextSource::open(Liar, 200_000).unwrap();
        while source.fill().is_ok() {}
        assert_eq!(source.text().len(), 200_000);
    }

    #[test]
    fn text_before_a_fault_is_given_first() {
        let mut source = TextSource::open(&b"a\nb\xFF"[..], 100).unwrap();
        assert_eq!(source.text(), b"a\nb");
        assert!(matches!(source.fill(), Err(CsvError::NotUtf8 { line: 2, byte: 3 })));
    }

    proptest! {
        #[test]
        fn line_ends_are_those_of_a_reader_of_characters(text in "[a\r\n]{0,20}", cut in 0_usize..20) {
            let one_by_one = text.replace("\r\n", "\n").replace('\r', "\n").matches('\n').count();
            prop_assert_eq!(line_ends(text.as_bytes(), false), one_by_one as u64);
            let (head, tail) = text.as_bytes().split_at(cut.min(text.len()));
            let in_parts = line_ends(head, false) + line_ends(tail, head.ends_with(b"\r"));
            prop_assert_eq!(in_parts, one_by_one as u64);
        }
    }
}
