//! Examples that can be learned from, and a report on those that cannot.

use std::collections::BTreeMap;

use bytestring::ByteString;

use crate::train::stream::Counted;

/// Longest text of an example in UTF-8 bytes, as for a sentence to classify.
pub const MAX_TEXT_BYTES: usize = 65_536;
/// Longest label in UTF-8 bytes.
pub const MAX_LABEL_BYTES: usize = 256;
/// Most findings of one code that a report holds; the counts go on.
pub const MAX_FINDINGS_PER_CODE: u64 = 1_000;

/// Examples that can be learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The labels that occur, ascending by their UTF-8 bytes.
    pub labels: Vec<String>,
    /// The examples, in the order in which they came; of data larger than memory a sample.
    pub examples: Vec<Example>,
    /// The counts of all rows, where the examples are only a sample of them.
    pub counted: Option<Box<Counted>>,
    /// What was found in the rows.
    pub report: DataReport,
    /// BLAKE3 digest of the usable rows in their order, 64 hexadecimal digits, without those that repeat
    /// the text and label of a text's first row. What goes into it for each is the text, then the label,
    /// each as its length in UTF-8 bytes (64 bits, little-endian) and these bytes.
    pub digest: String,
}

/// A labelled sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The sentence.
    pub text: ByteString,
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
    /// The findings by line: of each code the first [`MAX_FINDINGS_PER_CODE`].
    pub findings: Vec<Finding>,
}

/// Something about one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Line on which the row begins.
    pub line: u64,
    /// What it is.
    pub code: FindingCode,
    /// An explanation for people. Holds no text of the row but its label and a giveaway, which many rows
    /// have.
    pub message: String,
}

/// What a finding is. Rows with one of the first seven are left out, and have no other.
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
    /// Written in another language than most rows.
    OtherLanguage,
    /// Its label has few examples; the first of them.
    FewExamples,
    /// A name, a number, a sign, an opening or a habit of writing decides the label; the first row with
    /// it.
    Giveaway,
}

impl DataReport {
    /// Returns at most `n` findings by line: of each code the first, as many of one as of another as far
    /// as there are.
    #[must_use]
    pub fn first(&self, n: usize) -> Vec<&Finding> {
        let mut n_of_code: BTreeMap<FindingCode, usize> = BTreeMap::new();
        let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(self.findings.len());
        for (position, finding) in self.findings.iter().enumerate() {
            let rank = n_of_code.entry(finding.code).or_default();
            ranked.push((*rank, position));
            *rank += 1;
        }
        ranked.sort_unstable();
        ranked.truncate(n);
        ranked.sort_unstable_by_key(|(_, position)| *position);
        ranked.into_iter().filter_map(|(_, position)| self.findings.get(position)).collect()
    }

    /// Counts a finding, and keeps it unless there are enough of its code.
    pub(in crate::train) fn note(
        &mut self,
        line: u64,
        code: FindingCode,
        message: impl FnOnce() -> String,
    ) {
        let count = self.counts.entry(code).or_default();
        *count += 1;
        if *count <= MAX_FINDINGS_PER_CODE {
            self.findings.push(Finding { line, code, message: message() });
        }
    }
}

/// The digest of rows as they come, see [`Dataset::digest`].
#[derive(Debug, Default)]
pub(super) struct Digest {
    hasher: blake3::Hasher,
    /// Pieces of a few bytes would cost BLAKE3 its speed: it is fed with many rows at a time.
    pending: Vec<u8>,
}

/// Bytes that are hashed at a time.
const DIGESTED_BYTES: usize = 65_536;

impl Digest {
    pub(super) fn add(&mut self, text: &str, label: &str) {
        for part in [text, label] {
            self.pending.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.pending.extend_from_slice(part.as_bytes());
        }
        if self.pending.len() >= DIGESTED_BYTES {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.hasher.update(&self.pending);
        self.hasher.finalize().to_hex().to_string()
    }
}
