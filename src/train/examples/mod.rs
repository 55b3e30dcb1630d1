//! Labelled examples, from CSV as it is found in the wild or from messages, checked row by row.
//!
//! What cannot be used is left out and reported by line and reason; duplicates are dropped, the same
//! text under two labels is a conflict and left out.
//!
//! In the order of the flow:
//!
//! - `csv`: [`read_csv`], bytes → rows → [`DatasetBuilder`]; over `text` (bytes → UTF-8 with line
//!   numbers), `records` (text → fields) and `header` (which delimiter, which columns).
//! - `intake`: what becomes of each row; `distinct` finds texts that came before, `repeats` tells
//!   duplicates from conflicts.
//! - `builder`: [`DatasetBuilder`], rows → [`Dataset`]; `texts`: their texts in memory.
//! - `dataset`: [`Dataset`] and [`DataReport`].
//! - `limits`: how much is taken in.

mod builder;
mod csv;
mod csv_error;
mod dataset;
mod distinct;
mod header;
mod intake;
mod labels;
mod limits;
mod name;
mod records;
mod repeats;
mod text;
mod texts;

#[cfg(test)]
mod csv_tests;
#[cfg(test)]
mod hostile_tests;

pub use builder::{DatasetBuilder, Rows};
pub use csv::{CsvOptions, Progress, read_csv, read_csv_into};
pub use csv_error::CsvError;
pub use dataset::{
    DataReport, Dataset, Example, Finding, FindingCode, MAX_FINDINGS_PER_CODE, MAX_LABEL_BYTES,
    MAX_TEXT_BYTES,
};
pub(super) use distinct::TextKey;
pub(super) use intake::{Fate, Intake};
pub(super) use labels::Renumbering;
pub use limits::{LimitExceeded, Limits};
pub(super) use name::quoted;
pub(super) use texts::Texts;
