//! What was found in labelled data: how many rows were left out, why, and which.

use super::table::{Align, Table};
use super::text::{count, visible, whole};
use super::{FAINT, Format};
use crate::proto::{DataReport, FindingCode};

/// Findings that are told unasked.
const N_FIRST: usize = 20;

/// Returns a report as text; empty where there is nothing to say.
pub(in crate::cli) fn render(report: &DataReport, format: Format) -> String {
    if report.counts.is_empty() {
        return String::new();
    }
    let mut text = summary(report);
    let mut table = Table::plain(&[Align::Left, Align::Right, Align::Left]);
    for finding in &report.findings {
        let [code, message] = [describe(finding.code()), &finding.message];
        let reason = if message == code { code.to_owned() } else { format!("{code}: {message}") };
        table.row(["  line".to_owned(), finding.line.to_string(), reason]);
    }
    text.push_str(&table.render(format));
    let n_found: u64 = report.counts.iter().map(|found| found.count).sum();
    let n_more = n_found.saturating_sub(report.findings.len() as u64);
    if n_more > 0 {
        // With the flag given, what is left is over the limit of a report.
        let how = if report.findings.len() <= N_FIRST { ", told with --all-findings" } else { "" };
        text.push_str(&format!("  {FAINT}and {} more{how}{FAINT:#}\n", whole(n_more)));
    }
    text
}

fn summary(report: &DataReport) -> String {
    let kinds = |is_wanted: fn(FindingCode) -> bool| {
        let wanted = report.counts.iter().filter(|found| is_wanted(found.code()));
        let kind = |code: FindingCode, n: u64| format!("{} {}", whole(n), describe(code));
        wanted.map(|found| kind(found.code(), found.count)).collect::<Vec<_>>().join(", ")
    };
    let n_left_out = report.row_count.saturating_sub(report.used_count);
    let mut text = String::new();
    if n_left_out > 0 {
        let (rows, why) = (count(report.row_count, "row"), kinds(leaves_out));
        text.push_str(&format!("left out {} of {rows}: {why}\n", whole(n_left_out)));
    }
    let noted = kinds(|code| !leaves_out(code));
    if !noted.is_empty() {
        text.push_str(&format!("used, but look at them: {noted}\n"));
    }
    visible_lines(&text)
}

fn visible_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", visible(line))).collect()
}

/// Whether rows with such a finding are left out.
fn leaves_out(code: FindingCode) -> bool {
    match code {
        FindingCode::WrongColumnCount
        | FindingCode::EmptyText
        | FindingCode::EmptyLabel
        | FindingCode::TextTooLong
        | FindingCode::BadLabel
        | FindingCode::Duplicate
        | FindingCode::Conflict => true,
        FindingCode::Unspecified
        | FindingCode::SuspectedLabel
        | FindingCode::NearDuplicate
        | FindingCode::OtherScript
        | FindingCode::OtherLanguage
        | FindingCode::FewExamples
        | FindingCode::Giveaway => false,
    }
}

fn describe(code: FindingCode) -> &'static str {
    match code {
        FindingCode::Unspecified => "other",
        FindingCode::WrongColumnCount => "wrong number of columns",
        FindingCode::EmptyText => "empty text",
        FindingCode::EmptyLabel => "empty label",
        FindingCode::TextTooLong => "text too long",
        FindingCode::BadLabel => "bad label",
        FindingCode::Duplicate => "duplicate",
        FindingCode::Conflict => "conflict",
        FindingCode::SuspectedLabel => "suspected label",
        FindingCode::NearDuplicate => "near duplicate",
        FindingCode::OtherScript => "other script",
        FindingCode::OtherLanguage => "other language",
        FindingCode::FewExamples => "few examples",
        FindingCode::Giveaway => "giveaway",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Finding, FindingCount};

    #[test]
    fn clean_data_needs_no_word() {
        let clean = DataReport { row_count: 3, used_count: 3, ..Default::default() };
        assert_eq!(render(&clean, Format::Plain), "");
    }

    #[test]
    fn rows_left_out_are_counted_by_reason_and_named_by_line() {
        let found = |code: FindingCode, count| FindingCount { code: code.into(), count };
        let report = DataReport {
            row_count: 1_000,
            used_count: 990,
            counts: vec![found(FindingCode::Duplicate, 10), found(FindingCode::NearDuplicate, 2)],
            findings: vec![Finding {
                line: 17,
                code: FindingCode::Duplicate.into(),
                message: "same text and label as in line 3".to_owned(),
            }],
        };
        let text = render(&report, Format::Plain);
        let text = anstream::adapter::strip_str(&text).to_string();
        let expected = "left out 10 of 1,000 rows: 10 duplicate\n\
                        used, but look at them: 2 near duplicate\n  \
                          line  17  duplicate: same text and label as in line 3\n  \
                          and 11 more, told with --all-findings\n";
        assert_eq!(text, expected);
    }
}
