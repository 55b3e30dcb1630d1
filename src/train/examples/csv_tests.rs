//! Reading CSV as it is found in the wild, case by case.

use std::{
    io::{self, Read},
    ops::ControlFlow,
};

use super::FindingCode::*;
use super::*;

fn read(csv: impl AsRef<[u8]>) -> Result<Dataset, CsvError> {
    read_with(csv, &CsvOptions::default())
}

fn read_with(csv: impl AsRef<[u8]>, options: &CsvOptions) -> Result<Dataset, CsvError> {
    read_csv(csv.as_ref(), options, &Limits::default(), |_| ControlFlow::Continue(()))
}

fn columns(text: &str, label: &str) -> CsvOptions {
    CsvOptions { text_column: text.into(), label_column: label.into(), delimiter: None }
}

/// The examples as line, text and label.
fn rows(dataset: &Dataset) -> Vec<(u64, &str, &str)> {
    let label = |example: &Example| dataset.labels[example.label].as_str();
    dataset.examples.iter().map(|e| (e.line, &*e.text, label(e))).collect()
}

fn findings(dataset: &Dataset) -> Vec<(u64, FindingCode)> {
    dataset.report.findings.iter().map(|finding| (finding.line, finding.code)).collect()
}

fn message(result: Result<Dataset, CsvError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn rows_become_examples_with_labels_in_byte_order() {
    let dataset =
        read("id,text,label\n1,It rains.,weather\n2,She won.,sport\n3,It snows.,weather\n");
    let dataset = dataset.unwrap();
    assert_eq!(dataset.labels, ["sport", "weather"]);
    let expected =
        [(2, "It rains.", "weather"), (3, "She won.", "sport"), (4, "It snows.", "weather")];
    assert_eq!(rows(&dataset), expected);
    assert_eq!((dataset.report.row_count, dataset.report.used_count), (3, 3));
    assert!(dataset.report.counts.is_empty() && dataset.report.findings.is_empty());
}

#[test]
fn quotes_hold_delimiters_quotes_and_line_ends() {
    let dataset = read("text,label\n\"a, \"\"b\"\"\nc\",x\nd,\"y\"\n").unwrap();
    assert_eq!(rows(&dataset), [(2, "a, \"b\"\nc", "x"), (4, "d", "y")]);
}

#[test]
fn lines_are_counted_the_same_with_any_line_end() {
    for end in ["\n", "\r\n", "\r"] {
        let csv = format!("text,label{end}\"a{end}{end}b\",x{end}{end}{end}c,y{end}d,z");
        let dataset = read(csv).unwrap();
        let lines: Vec<u64> = dataset.examples.iter().map(|example| example.line).collect();
        assert_eq!(lines, [2, 7, 8], "{end:?}");
    }
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_name() {
    for header in ["\u{feff}text,label", "\u{feff}\"text\",label", "\u{feff}\u{feff}text,label"] {
        let dataset = read(format!("{header}\na,x\n")).unwrap();
        assert_eq!(rows(&dataset), [(2, "a", "x")], "{header:?}");
    }
}

#[test]
fn only_the_mark_at_the_beginning_is_skipped() {
    let dataset = read("\u{feff}text,label\n\u{feff}a,x\n").unwrap();
    assert_eq!(rows(&dataset), [(2, "\u{feff}a", "x")]);
}

#[test]
fn delimiters_are_recognised_by_the_header() {
    for (csv, expected) in [
        ("text;label\na, b;x\n", (2, "a, b", "x")),
        ("text\tlabel\na, b;c\tx\n", (2, "a, b;c", "x")),
        ("\"a;b;c;d\",text,label\n1,a;b,x\n", (2, "a;b", "x")),
        ("\"id, number\";text;label\n1;a;x\n", (2, "a", "x")),
        // Fewer columns, but the right ones.
        ("a,b,c,d;text;label\n1;a;x\n", (2, "a", "x")),
        // A line end between quotes, with the right delimiter only.
        ("1;\"a\nb\";text;label\n1;2;a;x\n", (3, "a", "x")),
    ] {
        assert_eq!(rows(&read(csv).unwrap()), [expected], "{csv:?}");
    }
}

#[test]
fn a_delimiter_can_be_given() {
    let given = |byte| CsvOptions { delimiter: Some(byte), ..CsvOptions::default() };
    let csv = "text|label\na,;b|x\n";
    assert_eq!(rows(&read_with(csv, &given(b'|')).unwrap()), [(2, "a,;b", "x")]);
    assert!(matches!(read(csv), Err(CsvError::MissingColumn { .. })), "not recognised by itself");
    for byte in [b'"', b'\n', b'\r', 0, 0xE9] {
        let result = read_with("text,label\n", &given(byte));
        assert!(matches!(result, Err(CsvError::BadDelimiter { .. })), "{byte}");
    }
}

#[test]
fn columns_are_found_by_exact_name_then_by_any_case() {
    let csv = "Text,TEXT, text ,Label\na,b,c,x\n";
    assert_eq!(rows(&read_with(csv, &columns("TEXT", "label")).unwrap()), [(2, "b", "x")]);
    assert_eq!(rows(&read_with(csv, &columns(" text ", "label")).unwrap()), [(2, "c", "x")]);
    let error = message(read_with(csv, &columns("text", "label")));
    assert_eq!(error, "3 columns are called \"text\"");
}

#[test]
fn a_name_twice_matters_only_where_it_is_asked_for() {
    assert_eq!(rows(&read("n,n,text,label\n1,2,a,x\n").unwrap()), [(2, "a", "x")]);
    let error = message(read("text,text,label\na,b,x\n"));
    assert_eq!(error, "2 columns are called \"text\"");
}

#[test]
fn a_missing_column_is_told_with_those_there_are() {
    let error = message(read_with("sentence;class\na;x\n", &columns("sentence", "kind")));
    assert_eq!(error, "no column \"kind\"; there are \"sentence\", \"class\"");
    assert_eq!(message(read("one\n")), "no column \"text\"; there is \"one\"");
}

#[test]
fn an_error_names_a_few_columns_of_many_and_shortens_them() {
    for (name, n_listed) in [("x", 20), ("\u{10ffff}", 2)] {
        let header = format!("{},", name.repeat(100)).repeat(1_000);
        let error = message(read(header));
        let more = format!("…\" and {} more", 1_001 - n_listed);
        assert!(error.len() < 1_100 && error.ends_with(&more), "{error}");
    }
}

#[test]
fn text_and_label_cannot_be_one_column() {
    let error = message(read_with("text,label\na,x\n", &columns("text", "Text")));
    assert_eq!(error, "text and label are the same column \"text\"");
}

#[test]
fn unusable_rows_are_reported_by_line_and_the_others_used() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let csv = format!("text,label\na,x\n ,x\nb,\t\n{long},x\nc\nd,x,y\n\ne,\"x\ny\"\nf,x\n,\n");
    let dataset = read(csv).unwrap();
    assert_eq!(rows(&dataset), [(2, "a", "x"), (11, "f", "x")]);
    let expected = [
        (3, EmptyText),
        (4, EmptyLabel),
        (5, TextTooLong),
        (6, WrongColumnCount),
        (7, WrongColumnCount),
        (9, BadLabel),
        (12, EmptyText),
    ];
    assert_eq!(findings(&dataset), expected);
    assert_eq!((dataset.report.row_count, dataset.report.used_count), (9, 2));
    let messages: Vec<&str> =
        dataset.report.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages[3], "1 column, the header has 2");
    assert_eq!(messages[4], "3 columns, the header has 2");
}

#[test]
fn blank_lines_are_no_rows() {
    let dataset = read("\r\n\ntext,label\n\n  \t\na,x\n\"\"\n\n").unwrap();
    assert_eq!(rows(&dataset), [(6, "a", "x")]);
    assert_eq!(dataset.report.row_count, 1);
}

#[test]
fn a_header_alone_gives_no_examples() {
    for csv in ["text,label", "text,label\n", "label\ttext\r\n\r\n"] {
        let dataset = read(csv).unwrap();
        assert!(dataset.examples.is_empty() && dataset.labels.is_empty(), "{csv:?}");
    }
    for csv in ["", "\n\r\n", "\u{feff}"] {
        assert!(matches!(read(csv), Err(CsvError::NoHeader)), "{csv:?}");
    }
}

#[test]
fn what_is_not_utf8_is_told_with_line_and_byte() {
    for (csv, place) in [
        (&b"text,label\na\r\nb,x\r\nna\xEFve,x\nc,x\n"[..], (4, 21)),
        (b"\xEF\xBB\xBFtext,l\xE9bel\n", (1, 9)),
        // In a column that is not used.
        (b"text,label,n\na,x,\xFF\n", (2, 17)),
        // Cut off at the end of the input.
        (b"text,label\na,\xE2\x82", (2, 13)),
        // Latin-1 from the first byte on, but nothing that has a name.
        (b"\xE9t\xE9,label", (1, 0)),
    ] {
        let result = read(csv);
        let Err(CsvError::NotUtf8 { line, byte }) = result else { panic!("{csv:?}: {result:?}") };
        assert_eq!((line, byte), place, "{csv:?}");
    }
}

#[test]
fn nul_is_told_with_line_and_byte() {
    // The second is UTF-16 without a byte order mark.
    for (csv, place) in [("text,label\na,x\nb\0,x\n", (3, 16)), ("t\0e\0x\0t\0", (1, 1))] {
        let result = read(csv);
        let Err(CsvError::Nul { line, byte }) = result else { panic!("{csv:?}: {result:?}") };
        assert_eq!((line, byte), place, "{csv:?}");
    }
}

#[test]
fn other_formats_are_called_by_their_name() {
    for (head, name) in [
        (&b"\xFF\xFEt\0e\0"[..], "UTF-16"),
        (b"\xFE\xFF\0t\0e", "UTF-16"),
        (b"\xFF\xFE\0\0t\0\0\0", "UTF-32"),
        (b"\x1F\x8B\x08\0", "gzip"),
        (b"PK\x03\x04\x14\0", ".xlsx"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1", ".xls"),
        (b"\x28\xB5\x2F\xFD\x04", "Zstandard"),
        (b"\xFD7zXZ\0\0", "xz"),
        (b"7z\xBC\xAF\x27\x1C", "7z"),
        (b"SQLite format 3\0\x10", "SQLite"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"%PDF-1.7\n", "PDF"),
    ] {
        let error = message(read(head));
        assert!(error.starts_with("not CSV in UTF-8") && error.contains(name), "{error}");
    }
}

#[test]
fn an_unclosed_quote_is_told_with_the_line_of_the_quote() {
    for (csv, quote_line) in [
        ("text,label\na,x\nb,\"y\nc,z\nd,z\n", 3),
        ("text,label\n\"a\nb\",\"x\n\n", 3),
        ("text,label\r\na,\"x\r\n\r\n", 2),
        ("text,label\ra,\"x\r\"\"\r", 2),
        ("text,\"label\na,x\n", 1),
        ("\n\"text,label\na;\"\"b\t", 2),
    ] {
        let result = read(csv);
        let Err(CsvError::UnclosedQuote { line }) = result else { panic!("{csv:?}: {result:?}") };
        assert_eq!(line, quote_line, "{csv:?}");
    }
    // Closed by the last byte, and quotes that open nothing.
    assert_eq!(rows(&read("text,label\na,\"x\"").unwrap()), [(2, "a", "x")]);
    assert_eq!(rows(&read("text,label\n5\" disk,x").unwrap()), [(2, "5\" disk", "x")]);
}

#[test]
fn a_failing_input_passes_its_error_on() {
    let text = &b"text,label\na,x\n"[..];
    let result = read_csv(text.chain(Failing), &CsvOptions::default(), &Limits::default(), |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(CsvError::Io(e)) if e.kind() == io::ErrorKind::TimedOut));
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }
}

#[test]
fn the_caller_hears_of_progress_and_can_stop_it() {
    let csv = format!("text,label\n{}", "a,x\n".repeat(100_000));
    let mut heard = Vec::new();
    let result = read_csv(csv.as_bytes(), &CsvOptions::default(), &Limits::default(), |progress| {
        heard.push(progress);
        if heard.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(matches!(result, Err(CsvError::Cancelled)));
    assert!(heard.windows(2).all(|pair| pair[0].row_count < pair[1].row_count));
    assert!(heard[2].byte_count < 300_000, "the rest was not read");
}
