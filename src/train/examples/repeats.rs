//! Rows whose text came before: duplicates where every row of the text has the same label, conflicts
//! where not.
//!
//! Which it is is known at the end only, so the first of these rows are remembered, as four numbers
//! each; all are counted.

use std::collections::{BTreeMap, BTreeSet};

use super::dataset::{DataReport, Finding, FindingCode, MAX_FINDINGS_PER_CODE};
use super::distinct::Relation;
use super::name::quoted;

/// Most labels named in the message of a conflict.
const MAX_NAMED_LABELS: usize = 5;
/// Most rows that are remembered for the report.
const MAX_REMEMBERED: usize = 100_000;

/// The rows whose text came before.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    first: Vec<Repeat>,
    n_duplicates: u64,
    n_in_conflict: u64,
}

/// A row whose text came before. The line of the first row with the text stands for the text.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    line: u64,
    label: u16,
    first_line: u32,
    /// The label of the first row, where this one has another.
    first_label: Option<u16>,
}

impl Repeats {
    /// Takes note of a row, unless its text is new.
    pub(super) fn note(&mut self, line: u64, label: u16, relation: Relation) {
        let (first_line, first_label) = match relation {
            Relation::New => return,
            Relation::Duplicate { first_line } => {
                self.n_duplicates += 1;
                (first_line, None)
            }
            Relation::Conflict { first_line, first_label, n_duplicates } => {
                self.n_duplicates -= u64::from(n_duplicates).min(self.n_duplicates);
                // The first row and this one.
                self.n_in_conflict += u64::from(n_duplicates) + 2;
                (first_line, Some(first_label))
            }
            Relation::InConflict { first_line, first_label } => {
                self.n_in_conflict += 1;
                (first_line, Some(first_label))
            }
        };
        if self.first.len() < MAX_REMEMBERED {
            self.first.push(Repeat { line, label, first_line, first_label });
        }
    }

    /// Reports every row, of each kind the first with a message.
    pub(super) fn report(&self, labels: &[String], report: &mut DataReport) {
        let conflicts = self.conflicts();
        let is_duplicate = |repeat: &&Repeat| !conflicts.contains_key(&repeat.first_line);
        let duplicates = self.first.iter().filter(is_duplicate).take(most());
        report.findings.extend(duplicates.map(|repeat| Finding {
            line: repeat.line,
            code: FindingCode::Duplicate,
            message: format!("same text and label as in line {}", repeat.first_line),
        }));
        report.findings.extend(self.conflict_findings(&conflicts, labels));
        for (code, count) in [
            (FindingCode::Duplicate, self.n_duplicates),
            (FindingCode::Conflict, self.n_in_conflict),
        ] {
            if count > 0 {
                report.counts.insert(code, count);
            }
        }
    }

    /// The first lines of texts in conflict, with their labels.
    fn conflicts(&self) -> BTreeMap<u32, u16> {
        let in_conflict = self.first.iter();
        in_conflict.filter_map(|repeat| Some((repeat.first_line, repeat.first_label?))).collect()
    }

    fn conflict_findings(&self, conflicts: &BTreeMap<u32, u16>, labels: &[String]) -> Vec<Finding> {
        let firsts = conflicts.keys().map(|first| (u64::from(*first), *first));
        let later = self.first.iter().filter(|repeat| conflicts.contains_key(&repeat.first_line));
        let later = later.map(|repeat| (repeat.line, repeat.first_line));
        let mut rows: Vec<_> = firsts.take(most()).chain(later.take(most())).collect();
        rows.sort_unstable();
        rows.truncate(most());

        let texts: BTreeSet<u32> = rows.iter().map(|(_, first)| *first).collect();
        let side = |first: u32| {
            conflicts.get(&first).map(|label| (first, Sides::new(*label, u64::from(first))))
        };
        let mut sides: BTreeMap<u32, Sides> = texts.into_iter().filter_map(side).collect();
        for repeat in &self.first {
            if let Some(sides) = sides.get_mut(&repeat.first_line) {
                sides.add(repeat.label, repeat.line);
            }
        }
        let messages: BTreeMap<u32, String> =
            sides.into_iter().map(|(first, sides)| (first, sides.message(labels))).collect();
        let finding = |(line, first): (u64, u32)| {
            let message = messages.get(&first).cloned().unwrap_or_default();
            Finding { line, code: FindingCode::Conflict, message }
        };
        rows.into_iter().map(finding).collect()
    }
}

/// Most messages of a kind.
fn most() -> usize {
    usize::try_from(MAX_FINDINGS_PER_CODE).unwrap_or(usize::MAX)
}

/// The labels under which one text stands, each with the line on which it first does.
struct Sides {
    named: Vec<(u16, u64)>,
    are_more: bool,
}

impl Sides {
    fn new(label: u16, line: u64) -> Self {
        Self { named: vec![(label, line)], are_more: false }
    }

    fn add(&mut self, label: u16, line: u64) {
        if self.named.iter().any(|(named, _)| *named == label) {
            return;
        }
        if self.named.len() < MAX_NAMED_LABELS {
            self.named.push((label, line));
        } else {
            self.are_more = true;
        }
    }

    fn message(&self, labels: &[String]) -> String {
        let name = |label: u16| labels.get(usize::from(label)).map_or("", String::as_str);
        let side = |(label, line): &(u16, u64)| format!("{} (line {line})", quoted(name(*label)));
        let named: Vec<String> = self.named.iter().map(side).collect();
        let more = if self.are_more { " and more" } else { "" };
        format!("same text under different labels: {}{more}", named.join(", "))
    }
}
