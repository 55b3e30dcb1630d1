//! Collects rows into a [`Dataset`]: checks each, drops duplicates, leaves out conflicts.
//!
//! Rows may come from CSV or from messages; the number given with each is only for the report. Texts
//! are held in memory once.

use super::dataset::{
    DataReport, Dataset, Example, FindingCode, MAX_LABEL_BYTES, MAX_TEXT_BYTES, digest,
};
use super::distinct::DistinctTexts;
use super::labels::{Labels, sort};
use super::name::quoted;
use super::repeats::judge;
use super::{LimitExceeded, Limits};

/// Collects rows into a [`Dataset`].
#[derive(Debug, Default)]
pub struct DatasetBuilder {
    limits: Limits,
    labels: Labels,
    texts: DistinctTexts,
    report: DataReport,
}

impl DatasetBuilder {
    /// Returns an empty collection with limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes in one row. Text and label are trimmed of white space at both ends.
    ///
    /// Lines are expected to ascend; where they do not, only the order of the report suffers.
    ///
    /// # Errors
    ///
    /// Names the limit that the row goes over. The collection is then not complete: drop it.
    pub fn push(&mut self, line: u64, text: &str, label: &str) -> Result<(), LimitExceeded> {
        self.count_row()?;
        let (text, label) = (text.trim(), label.trim());
        if let Some((code, message)) = problem(text, label) {
            self.report.note(line, code, || message);
            return Ok(());
        }
        let label = self.labels.position(label, self.limits.max_labels)?;
        self.texts.add(Example { text: text.to_owned(), label, line });
        let limit = self.limits.max_memory_bytes;
        if self.texts.memory_bytes() > limit {
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
        self.count_row()?;
        self.report.note(line, code, || message);
        Ok(())
    }

    /// Ends the collection: finds conflicts, sorts labels, computes the digest.
    #[must_use]
    pub fn finish(self) -> Dataset {
        let Self { labels, texts, mut report, .. } = self;
        let (mut examples, repeats) = texts.finish();
        let names = labels.into_names();
        let mut in_conflict = judge(&repeats, &examples, &names, &mut report).into_iter();
        examples.retain(|_| in_conflict.next() == Some(false));
        let sorted = sort(names, &mut examples);
        report.used_count = examples.len() as u64;
        report.findings.sort_by_key(|finding| (finding.line, finding.code));
        let digest = digest(&examples, &sorted);
        Dataset { labels: sorted, examples, report, digest }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{DataReport, MAX_FINDINGS_PER_CODE};
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
        let texts: Vec<&str> = dataset.examples.iter().map(|e| e.text.as_str()).collect();
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
                dataset.examples.iter().map(|e| (e.line, e.text.as_str(), label(e))).collect();
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
