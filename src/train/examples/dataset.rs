//! Examples that can be learned from, and a report on those that cannot.

use std::collections::BTreeMap;

/// Longest text of an example in UTF-8 bytes, as for a sentence to classify.
pub const MAX_TEXT_BYTES: usize = 65_536;
/// Longest label in UTF-8 bytes.
pub const MAX_LABEL_BYTES: usize = 256;

/// Examples that can be learned from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dataset {
    /// The labels that occur, ascending by their UTF-8 bytes.
    pub labels: Vec<String>,
    /// The examples, in the order in which they came.
    pub examples: Vec<Example>,
    /// What was found in the rows.
    pub report: DataReport,
    /// BLAKE3 digest of the examples in their order, 64 hexadecimal digits.
    pub digest: String,
}

/// A labelled sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The sentence.
    pub text: String,
    /// Position of its label in [`Dataset::labels`].
    pub label: usize,
    /// Line on which its row begins, the header row being line 1; for messages the position from 1.
    pub line: u64,
}

/// What was found in labelled data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataReport {
    /// Number of rows read, without the header row.
    pub row_count: u64,
    /// Number of rows used.
    pub used_count: u64,
    /// Number of findings by code.
    pub counts: BTreeMap<FindingCode, u64>,
    /// All findings, by line.
    pub findings: Vec<Finding>,
}

/// Something about one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Line on which the row begins.
    pub line: u64,
    /// What it is.
    pub code: FindingCode,
    /// An explanation for people. Holds no text of the row but its label.
    pub message: String,
}

/// What a finding is. Rows with one of the first seven are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingCode {
    /// Another number of columns than the header.
    WrongColumnCount,
    /// Empty or blank text.
    EmptyText,
    /// Empty or blank label.
    EmptyLabel,
    /// Text over [`MAX_TEXT_BYTES`].
    TextTooLong,
    /// Label over [`MAX_LABEL_BYTES`], or with control characters.
    BadLabel,
    /// The same text with the same label came before.
    Duplicate,
    /// The same text stands under different labels.
    Conflict,
    /// The out-of-fold model gives another label a high probability.
    SuspectedLabel,
    /// Almost the same text came before.
    NearDuplicate,
    /// Written in another script than most rows.
    OtherScript,
}

/// Collects rows into a [`Dataset`].
#[derive(Debug, Default)]
pub struct DatasetBuilder {}

impl DatasetBuilder {
    /// Takes in one row. Text and label are trimmed of white space at both ends.
    pub fn push(&mut self, line: u64, text: &str, label: &str) {
        let _ = (line, text, label);
        todo!()
    }

    /// Takes note of a row that has no text and label.
    pub fn reject(&mut self, line: u64, code: FindingCode, message: String) {
        let _ = (line, code, message);
        todo!()
    }

    /// Ends the collection: finds conflicts, sorts labels, computes the digest.
    #[must_use]
    pub fn finish(self) -> Dataset {
        todo!()
    }
}
