//! Collects rows into a [`Dataset`]: what `intake` makes examples of is kept.
//!
//! Rows may come from CSV or from messages; the number given with each is only for the report.

use super::dataset::{Dataset, Example, FindingCode};
use super::distinct::TextKey;
use super::intake::{Fate, Intake};
use super::texts::Texts;
use super::{LimitExceeded, Limits};

/// Memory for an example besides its text: its fields, the allocator's bookkeeping, the room that the
/// list has to spare, and its place in the index of texts.
const BYTES_PER_EXAMPLE: u64 = 128;

/// What takes in rows, as [`DatasetBuilder`] does.
pub trait Rows {
    /// See [`DatasetBuilder::push`].
    ///
    /// # Errors
    ///
    /// See there.
    fn push(&mut self, line: u64, text: &str, label: &str) -> Result<(), LimitExceeded>;

    /// See [`DatasetBuilder::reject`].
    ///
    /// # Errors
    ///
    /// See there.
    fn reject(
        &mut self,
        line: u64,
        code: FindingCode,
        message: String,
    ) -> Result<(), LimitExceeded>;
}

/// Collects rows into a [`Dataset`].
#[derive(Debug)]
pub struct DatasetBuilder {
    intake: Intake,
    kept: Vec<(TextKey, Example)>,
    texts: Texts,
    memory_bytes: u64,
}

impl Default for DatasetBuilder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl DatasetBuilder {
    /// Returns an empty collection with limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            intake: Intake::new(limits),
            kept: Vec::new(),
            texts: Texts::default(),
            memory_bytes: 0,
        }
    }

    /// Takes in one row. Text and label are trimmed of white space at both ends.
    ///
    /// Lines are expected to ascend; where they do not, only the order of the report suffers.
    ///
    /// # Errors
    ///
    /// Names the limit that the row goes over. The collection is then not complete: drop it.
    pub fn push(&mut self, line: u64, text: &str, label: &str) -> Result<(), LimitExceeded> {
        if let Fate::Example { key, text, label } = self.intake.take(line, text, label)? {
            self.memory_bytes += BYTES_PER_EXAMPLE + text.len() as u64;
            let text = self.texts.keep(text);
            self.kept.push((key, Example { text, label: label.into(), line }));
        }
        let limit = self.intake.limits().max_memory_bytes;
        if self.memory_bytes > limit {
            return Err(LimitExceeded::Memory { limit });
        }
        Ok(())
    }

    /// Takes note of a row that has no text and label.
    ///
    /// # Errors
    ///
    /// Names the limit that the row goes over. The collection is then not complete: drop it.
    pub fn reject(
        &mut self,
        line: u64,
        code: FindingCode,
        message: String,
    ) -> Result<(), LimitExceeded> {
        self.intake.reject(line, code, message)
    }

    /// Ends the collection: leaves out conflicts, sorts labels, computes the digest.
    #[must_use]
    pub fn finish(self) -> Dataset {
        let Self { intake, kept, .. } = self;
        let examples = kept.into_iter().filter(|(key, _)| !intake.is_in_conflict(*key));
        let examples = examples.map(|(_, example)| example).collect();
        Dataset::of(intake, examples)
    }
}

impl Rows for DatasetBuilder {
    fn push(&mut self, line: u64, text: &str, label: &str) -> Result<(), LimitExceeded> {
        Self::push(self, line, text, label)
    }

    fn reject(
        &mut self,
        line: u64,
        code: FindingCode,
        message: String,
    ) -> Result<(), LimitExceeded> {
        Self::reject(self, line, code, message)
    }
}

impl Dataset {
    /// Makes a dataset of all that came in and the examples kept of it, whose labels have the numbers of
    /// the intake.
    pub(in crate::train) fn of(intake: Intake, mut examples: Vec<Example>) -> Self {
        let numbers = intake.renumbering();
        for example in &mut examples {
            let old = u16::try_from(example.label).unwrap_or(u16::MAX);
            example.label = numbers.of(old).into();
        }
        let (report, digest) = intake.finish();
        Self { labels: numbers.labels, examples, counted: None, report, digest }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::dataset::{
        DataReport, MAX_FINDINGS_PER_CODE, MAX_LABEL_BYTES, MAX_TEXT_BYTES,
    };
    use super::*;

    fn collect(rows: &[(&str, &str)]) -> Dataset {
        let mut builder = DatasetBuilder::default();
        for (line, (text, label)) in (2..).zip(rows) {
            builder.push(line, text, label).unwrap();
        }
        builder.finish()
    }

    fn messages(report: &DataReport) -> Vec<(u64, &str)> {
        report.findings.iter().map(|finding| (finding.line, finding.message.as_str())).collect()
    }

    #[test]
    fn text_and_label_are_trimmed() {
        let dataset = collect(&[("\u{3000}It rains. \n", "\tweather\u{a0}")]);
        assert_eq!(dataset.labels, ["weather"]);
        assert_eq!(dataset.examples, [Example { text: "It rains.".into(), label: 0, line: 2 }]);
    }

    #[test]
    fn the_first_of_equal_rows_is_kept() {
        let dataset = collect(&[("a", "x"), ("b", "x"), (" a", "x "), ("A", "x"), ("a", "x")]);
        let texts: Vec<&str> = dataset.examples.iter().map(|e| &*e.text).collect();
        assert_eq!(texts, ["a", "b", "A"]);
        let same = "same text and label as in line 2";
        assert_eq!(messages(&dataset.report), [(4, same), (6, same)]);
        assert_eq!(dataset.report.counts, [(FindingCode::Duplicate, 2)].into());
    }

    #[test]
    fn every_row_of_a_text_under_two_labels_is_left_out() {
        let rows = [("a", "x"), ("a", "x"), ("b", "z"), ("a", "y"), ("a", "x")];
        let dataset = collect(&rows);
        assert_eq!(dataset.labels, ["z"], "labels without examples do not occur");
        assert_eq!(dataset.examples.len(), 1);
        let conflict = "same text under different labels: \"x\" (line 2), \"y\" (line 5)";
        let expected = [2, 3, 5, 6].map(|line| (line, conflict));
        assert_eq!(messages(&dataset.report), expected);
        assert_eq!(dataset.report.counts, [(FindingCode::Conflict, 4)].into());
    }

    #[test]
    fn a_conflict_names_a_few_labels_and_shortens_them() {
        let labels: Vec<String> = (0..9).map(|i| format!("{i}{}", "é".repeat(100))).collect();
        let rows: Vec<(&str, &str)> = labels.iter().map(|label| ("a", label.as_str())).collect();
        let dataset = collect(&rows);
        let message = &dataset.report.findings[8].message;
        assert!(message.ends_with(" (line 6) and more") && message.len() < 550, "{message}");
    }

    #[test]
    fn no_message_holds_the_text_of_its_row() {
        let long = "canary ".repeat(MAX_TEXT_BYTES);
        let label = "x".repeat(MAX_LABEL_BYTES + 1);
        let rows = [
            ("canary", ""),
            (&long, "x"),
            ("canary", &label),
            ("canary", "a\u{1b}"),
            ("canary", "x"),
            ("canary", "y"),
            ("canary 2", "x"),
            ("canary 2", "x"),
        ];
        let dataset = collect(&rows);
        assert_eq!(dataset.report.findings.len(), 7);
        for (line, message) in messages(&dataset.report) {
            assert!(!message.contains("canary") && message.len() < 200, "{line}: {message}");
        }
    }

    #[test]
    fn limits_on_text_and_label_are_inclusive() {
        let text = "t".repeat(MAX_TEXT_BYTES);
        let label = "l".repeat(MAX_LABEL_BYTES);
        assert_eq!(collect(&[(&text, &label)]).examples.len(), 1);
    }

    #[test]
    fn a_rejected_row_is_counted_and_reported_in_its_place() {
        let mut builder = DatasetBuilder::default();
        builder.push(2, "a", "x").unwrap();
        builder.push(3, "a", "x").unwrap();
        builder.reject(4, FindingCode::WrongColumnCount, "odd".into()).unwrap();
        builder.push(5, "a", "x").unwrap();
        let report = builder.finish().report;
        assert_eq!((report.row_count, report.used_count), (4, 1));
        let lines: Vec<u64> = report.findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [3, 4, 5]);
    }

    #[test]
    fn the_digest_is_that_of_the_documented_bytes() {
        let dataset = collect(&[("an é", "y"), ("b", "xx")]);
        let bytes = b"\x05\0\0\0\0\0\0\0an \xC3\xA9\x01\0\0\0\0\0\0\0y\
                      \x01\0\0\0\0\0\0\0b\x02\0\0\0\0\0\0\0xx";
        assert_eq!(dataset.digest, blake3::hash(bytes).to_hex().to_string());
    }

    #[test]
    fn the_digest_knows_where_a_text_ends_and_in_which_order_rows_came() {
        let digest = |rows: &[(&str, &str)]| collect(rows).digest;
        assert_ne!(digest(&[("ab", "c")]), digest(&[("a", "bc")]));
        assert_ne!(digest(&[("a", "x"), ("b", "x")]), digest(&[("b", "x"), ("a", "x")]));
        assert_eq!(digest(&[("a", "x"), (" a", "x")]), digest(&[("a ", "x")]));
    }

    /// Line, text and label of a row.
    type Used<'a> = (u64, &'a str, &'a str);

    /// What the builder promises, in the simplest words: every row against every other.
    fn expected(rows: &[(String, String)]) -> (Vec<Used<'_>>, Vec<(u64, FindingCode)>) {
        let (mut used, mut found) = (Vec::new(), Vec::new());
        for (i, (text, label)) in rows.iter().enumerate() {
            let line = i as u64;
            if text.is_empty() {
                found.push((line, FindingCode::EmptyText));
            } else if rows.iter().any(|(t, l)| t == text && l != label) {
                found.push((line, FindingCode::Conflict));
            } else if rows[..i].iter().any(|(t, _)| t == text) {
                found.push((line, FindingCode::Duplicate));
            } else {
                used.push((line, text.as_str(), label.as_str()));
            }
        }
        (used, found)
    }

    proptest! {
        #[test]
        fn rows_are_used_or_reported_once(
            rows in prop::collection::vec(("[a-e]{0,3}", "[xyz]|x|x|x"), 0..400),
        ) {
            let mut builder = DatasetBuilder::default();
            for (line, (text, label)) in (0..).zip(&rows) {
                builder.push(line, text, label).unwrap();
            }
            let dataset = builder.finish();
            let (used, found) = expected(&rows);
            let label = |example: &Example| dataset.labels[example.label].as_str();
            let got_used: Vec<_> =
                dataset.examples.iter().map(|e| (e.line, &*e.text, label(e))).collect();
            prop_assert_eq!(got_used, used);
            let findings = &dataset.report.findings;
            let got_found: Vec<_> = findings.iter().map(|f| (f.line, f.code)).collect();
            prop_assert_eq!(got_found, found);
            let n_found: u64 = dataset.report.counts.values().sum();
            prop_assert_eq!(dataset.report.used_count + n_found, rows.len() as u64);
            prop_assert!(dataset.labels.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn of_many_conflicts_the_first_are_told_and_all_counted() {
        let mut builder = DatasetBuilder::default();
        for label in ["x", "y"] {
            for i in 0..3_000 {
                builder.push(i, &format!("text {i}"), label).unwrap();
            }
        }
        let report = builder.finish().report;
        assert_eq!(report.counts, [(FindingCode::Conflict, 6_000)].into());
        assert_eq!(report.findings.len() as u64, MAX_FINDINGS_PER_CODE);
        assert_eq!(report.findings[999].line, 499);
    }
}
