//! Text becomes rows of fields.
//!
//! The parsing is `csv-core`'s. What it leaves to its caller is here: the limit on a row's length, the
//! line on which a row begins, a quote that is never closed.

use std::{io::Read, ops::ControlFlow};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::text::{TextSource, line_ends};
use super::{CsvError, Progress};

/// One row after the other.
pub(super) struct Records<'a, R> {
    source: TextSource<R>,
    parser: RecordParser,
    max_record_bytes: u64,
    n_records: u64,
    watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl<'a, R: Read> Records<'a, R> {
    /// Goes on with a source behind its header row.
    pub(super) fn new(
        source: TextSource<R>,
        delimiter: u8,
        max_record_bytes: u64,
        watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Self {
        let parser = RecordParser::new(delimiter);
        Self { source, parser, max_record_bytes, n_records: 0, watch }
    }

    /// Reads the next row that is not blank; returns the line on which it begins, `None` at the end.
    ///
    /// # Errors
    ///
    /// The row is too long, its last quote is not closed, or the source gives an error.
    pub(super) fn next(&mut self) -> Result<Option<u64>, CsvError> {
        while self.find_record()? {
            let line = self.source.line();
            self.read_record()?;
            if !self.parser.is_blank() {
                self.n_records += 1;
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Number of fields of the row.
    pub(super) fn n_fields(&self) -> usize {
        self.parser.n_fields()
    }

    /// A field of the row; empty if it has no such field.
    ///
    /// # Errors
    ///
    /// None in fact: a part of UTF-8 text between ASCII characters is UTF-8 text.
    pub(super) fn field(&self, position: usize) -> Result<&str, CsvError> {
        let (line, byte) = (self.source.line(), self.source.offset());
        let field = self.parser.field(position).unwrap_or_default();
        std::str::from_utf8(field).or(Err(CsvError::NotUtf8 { line, byte }))
    }

    /// Skips line ends; returns whether a row follows.
    fn find_record(&mut self) -> Result<bool, CsvError> {
        while !self.source.skip_line_ends() {
            if !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_record(&mut self) -> Result<(), CsvError> {
        let (line, start, limit) =
            (self.source.line(), self.source.offset(), self.max_record_bytes);
        self.parser.begin();
        loop {
            let (is_complete, n_used) = self.parser.feed(self.source.text());
            self.source.advance(n_used);
            if self.source.offset() - start > limit {
                return Err(CsvError::RecordTooLong { line, limit });
            }
            if is_complete {
                return Ok(());
            }
            if !self.fill()? {
                return self.parser.finish(self.source.last_line());
            }
        }
    }

    fn fill(&mut self) -> Result<bool, CsvError> {
        let has_more = self.source.fill()?;
        let byte_count = self.source.offset() + self.source.text().len() as u64;
        match (self.watch)(Progress { row_count: self.n_records, byte_count }) {
            ControlFlow::Continue(()) => Ok(has_more),
            ControlFlow::Break(()) => Err(CsvError::Cancelled),
        }
    }
}

/// Splits one row after the other into fields. Its buffers stay; they are as large as the longest row.
pub(super) struct RecordParser {
    reader: Reader,
    /// The fields of the row one behind the other, and room.
    output: Vec<u8>,
    n_output: usize,
    /// Where each field ends in `output`, and room.
    ends: Vec<usize>,
    n_ends: usize,
}

impl RecordParser {
    pub(super) fn new(delimiter: u8) -> Self {
        let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
        // A reader that has read nothing takes three certain bytes for a byte order mark. A line
        // end, which comes to nothing, puts an end to that.
        reader.read_record(b"\n", &mut [0], &mut [0]);
        Self { reader, output: Vec::new(), n_output: 0, ends: vec![0; 64], n_ends: 0 }
    }

    /// Forgets the row before.
    pub(super) fn begin(&mut self) {
        (self.n_output, self.n_ends) = (0, 0);
    }

    /// Takes in text; returns whether the row is complete, and how much of the text belongs to it.
    pub(super) fn feed(&mut self, text: &[u8]) -> (bool, usize) {
        let mut n_used = 0;
        while n_used < text.len() {
            let rest = &text[n_used..];
            self.make_room(rest.len());
            let (result, n_in, n_out, n_ends) = self.reader.read_record(
                rest,
                &mut self.output[self.n_output..],
                &mut self.ends[self.n_ends..],
            );
            n_used += n_in;
            self.n_output += n_out;
            self.n_ends += n_ends;
            if result == ReadRecordResult::Record {
                return (true, n_used);
            }
        }
        (false, n_used)
    }

    /// Ends the row where the input ends.
    ///
    /// # Errors
    ///
    /// The input ends inside quotes. `last_line` is the line on which it ends.
    pub(super) fn finish(&mut self, last_line: u64) -> Result<(), CsvError> {
        // A line end ends the row, unless it stands between quotes and so belongs to the field.
        let open_field = self.ends[..self.n_ends].last().copied().unwrap_or(0)..self.n_output;
        let (is_complete, _) = self.feed(b"\n");
        if is_complete {
            return Ok(());
        }
        // Quotes are opened at the beginning of a field, and keep its line ends as they are.
        let n_lines = line_ends(&self.output[open_field], false);
        Err(CsvError::UnclosedQuote { line: last_line.saturating_sub(n_lines) })
    }

    pub(super) fn n_fields(&self) -> usize {
        self.n_ends
    }

    pub(super) fn field(&self, position: usize) -> Option<&[u8]> {
        let ends = &self.ends[..self.n_ends];
        let end = *ends.get(position)?;
        let start = position.checked_sub(1).map_or(0, |before| ends[before]);
        self.output.get(start..end)
    }

    /// Whether the row is a line with nothing but white space.
    fn is_blank(&self) -> bool {
        self.n_ends == 1 && self.field(0).is_some_and(|field| field.trim_ascii().is_empty())
    }

    fn make_room(&mut self, n: usize) {
        if self.output.len() < self.n_output + n {
            self.output.resize(self.n_output + n, 0);
        }
        if self.n_ends == self.ends.len() {
            self.ends.resize(2 * self.n_ends, 0);
        }
    }
}
