//! The header row tells the delimiter, the number of columns, and which of them hold text and label.

use std::{cmp::Reverse, io::Read};

use super::name::shortened;
use super::records::RecordParser;
use super::text::TextSource;
use super::{CsvError, CsvOptions};

/// The delimiters that are recognised, the most common first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// Most column names in an error.
const MAX_LISTED_COLUMNS: usize = 20;

/// What the header row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) delimiter: u8,
    pub(super) n_columns: usize,
    /// Position of the column with the texts.
    pub(super) text: usize,
    /// Position of the column with the labels.
    pub(super) label: usize,
}

impl Header {
    /// Reads the header row off the source.
    ///
    /// Where the delimiter is not given, the row is read with each one there is; the best is the one
    /// that shows both columns, then the one that makes most columns.
    ///
    /// # Errors
    ///
    /// There is no header row, it is too long or not closed, or the columns are not in it.
    pub(super) fn read<R: Read>(
        source: &mut TextSource<R>,
        options: &CsvOptions,
        max_record_bytes: u64,
    ) -> Result<Self, CsvError> {
        while !source.skip_line_ends() {
            if !source.fill()? {
                return Err(CsvError::NoHeader);
            }
        }
        let (readings, problem) = read_with_each(source, &delimiters(options)?, max_record_bytes)?;
        let located = readings.iter().map(|reading| (reading, reading.locate(options)));
        // Of equals the first is kept.
        let best = located
            .min_by_key(|(reading, header)| (header.is_err(), Reverse(reading.parser.n_fields())));
        match (best, problem) {
            (Some((reading, Ok(header))), _) => {
                source.advance(reading.n_used);
                Ok(header)
            }
            (_, Some(problem)) => Err(problem),
            (Some((_, Err(error))), None) => Err(error),
            (None, None) => Err(CsvError::NoHeader),
        }
    }
}

/// The delimiters to try.
fn delimiters(options: &CsvOptions) -> Result<Vec<u8>, CsvError> {
    match options.delimiter {
        None => Ok(DELIMITERS.to_vec()),
        Some(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => {
            Ok(vec![byte])
        }
        Some(byte) => Err(CsvError::BadDelimiter { delimiter: char::from(byte) }),
    }
}

/// Reads the row at the beginning of the source with each delimiter, using nothing up; returns the
/// readings that came to an end, and why one did not.
fn read_with_each<R: Read>(
    source: &mut TextSource<R>,
    delimiters: &[u8],
    limit: u64,
) -> Result<(Vec<Reading>, Option<CsvError>), CsvError> {
    let mut readings: Vec<Reading> = delimiters.iter().copied().map(Reading::new).collect();
    let mut problem = None;
    loop {
        for reading in &mut readings {
            reading.feed(source.text());
        }
        if readings.iter().any(|reading| reading.n_used as u64 > limit) {
            problem = Some(CsvError::RecordTooLong { line: source.line(), limit });
            break;
        }
        if readings.iter().all(|reading| reading.is_complete) {
            break;
        }
        if !source.fill()? {
            let last_line = source.last_line();
            problem = readings.iter_mut().find_map(|reading| reading.finish(last_line).err());
            break;
        }
    }
    readings.retain(|reading| reading.is_complete && reading.n_used as u64 <= limit);
    Ok((readings, problem))
}

/// The header row as it reads with one delimiter.
struct Reading {
    delimiter: u8,
    parser: RecordParser,
    n_used: usize,
    is_complete: bool,
}

impl Reading {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, parser: RecordParser::new(delimiter), n_used: 0, is_complete: false }
    }

    /// Goes on in the text, which begins with the row.
    fn feed(&mut self, text: &[u8]) {
        if !self.is_complete {
            let (is_complete, n_used) =
                self.parser.feed(text.get(self.n_used..).unwrap_or_default());
            self.is_complete = is_complete;
            self.n_used += n_used;
        }
    }

    fn finish(&mut self, last_line: u64) -> Result<(), CsvError> {
        if !self.is_complete {
            self.parser.finish(last_line)?;
            self.is_complete = true;
        }
        Ok(())
    }

    fn locate(&self, options: &CsvOptions) -> Result<Header, CsvError> {
        let n_columns = self.parser.n_fields();
        let names: Vec<&str> = (0..n_columns).map(|position| self.name(position)).collect();
        let text = find(&names, &options.text_column)?;
        let label = find(&names, &options.label_column)?;
        if text == label {
            return Err(CsvError::SameColumn { column: shortened(names[text]) });
        }
        Ok(Header { delimiter: self.delimiter, n_columns, text, label })
    }

    fn name(&self, position: usize) -> &str {
        let name = self.parser.field(position).unwrap_or_default();
        // The source gives nothing but UTF-8, and delimiters are ASCII.
        std::str::from_utf8(name).unwrap_or_default()
    }
}

/// Returns the position of the column with a name: exactly that name, or else the name in any case
/// and with white space around it.
fn find(names: &[&str], wanted: &str) -> Result<usize, CsvError> {
    let folded = fold(wanted);
    let exact = |name: &str| name == wanted;
    let alike = |name: &str| fold(name) == folded;
    let rules: [&dyn Fn(&str) -> bool; 2] = [&exact, &alike];
    for is_wanted in rules {
        let mut found = (0..names.len()).filter(|position| is_wanted(names[*position]));
        if let Some(first) = found.next() {
            return match found.count() {
                0 => Ok(first),
                n => Err(CsvError::AmbiguousColumn { column: shortened(wanted), count: n + 1 }),
            };
        }
    }
    Err(CsvError::MissingColumn {
        column: shortened(wanted),
        columns: names.iter().take(MAX_LISTED_COLUMNS).map(|name| shortened(name)).collect(),
        column_count: names.len(),
    })
}

fn fold(name: &str) -> String {
    // Files that were put together from several have a byte order mark before their first name.
    name.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_lowercase()
}
