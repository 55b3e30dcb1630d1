//! Reading CSV that nobody would write, or that somebody would to do harm.

use std::{
    io::{self, Read},
    ops::ControlFlow,
};

use proptest::prelude::*;

use super::*;

/// Endless input: what `next` makes, one piece after the other.
struct Endless<F> {
    next: F,
    piece: io::Cursor<Vec<u8>>,
    n_read: u64,
}

impl<F: FnMut() -> Vec<u8>> Endless<F> {
    fn new(head: &str, next: F) -> Self {
        Self { next, piece: io::Cursor::new(head.into()), n_read: 0 }
    }
}

impl<F: FnMut() -> Vec<u8>> Read for Endless<F> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.piece.position() == self.piece.get_ref().len() as u64 {
            self.piece = io::Cursor::new((self.next)());
        }
        let n = self.piece.read(room)?;
        self.n_read += n as u64;
        Ok(n)
    }
}

/// Reads endless input; returns the error and how many bytes were read until it came.
fn read_endless(head: &str, limits: &Limits, next: impl FnMut() -> Vec<u8>) -> (CsvError, u64) {
    let mut input = Endless::new(head, next);
    let watch = |_| ControlFlow::Continue(());
    let error = read_csv(&mut input, &CsvOptions::default(), limits, watch).unwrap_err();
    (error, input.n_read)
}

const HEAD: &str = "text,label\na,x\n";
/// The limit on a row, and what is read ahead.
const ONE_ROW: u64 = (1 << 20) + (1 << 17);

#[test]
fn a_row_without_end_is_refused_once_it_is_too_long() {
    let pieces: [&[u8]; 6] = [b",", b"x", b"\"", b"\"\"", b"\n", "\u{1F600}".as_bytes()];
    for piece in pieces {
        for head in ["text,label\na,x\n\"b", "\"text"] {
            let line = head.lines().count() as u64;
            let (error, n_read) =
                read_endless(head, &Limits::default(), || piece.repeat(60_000 / piece.len()));
            let CsvError::RecordTooLong { line: got, limit: 0x0010_0000 } = error else {
                panic!("{head:?} {piece:?}: {error}")
            };
            assert_eq!(got, line, "{head:?} {piece:?}");
            assert!(n_read <= 2 * ONE_ROW, "{n_read} bytes read");
        }
    }
}

#[test]
fn a_row_of_commas_is_refused_once_it_is_too_long() {
    let (error, n_read) = read_endless(HEAD, &Limits::default(), || vec![b','; 60_000]);
    assert!(matches!(error, CsvError::RecordTooLong { line: 3, .. }), "{error}");
    assert!(n_read <= ONE_ROW, "{n_read} bytes read");
}

#[test]
fn the_limit_on_a_row_is_exact() {
    let limits = Limits { max_record_bytes: 20, ..Limits::default() };
    for (n, is_taken) in [(17, true), (18, false)] {
        let csv = format!("text,label\n{},x\nb,x\n", "a".repeat(n));
        let watch = |_| ControlFlow::Continue(());
        let result = read_csv(csv.as_bytes(), &CsvOptions::default(), &limits, watch);
        assert_eq!(result.is_ok(), is_taken, "{n}: {result:?}");
    }
}

#[test]
fn endless_blank_lines_end_at_the_limit_on_bytes() {
    let limits = Limits { max_bytes: 5_000_000, ..Limits::default() };
    for (head, blank) in [("", "\n\r\n"), (HEAD, "\n \r\n")] {
        let (error, n_read) = read_endless(head, &limits, || blank.repeat(1_000).into_bytes());
        let limit = LimitExceeded::Bytes { limit: 5_000_000 };
        assert!(matches!(error, CsvError::Limit(got) if got == limit), "{head:?}: {error}");
        assert_eq!(n_read, 5_000_001);
    }
}

#[test]
fn the_limit_on_bytes_is_inclusive() {
    for (max_bytes, is_taken) in [(HEAD.len() as u64, true), (HEAD.len() as u64 - 1, false)] {
        let limits = Limits { max_bytes, ..Limits::default() };
        let watch = |_| ControlFlow::Continue(());
        let result = read_csv(HEAD.as_bytes(), &CsvOptions::default(), &limits, watch);
        assert_eq!(result.is_ok(), is_taken, "{max_bytes}: {result:?}");
    }
}

#[test]
fn endless_labels_end_at_the_limit_on_labels() {
    let mut n = 0;
    let (error, n_read) = read_endless("text,label\n", &Limits::default(), || {
        n += 1;
        format!("a sentence,label {n}\n").into_bytes()
    });
    let limit = LimitExceeded::Labels { limit: 10_000, line: 10_002 };
    assert!(matches!(error, CsvError::Limit(got) if got == limit), "{error}");
    assert!(n_read < 400_000, "{n_read} bytes read");
}

#[test]
fn endless_rows_end_at_the_limit_on_rows_usable_or_not() {
    for row in ["a,x\n", "a\n", ",x\n"] {
        let limits = Limits { max_rows: 10_000, ..Limits::default() };
        let (error, n_read) =
            read_endless("text,label\n", &limits, || row.as_bytes().repeat(1_000));
        let limit = LimitExceeded::Rows { limit: 10_000 };
        assert!(matches!(error, CsvError::Limit(got) if got == limit), "{row:?}: {error}");
        assert!(n_read < 200_000, "{n_read} bytes read");
    }
}

#[test]
fn endless_texts_end_at_the_limit_on_memory() {
    let limits = Limits { max_memory_bytes: 10_000_000, ..Limits::default() };
    let mut n = 0;
    let (error, n_read) = read_endless(HEAD, &limits, || {
        n += 1;
        format!("{n},x\n").into_bytes()
    });
    let limit = LimitExceeded::Memory { limit: 10_000_000 };
    assert!(matches!(error, CsvError::Limit(got) if got == limit), "{error}");
    assert!(n_read < 2_000_000, "{n_read} bytes read");
}

#[test]
fn findings_are_kept_to_a_number_and_counted_beyond_it() {
    let csv = format!("text,label\n{}{}", "a\n".repeat(5_000), "a,x\n".repeat(5_000));
    let watch = |_| ControlFlow::Continue(());
    let dataset =
        read_csv(csv.as_bytes(), &CsvOptions::default(), &Limits::default(), watch).unwrap();
    assert_eq!(dataset.report.counts[&FindingCode::WrongColumnCount], 5_000);
    assert_eq!(dataset.report.counts[&FindingCode::Duplicate], 4_999);
    assert_eq!(dataset.report.findings.len(), 2_000);
    assert_eq!(dataset.report.findings[1_999].line, 5_001 + 1_001);
}

/// Gives bytes in pieces of the sizes asked for, over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<usize>,
    n_reads: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.n_reads += 1;
        if self.n_reads.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.n_reads % self.sizes.len()];
        let n = size.min(room.len()).min(self.bytes.len());
        room[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}

fn outcome(input: impl Read, options: &CsvOptions) -> String {
    let limits = Limits {
        max_bytes: 400,
        max_record_bytes: 60,
        max_rows: 12,
        max_labels: 4,
        max_memory_bytes: 1_500,
    };
    format!("{:?}", read_csv(input, options, &limits, |_| ControlFlow::Continue(())))
}

/// Bytes that mean something to a CSV reader, or are not text.
fn csv_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            ",", ";", "\t", "\"", "\"\"", "\n", "\r", "\r\n", "a", "b", "x", " ", "é", "日本",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec![0xC3, 0xFF, 0xE6, 0x97, 0xEF, 0xBB, 0xBF, 0])
            .prop_map(|byte| vec![byte]),
    ];
    let head = prop::sample::select(vec![
        "",
        "text,label\n",
        "text;label\r\n",
        "\u{feff}text\tlabel\r",
        "\"te\"\"xt\",label\n",
    ]);
    (head, prop::collection::vec(piece, 0..200))
        .prop_map(|(head, pieces)| [head.as_bytes(), &pieces.concat()].concat())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, delimiter: Option<u8>) {
        outcome(&bytes[..], &CsvOptions { delimiter, ..CsvOptions::default() });
    }

    #[test]
    fn nothing_depends_on_how_the_bytes_arrive(
        bytes in csv_like(),
        sizes in prop::collection::vec(1_usize..40, 1..9),
    ) {
        let options = CsvOptions::default();
        let pieces = Pieces { bytes: &bytes, sizes, n_reads: 0 };
        prop_assert_eq!(outcome(pieces, &options), outcome(&bytes[..], &options));
    }

    #[test]
    fn what_the_csv_crate_writes_is_read_back(
        table in prop::collection::vec(["[^\0]{1,12}", "[a-c]", "[^\0]{0,9}"], 0..30),
        delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|']),
        terminator in prop::sample::select(vec![
            ::csv::Terminator::CRLF, ::csv::Terminator::Any(b'\n'), ::csv::Terminator::Any(b'\r'),
        ]),
        quote_style in prop::sample::select(vec![
            ::csv::QuoteStyle::Necessary, ::csv::QuoteStyle::Always,
        ]),
    ) {
        let mut expected = DatasetBuilder::default();
        let mut bytes = b"\xEF\xBB\xBF".to_vec();
        let head = ["text".to_owned(), "label".into(), "third".into()];
        for (i, row) in [head].iter().chain(&table).enumerate() {
            let line = 1 + text::line_ends(&bytes, false);
            let mut writer = ::csv::WriterBuilder::new()
                .delimiter(delimiter)
                .terminator(terminator)
                .quote_style(quote_style)
                .from_writer(&mut bytes);
            writer.write_record(row).unwrap();
            drop(writer);
            if i > 0 {
                expected.push(line, &row[0], &row[1]).unwrap();
            }
        }
        let given = CsvOptions {
            delimiter: (delimiter == b'|').then_some(delimiter), ..CsvOptions::default()
        };
        let watch = |_| ControlFlow::Continue(());
        let dataset = read_csv(&bytes[..], &given, &Limits::default(), watch).unwrap();
        prop_assert_eq!(dataset, expected.finish());
    }
}
