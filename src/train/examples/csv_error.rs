//! Why a CSV gave no examples, by what its owner can do about it.

use std::io;

use super::LimitExceeded;
use super::name::quoted;

/// Why a CSV gave no examples. Lines count from 1; a byte is given as the number of bytes before it,
/// a byte order mark included.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// There is nothing but line ends.
    #[error("the input is empty, a header row is needed")]
    NoHeader,
    /// The first bytes are those of something else.
    #[error("not CSV in UTF-8: the input looks like {format}")]
    OtherFormat {
        /// What it looks like.
        format: &'static str,
    },
    /// Text holds no NUL.
    #[error("not text: NUL in line {line}, at byte {byte}")]
    Nul {
        /// Line of the byte.
        line: u64,
        /// Its place.
        byte: u64,
    },
    /// Not UTF-8: another encoding, or damaged.
    #[error("not UTF-8: line {line}, at byte {byte}")]
    NotUtf8 {
        /// Line of the first wrong byte.
        line: u64,
        /// Its place.
        byte: u64,
    },
    /// A row over [`super::Limits::max_record_bytes`].
    #[error("the row of line {line} has more than {limit} bytes; is a quote left open?")]
    RecordTooLong {
        /// Line on which the row begins.
        line: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The input ends inside quotes.
    #[error("the quote opened in line {line} is not closed")]
    UnclosedQuote {
        /// Line of the quote.
        line: u64,
    },
    /// The delimiter asked for is one that no CSV can have.
    #[error("{delimiter:?} cannot be a delimiter")]
    BadDelimiter {
        /// The delimiter asked for.
        delimiter: char,
    },
    /// The header has no such column.
    #[error("no column {}; there {}", quoted(.column), listed(.columns, *.column_count))]
    MissingColumn {
        /// Name asked for.
        column: String,
        /// Names of the columns there are: the first 20, each cut after 40 characters.
        columns: Vec<String>,
        /// How many columns there are.
        column_count: usize,
    },
    /// More than one column has the name.
    #[error("{count} columns are called {}", quoted(.column))]
    AmbiguousColumn {
        /// Name asked for.
        column: String,
        /// How many columns have it.
        count: usize,
    },
    /// Text and label cannot be one column.
    #[error("text and label are the same column {}", quoted(.column))]
    SameColumn {
        /// Name of the column.
        column: String,
    },
    /// More data than is taken in.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// The caller asked to stop.
    #[error("the reading was cancelled")]
    Cancelled,
    /// The input could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Names columns as long as there is room for another.
fn listed(columns: &[String], column_count: usize) -> String {
    const ROOM_BYTES: usize = 1_000;
    let mut list = String::new();
    let mut n_listed = 0;
    for name in columns.iter().map(|name| quoted(name)) {
        if list.len() + name.len() > ROOM_BYTES {
            break;
        }
        let comma = if n_listed > 0 { ", " } else { "" };
        list = list + comma + &name;
        n_listed += 1;
    }
    let more = column_count.saturating_sub(n_listed);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let verb = if column_count == 1 { "is" } else { "are" };
    format!("{verb} {list}{more}")
}
