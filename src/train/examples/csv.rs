//! Reads labelled examples from CSV as it is found in the wild: RFC 4180 with `,`, `;` or tab, any line
//! ends, with or without a byte order mark, in UTF-8.
//!
//! Rows that cannot be used are reported and skipped. What casts doubt on the file as a whole (another
//! encoding, another format, a quote that is never closed, a missing column) is an error. Memory stays
//! within [`Limits`] whatever the input is.

use std::{io::Read, ops::ControlFlow};

use super::header::Header;
use super::records::Records;
use super::text::TextSource;
use super::{CsvError, Dataset, DatasetBuilder, FindingCode, Limits, Rows};

/// How to read a CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// Name of the column with the texts, `text` by default.
    pub text_column: String,
    /// Name of the column with the labels, `label` by default.
    pub label_column: String,
    /// What stands between fields: an ASCII character but a quote, a line end or NUL. `None`, the
    /// default: found from the header row among `,`, `;` and tab.
    pub delimiter: Option<u8>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { text_column: "text".into(), label_column: "label".into(), delimiter: None }
    }
}

/// How far the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Number of rows read, without the header row.
    pub row_count: u64,
    /// Number of bytes read.
    pub byte_count: u64,
}

/// Reads labelled examples from CSV with a header row.
///
/// A column is found by its exact name, or else in any case and with white space around it. Lines that
/// are blank do not count as rows.
///
/// `watch` is called after every read behind the header row, that is every 64 KiB or whenever the
/// input gives less, and may end the reading. While the input keeps a read waiting it is not called.
///
/// # Errors
///
/// See [`CsvError`]. A row that cannot be used is no error, see [`Dataset::report`]; neither is a CSV
/// without rows.
///
/// # Examples
///
/// ```
/// use std::ops::ControlFlow;
/// use dictum::train::examples::{CsvOptions, Limits, read_csv};
///
/// let csv = "label;text\ndenial;\"We had nothing to do with it; ask them.\"\n";
/// let watch = |_| ControlFlow::Continue(());
/// let dataset = read_csv(csv.as_bytes(), &CsvOptions::default(), &Limits::default(), watch)?;
/// assert_eq!(dataset.labels, ["denial"]);
/// assert_eq!(dataset.examples[0].line, 2);
/// # Ok::<(), dictum::train::examples::CsvError>(())
/// ```
pub fn read_csv(
    input: impl Read,
    options: &CsvOptions,
    limits: &Limits,
    watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Dataset, CsvError> {
    let mut builder = DatasetBuilder::new(limits.clone());
    read_csv_into(&mut builder, input, options, limits, watch)?;
    Ok(builder.finish())
}

/// Reads labelled examples from CSV as [`read_csv`] does, into something that takes in rows.
///
/// # Errors
///
/// As [`read_csv`].
pub fn read_csv_into(
    rows: &mut impl Rows,
    input: impl Read,
    options: &CsvOptions,
    limits: &Limits,
    mut watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), CsvError> {
    let mut source = TextSource::open(input, limits.max_bytes)?;
    let header = Header::read(&mut source, options, limits.max_record_bytes)?;
    let mut records = Records::new(source, header.delimiter, limits.max_record_bytes, &mut watch);
    while let Some(line) = records.next()? {
        let (got, wanted) = (records.n_fields(), header.n_columns);
        if got == wanted {
            rows.push(line, records.field(header.text)?, records.field(header.label)?)?;
        } else {
            let s = if got == 1 { "" } else { "s" };
            let message = format!("{got} column{s}, the header has {wanted}");
            rows.reject(line, FindingCode::WrongColumnCount, message)?;
        }
    }
    Ok(())
}
