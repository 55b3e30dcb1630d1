//! Lines of an input that may be anything: of any length, in any encoding, and endless.

use std::io::{self, BufRead};

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Text without its line end.
    Text(String),
    /// More bytes than are taken.
    TooLong,
    /// Not UTF-8.
    NotText,
}

/// Reads lines of at most so many bytes; what is longer is passed over without being held in memory.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    max_bytes: usize,
    line: Vec<u8>,
    is_too_long: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `input`; a line with its end taken off has at most `max_bytes`.
    pub(super) fn new(input: R, max_bytes: usize) -> Self {
        Self { input, max_bytes, line: Vec::new(), is_too_long: false }
    }

    /// The input.
    pub(super) fn get_ref(&self) -> &R {
        &self.input
    }

    /// Returns the next line, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        self.line.clear();
        self.is_too_long = false;
        let mut has_begun = false;
        loop {
            let (n_bytes, is_complete) = match self.take_piece() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                piece => piece?,
            };
            has_begun |= n_bytes > 0;
            if is_complete || n_bytes == 0 {
                return Ok(has_begun.then(|| self.finish()));
            }
        }
    }

    /// Takes what the input has ready, up to the end of the line; says how many bytes that were, 0 at
    /// the end of the input, and whether the line is complete.
    fn take_piece(&mut self) -> io::Result<(usize, bool)> {
        let ready = self.input.fill_buf()?;
        let line_end = ready.iter().position(|byte| *byte == b'\n');
        let n_bytes = line_end.map_or(ready.len(), |at| at + 1);
        // The line end does not count, and may have two bytes.
        if self.is_too_long || self.line.len() + n_bytes > self.max_bytes + 2 {
            self.is_too_long = true;
        } else {
            self.line.extend(ready.iter().take(n_bytes));
        }
        self.input.consume(n_bytes);
        Ok((n_bytes, line_end.is_some()))
    }

    fn finish(&self) -> Line {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.is_too_long || line.len() > self.max_bytes {
            return Line::TooLong;
        }
        String::from_utf8(line.to_vec()).map_or(Line::NotText, Line::Text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// The lines of an input that gives `at_once` bytes at a time.
    fn lines(input: &[u8], at_once: usize) -> Vec<Line> {
        let mut lines = Lines::new(BufReader::with_capacity(at_once, input), 5);
        std::iter::from_fn(|| lines.next().expect("memory can be read")).collect()
    }

    #[test]
    fn lines_do_not_depend_on_how_the_input_comes() {
        let text = |line: &str| Line::Text(line.to_owned());
        let input = b"one\r\n\nabcde\r\nabcdef\n\xff\nabcdefghijklmnop\r\nend";
        let expected = [
            text("one"),
            text(""),
            text("abcde"),
            Line::TooLong,
            Line::NotText,
            Line::TooLong,
            text("end"),
        ];
        for at_once in 1..=input.len() {
            assert_eq!(lines(input, at_once), expected, "{at_once} bytes at a time");
        }
    }

    #[test]
    fn an_empty_input_has_no_line() {
        assert_eq!(lines(b"", 8), []);
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_allowed() {
        let mut lines = Lines::new(BufReader::new(io::repeat(b'a')), 5);
        for _ in 0..1_000 {
            lines.take_piece().expect("memory can be read");
        }
        assert!(lines.line.capacity() < 1_024, "{}", lines.line.capacity());
    }
}
