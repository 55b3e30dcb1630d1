//! A second look at the examples that are used: what a person should see, though nothing is left out
//! for it.
//!
//! - `near_duplicates`, `scripts`, `languages`: from the texts alone ([`examine`]).
//! - `few_examples`, `giveaways` (over `marks`): from the texts and their labels.
//! - `suspects`: labels that the judgement out of fold disputes.

mod few_examples;
mod giveaways;
mod languages;
mod marks;
mod near_duplicates;
mod scripts;
mod suspects;

pub(super) use suspects::suspects;

use super::examples::{DataReport, Dataset, Finding, FindingCode};
use super::{Observer, TrainError};

/// Looks for one kind of finding: lines, each with what is to be said of it. Looks no further once the
/// observer has cancelled.
type Look = fn(&Dataset, &dyn Observer) -> Vec<(u64, String)>;

/// Returns the report of a dataset with what a look at its texts and labels adds: near duplicates, rows in
/// another script or language than the others, labels with few examples, giveaways.
///
/// # Errors
///
/// [`TrainError::Cancelled`].
pub fn examine(dataset: &Dataset, observer: &dyn Observer) -> Result<DataReport, TrainError> {
    let mut report = dataset.report.clone();
    let steps: [(FindingCode, Look); 4] = [
        (FindingCode::OtherScript, scripts::find),
        (FindingCode::OtherLanguage, languages::find),
        (FindingCode::FewExamples, few_examples::find),
        (FindingCode::Giveaway, giveaways::find),
    ];
    for (code, find) in steps {
        let found = find(dataset, observer);
        observer.check()?;
        add(&mut report, code, found);
    }
    let near = near_duplicates::find(dataset, observer)?;
    add(&mut report, FindingCode::NearDuplicate, near);
    Ok(report)
}

/// Adds findings of one code, each as line and message, by line.
pub(super) fn add(report: &mut DataReport, code: FindingCode, mut found: Vec<(u64, String)>) {
    found.sort_by_key(|(line, _)| *line);
    for (line, message) in found {
        report.note(line, code, || message);
    }
    report.findings.sort_by_key(|Finding { line, code, .. }| (*line, *code));
}
