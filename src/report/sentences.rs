//! The sentences that the page shows: those that were confused, disputed rows, and what was found in the data.

use maud::{Markup, html};

use super::Report;
use super::chart::percent;
use super::words::{code_name, excerpt, name, whole};

/// Probability of another label from which on a row is disputed.
const DISPUTED: f64 = 0.9;
/// Most rows of a table.
const MAX_ROWS: usize = 100;
/// Most findings in the data.
const MAX_FINDINGS: usize = 500;
/// Most confusions.
const MAX_CONFUSIONS: usize = 20;
/// Sentences that are shown for each.
const N_SENTENCES: usize = 3;

/// A judged sentence of the data.
struct Row<'a> {
    line: u64,
    text: &'a str,
    right: &'a str,
    given: &'a str,
    probability: f64,
}

/// Returns what was given a wrong label, the most certain first.
fn mistakes<'a>(report: &Report<'a>) -> Vec<Row<'a>> {
    let (dataset, known) = (report.dataset, report.model.labels());
    let judged = dataset.examples.iter().zip(report.judged);
    let row = |(example, judged): (&'a crate::train::examples::Example, &crate::train::Judged)| {
        let row = Row {
            line: example.line,
            text: &example.text,
            right: dataset.labels.get(example.label)?,
            given: known.get(judged.given)?,
            probability: judged.probability,
        };
        (!judged.is_right()).then_some(row)
    };
    let mut rows: Vec<_> = judged.filter_map(row).collect();
    rows.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    rows
}

pub(super) fn confusions(report: &Report<'_>) -> Markup {
    let mut cells: Vec<_> = report.evaluation.confusion.iter().collect();
    cells.retain(|cell| cell.label != cell.predicted);
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
    cells.truncate(MAX_CONFUSIONS);
    let rows = mistakes(report);
    let of = |label: &str, given: &str| {
        let wanted = |row: &&Row<'_>| row.right == label && row.given == given;
        rows.iter().filter(wanted).take(N_SENTENCES).collect::<Vec<_>>()
    };
    html! { @if !cells.is_empty() {
        h2 id="confusions" { "Most often confused" }
        div.scroll { table {
            thead { tr {
                th { "right label, " span.instead { "given label" } } th.n { "sentences" } th { "for example" }
            } }
            tbody { @for cell in cells { tr {
                th scope="row" { (name(&cell.label)) span.instead { (name(&cell.predicted)) } }
                td.n { (whole(cell.count)) }
                td.text { @for row in of(&cell.label, &cell.predicted) {
                    p { (excerpt(row.text)) " " span.faint { "line " (row.line) } }
                } }
            } } }
        } }
    } }
}

pub(super) fn disputed(report: &Report<'_>) -> Markup {
    let mut rows = mistakes(report);
    rows.retain(|row| row.probability >= DISPUTED);
    let n_disputed = rows.len();
    rows.truncate(MAX_ROWS);
    html! {
        h2 id="disputed" { "Disputed rows" }
        p.note { "Rows whose label the model contradicts with a probability of at least "
            (percent(DISPUTED)) ". Either the row is labelled wrongly, or the model has something to learn." }
        @if n_disputed == 0 { p { "None." } } @else {
            div.scroll { table {
                thead { tr {
                    th.n { "line" } th { "label" } th { "the model says" } th { "sentence" }
                } }
                tbody { @for row in &rows { tr {
                    td.n { (row.line) }
                    td { (name(row.right)) }
                    td { (name(row.given)) " " span.faint { (format!("{:.3}", row.probability)) } }
                    td.text { (excerpt(row.text)) }
                } } }
            } }
            (more(n_disputed as u64, rows.len()))
        }
    }
}

pub(super) fn data(report: &Report<'_>) -> Markup {
    let found = report.data_report;
    // Rows in the order of their lines; those that are left out are not among them.
    let text_of = |line: u64| {
        let examples = &report.dataset.examples;
        let position = examples.binary_search_by_key(&line, |example| example.line).ok()?;
        examples.get(position).map(|example| excerpt(&example.text))
    };
    html! {
        h2 id="data" { "Data" }
        p { (whole(found.used_count)) " of " (whole(found.row_count)) " rows were used." }
        @if !found.counts.is_empty() {
            p { @for (code, n) in &found.counts { span.chip { (code_name(*code)) " " span.faint { (whole(*n)) } } } }
            div.scroll { table {
                thead { tr { th.n { "line" } th { "finding" } th { "what" } } }
                tbody { @for finding in &found.first(MAX_FINDINGS) { tr {
                    td.n { (finding.line) }
                    td { (code_name(finding.code)) }
                    td.text {
                        p { (excerpt(&finding.message)) }
                        @if let Some(text) = text_of(finding.line) { p.faint { (text) } }
                    }
                } } }
            } }
            (more(
                found.counts.values().sum(),
                found.findings.len().min(MAX_FINDINGS),
            ))
        }
    }
}

fn more(n_all: u64, n_shown: usize) -> Markup {
    let n_more = n_all.saturating_sub(n_shown as u64);
    html! { @if n_more > 0 { p.note { "and " (whole(n_more)) " more" } } }
}
