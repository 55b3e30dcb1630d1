//! Decides of each row, as it comes, what becomes of it: checks it, and tells whether its text came
//! before.

use super::dataset::{DataReport, Digest, FindingCode, MAX_LABEL_BYTES, MAX_TEXT_BYTES};
use super::distinct::{Relation, TextIndex, TextKey};
use super::labels::{Labels, Renumbering};
use super::name::quoted;
use super::repeats::Repeats;
use super::{LimitExceeded, Limits};

/// Share of the memory that the index of texts may take: one in so many bytes.
const INDEX_SHARE: u64 = 4;

/// What is known of all rows so far.
#[derive(Debug)]
pub(in crate::train) struct Intake {
    limits: Limits,
    labels: Labels,
    texts: TextIndex,
    repeats: Repeats,
    report: DataReport,
    digest: Digest,
    /// Rows per label that are neither duplicates nor in conflict.
    counts: Vec<u64>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::train) enum Fate<'a> {
    /// It cannot be used, or its text came before with its label.
    LeftOut,
    /// It is an example, unless its text comes again under another label.
    Example { key: TextKey, text: &'a str, label: u16 },
    /// The example with its text, in this line and under this label, is none any more.
    Withdrawn { text: &'a str, first_line: u32, first_label: u16 },
}

impl Intake {
    /// Begins with nothing.
    pub(in crate::train) fn new(limits: Limits) -> Self {
        Self {
            labels: Labels::default(),
            texts: TextIndex::within(limits.max_memory_bytes / INDEX_SHARE),
            repeats: Repeats::default(),
            report: DataReport::default(),
            digest: Digest::default(),
            counts: Vec::new(),
            limits,
        }
    }

    pub(in crate::train) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes in one row. Text and label are trimmed of white space at both ends.
    ///
    /// # Errors
    ///
    /// Names the limit that the row goes over.
    pub(in crate::train) fn take<'a>(
        &mut self,
        line: u64,
        text: &'a str,
        label: &str,
    ) -> Result<Fate<'a>, LimitExceeded> {
        self.count_row()?;
        let (text, label) = (text.trim(), label.trim());
        if let Some((code, message)) = problem(text, label) {
            self.report.note(line, code, || message);
            return Ok(Fate::LeftOut);
        }
        let position = self.position(label, line)?;
        let key = TextKey::of(text);
        let short_line = u32::try_from(line).unwrap_or(u32::MAX);
        let relation = self.texts.note(key, short_line, position);
        self.repeats.note(line, position, relation);
        Ok(match relation {
            Relation::New => {
                self.digest.add(text, label);
                self.count(position, 1);
                Fate::Example { key, text, label: position }
            }
            Relation::Conflict { first_line, first_label, .. } => {
                self.digest.add(text, label);
                self.count(first_label, -1);
                Fate::Withdrawn { text, first_line, first_label }
            }
            Relation::InConflict { first_label, .. } => {
                if position != first_label {
                    self.digest.add(text, label);
                }
                Fate::LeftOut
            }
            Relation::Duplicate { .. } => Fate::LeftOut,
        })
    }

    /// Takes note of a row that has no text and label.
    ///
    /// # Errors
    ///
    /// Names the limit that the row goes over.
    pub(in crate::train) fn reject(
        &mut self,
        line: u64,
        code: FindingCode,
        message: String,
    ) -> Result<(), LimitExceeded> {
        self.count_row()?;
        self.report.note(line, code, || message);
        Ok(())
    }

    /// Whether a text stands under several labels, as far as it is known.
    pub(in crate::train) fn is_in_conflict(&self, key: TextKey) -> bool {
        self.texts.is_in_conflict(key)
    }

    /// How labels are numbered now that all rows have come.
    pub(in crate::train) fn renumbering(&self) -> Renumbering {
        let has_examples = |label: usize| self.counts.get(label).is_some_and(|count| *count > 0);
        Renumbering::new(&self.labels.names(), has_examples)
    }

    /// Number of examples per label, under its last number.
    pub(in crate::train) fn label_counts(&self, numbers: &Renumbering) -> Vec<u64> {
        let mut counts = vec![0; numbers.labels.len()];
        for (count, new) in self.counts.iter().zip(&numbers.new_positions) {
            if let Some(slot) = new.and_then(|new| counts.get_mut(usize::from(new))) {
                *slot = *count;
            }
        }
        counts
    }

    /// Ends the report; returns it with the digest.
    pub(in crate::train) fn finish(mut self) -> (DataReport, String) {
        self.repeats.report(&self.labels.names(), &mut self.report);
        self.report.used_count = self.counts.iter().sum();
        self.report.findings.sort_by_key(|finding| (finding.line, finding.code));
        (self.report, self.digest.finish())
    }

    fn position(&mut self, label: &str, line: u64) -> Result<u16, LimitExceeded> {
        let limit = self.limits.max_labels;
        self.labels.position(label, limit).ok_or(LimitExceeded::Labels { limit, line })
    }

    fn count(&mut self, label: u16, change: i64) {
        let label = usize::from(label);
        if self.counts.len() <= label {
            self.counts.resize(label + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(label) {
            *count = count.saturating_add_signed(change);
        }
    }

    fn count_row(&mut self) -> Result<(), LimitExceeded> {
        let limit = self.limits.max_rows;
        if self.report.row_count >= limit {
            return Err(LimitExceeded::Rows { limit });
        }
        self.report.row_count += 1;
        Ok(())
    }
}

/// Returns what makes a row unusable, if anything does.
fn problem(text: &str, label: &str) -> Option<(FindingCode, String)> {
    let (code, message) = if text.is_empty() {
        (FindingCode::EmptyText, "empty text".to_owned())
    } else if label.is_empty() {
        (FindingCode::EmptyLabel, "empty label".to_owned())
    } else if text.len() > MAX_TEXT_BYTES {
        let message = format!("text of {} bytes, at most {MAX_TEXT_BYTES} are used", text.len());
        (FindingCode::TextTooLong, message)
    } else if label.len() > MAX_LABEL_BYTES {
        let (got, label) = (label.len(), quoted(label));
        let message = format!("label {label} has {got} bytes, at most {MAX_LABEL_BYTES} are used");
        (FindingCode::BadLabel, message)
    } else if label.chars().any(char::is_control) {
        (FindingCode::BadLabel, format!("label {} holds control characters", quoted(label)))
    } else {
        return None;
    };
    Some((code, message))
}
