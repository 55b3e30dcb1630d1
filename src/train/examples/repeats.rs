//! Rows whose text came before: duplicates where every row of the text has the same label, conflicts
//! where not.
//!
//! Which it is is known at the end only, so the rows are remembered as three numbers each.

use std::collections::BTreeMap;

use super::dataset::{DataReport, Example, Finding, FindingCode, MAX_FINDINGS_PER_CODE};
use super::name::quoted;

/// Most labels named in the message of a conflict.
const MAX_NAMED_LABELS: usize = 5;

/// A row whose text came before.
#[derive(Debug)]
pub(super) struct Repeat {
    /// Line on which the row begins.
    pub(super) line: u64,
    /// Position of the first example with its text.
    pub(super) first: usize,
    /// Position of the row's label.
    pub(super) label: usize,
}

/// Reports every repeat, and the first rows of conflicts; returns for each example whether it is in
/// conflict and must be left out.
pub(super) fn judge(
    repeats: &[Repeat],
    examples: &[Example],
    labels: &[String],
    report: &mut DataReport,
) -> Vec<bool> {
    let mut in_conflict = vec![false; examples.len()];
    for repeat in repeats {
        in_conflict[repeat.first] |= examples[repeat.first].label != repeat.label;
    }
    for repeat in repeats.iter().filter(|repeat| !in_conflict[repeat.first]) {
        let first_line = examples[repeat.first].line;
        report.note(repeat.line, FindingCode::Duplicate, || {
            format!("same text and label as in line {first_line}")
        });
    }
    let n_firsts = in_conflict.iter().filter(|conflict| **conflict).count();
    let n_repeats = repeats.iter().filter(|repeat| in_conflict[repeat.first]).count();
    if n_firsts > 0 {
        report.counts.insert(FindingCode::Conflict, (n_firsts + n_repeats) as u64);
        report.findings.extend(conflict_findings(repeats, examples, labels, &in_conflict));
    }
    in_conflict
}

/// Returns the first findings of conflicts by line.
fn conflict_findings(
    repeats: &[Repeat],
    examples: &[Example],
    labels: &[String],
    in_conflict: &[bool],
) -> Vec<Finding> {
    let most = usize::try_from(MAX_FINDINGS_PER_CODE).unwrap_or(usize::MAX);
    let firsts = (0..examples.len()).filter(|first| in_conflict[*first]);
    let later = repeats.iter().filter(|repeat| in_conflict[repeat.first]);
    let mut rows: Vec<(u64, usize)> = firsts
        .map(|first| (examples[first].line, first))
        .take(most)
        .chain(later.map(|repeat| (repeat.line, repeat.first)).take(most))
        .collect();
    rows.sort_unstable();
    rows.truncate(most);

    let mut sides: BTreeMap<usize, Sides> =
        rows.iter().map(|(_, first)| (*first, Sides::new(&examples[*first]))).collect();
    for repeat in repeats {
        if let Some(sides) = sides.get_mut(&repeat.first) {
            sides.add(repeat.label, repeat.line);
        }
    }
    let finding = |(line, first): (u64, usize)| Finding {
        line,
        code: FindingCode::Conflict,
        message: sides[&first].message(labels),
    };
    rows.into_iter().map(finding).collect()
}

/// The labels under which one text stands, each with the line on which it first does.
struct Sides {
    named: Vec<(usize, u64)>,
    are_more: bool,
}

impl Sides {
    fn new(first: &Example) -> Self {
        Self { named: vec![(first.label, first.line)], are_more: false }
    }

    fn add(&mut self, label: usize, line: u64) {
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
        let side =
            |(label, line): &(usize, u64)| format!("{} (line {line})", quoted(&labels[*label]));
        let named: Vec<String> = self.named.iter().map(side).collect();
        let more = if self.are_more { " and more" } else { "" };
        format!("same text under different labels: {}{more}", named.join(", "))
    }
}
