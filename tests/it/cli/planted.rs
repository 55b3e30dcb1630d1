//! A CSV of sixty rows with a fault of every kind, each of which is to be named by its line: in the
//! text, in the JSON and on the page.

use super::command::Home;

const PLANTED: &str = include_str!("planted.csv");

/// Line, code and words of each fault.
const FAULTS: [(u64, &str, &str); 13] = [
    (25, "GIVEAWAY", "decides the label \"event\": 11 of the 11 rows with it"),
    (47, "FEW_EXAMPLES", "label \"room\" has 3 examples"),
    (50, "DUPLICATE", "same text and label as in line 2"),
    (51, "CONFLICT", "\"loan\" (line 51), \"event\" (line 52)"),
    (52, "CONFLICT", "\"loan\" (line 51), \"event\" (line 52)"),
    (53, "SUSPECTED_LABEL", "labelled \"event\", looks like \"loan\""),
    (54, "NEAR_DUPLICATE", "almost the same text as in line 6"),
    (55, "WRONG_COLUMN_COUNT", "3 columns, the header has 2"),
    (56, "WRONG_COLUMN_COUNT", "1 column, the header has 2"),
    (57, "EMPTY_TEXT", "empty text"),
    (58, "EMPTY_LABEL", "empty label"),
    (59, "OTHER_SCRIPT", "in Cyrillic script, most rows are in Latin"),
    (60, "OTHER_LANGUAGE", "looks like German, most rows are in English"),
];

#[test]
fn every_fault_of_sixty_rows_is_named_by_its_line_and_nothing_else() {
    let home = Home::new();
    let csv = home.file("planted.csv", PLANTED);
    let text = home.run(&["train", &csv, "--report", "page.html"]).done();
    let page = home.read("page.html");
    let json = home.run(&["train", &csv, "--json"]).json();
    let report = &json["data_report"];
    assert_eq!((&report["row_count"], &report["used_count"]), (&60.into(), &53.into()), "{report}");
    let findings = report["findings"].as_array().expect("findings");
    let found: Vec<_> = findings
        .iter()
        .map(|f| (f["line"].as_u64().unwrap_or_default(), f["code"].as_str().unwrap_or_default()))
        .collect();
    let expected: Vec<_> =
        FAULTS.iter().map(|(line, code, _)| (*line, format!("FINDING_CODE_{code}"))).collect();
    let expected: Vec<_> = expected.iter().map(|(line, code)| (*line, code.as_str())).collect();
    assert_eq!(found, expected, "{findings:?}");
    for ((line, _, words), finding) in FAULTS.iter().zip(findings) {
        let message = finding["message"].as_str().expect("a message");
        assert!(message.contains(words), "{line}: {message}");
        let is_its_line = |text: &&str| text.starts_with(&format!("  line  {line}  "));
        assert!(text.lines().any(|l| is_its_line(&l) && l.contains(words)), "{line}: {text}");
        let escaped = words.replace('"', "&quot;");
        let row = format!("<td class=\"n\">{line}</td>");
        let is_told = page.split("<tr>").any(|r| r.contains(&row) && r.contains(&escaped));
        assert!(is_told, "{line}: {page}");
    }
}

#[test]
fn a_row_that_is_not_utf_8_is_named_by_its_line() {
    let home = Home::new();
    let mut bytes = PLANTED.as_bytes().to_vec();
    bytes.extend(b"Caf\xe9 open?,room\n");
    let csv = home.file("latin1.csv", bytes);
    let complaint = home.run(&["train", &csv]).complaint(1);
    assert!(complaint.contains("line 62") && complaint.contains("UTF-8"), "{complaint}");
}

#[test]
fn the_first_findings_are_some_of_every_kind_and_all_are_told_on_request() {
    let home = Home::new();
    let csv = home.file("many.csv", PLANTED.to_owned() + &",loan\n".repeat(40));
    let text = home.run(&["train", &csv, "--validate-only"]).done();
    let n_lines = |text: &str| text.lines().filter(|line| line.starts_with("  line ")).count();
    assert_eq!(n_lines(&text), 20, "{text}");
    for code in ["giveaway", "near duplicate", "other language", "conflict", "empty text"] {
        assert!(text.contains(&format!("  {code}")), "{code} in {text}");
    }
    assert!(text.contains("  and 32 more, told with --all-findings\n"), "{text}");
    let text = home.run(&["train", &csv, "--validate-only", "--all-findings"]).done();
    assert_eq!(n_lines(&text), 52, "{text}");
}
