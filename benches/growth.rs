//! How the cost of training and of classifying grows: with rows, labels, features, and tokens a sentence.
//!
//! `cargo bench --bench growth [-- whole] [--only AXIS] [--write FOLDER]`: prints a table for each axis, or
//! for the one whose name begins so, over a small range or the whole one (up to ten million rows: 2 GB in
//! the temporary folder, minutes), and draws each as SVG into FOLDER. The sentences are generated: words
//! drawn by Zipf's law, or for the axis of features evenly, some of them told by the label. Settings are fixed
//! (presence, one smoothing, all views or for one axis words and pairs, a sample of 2,000), so that a training is one
//! pass from file to model, on all cores; the first 20,000 sentences are then classified on one. Times are by
//! the clock.
//!
//! `cargo bench --bench growth -- --csv FILE ROWS` writes the sentences of the axis of rows, for the command.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dictum::features::View;
use dictum::model::{Model, Options, Scorer, Weighting};
use dictum::train::examples::{CsvError, CsvOptions, Limits, read_csv_into};
use dictum::train::{Settings, Unobserved, collect, train};
use plotters::prelude::{
    BLUE, ChartBuilder, Circle, IntoDrawingArea, IntoLogRange, LineSeries, SVGBackend, WHITE,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is generated and trained on.
#[derive(Debug, Clone, Copy)]
struct Case {
    rows: u64,
    labels: u64,
    /// Distinct words, from which features follow.
    vocabulary: u64,
    /// Words of a sentence.
    tokens: u64,
    /// Whether all words are drawn alike, and not by Zipf's law: by that, few of many words are drawn at all.
    is_even: bool,
    /// Whether words and pairs of them alone are counted, as is usual elsewhere.
    is_plain: bool,
    memory_bytes: u64,
}

/// What was measured.
struct Measured {
    seconds: f64,
    features: usize,
    peak_mib: u64,
    /// Microseconds to classify a sentence, on one core.
    classify: f64,
}

/// Most sentences that are classified.
const MAX_CLASSIFIED: usize = 20_000;

const BASE: Case = Case {
    rows: 100_000,
    labels: 10,
    vocabulary: 100_000,
    tokens: 24,
    is_even: false,
    is_plain: false,
    memory_bytes: 3 << 29,
};
/// The vocabulary of the axis of rows.
const LARGE_VOCABULARY: u64 = 1_000_000;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_whole = args.iter().any(|arg| arg == "whole");
    let behind = |name: &str, by: usize| {
        args.iter().position(|arg| arg == name).and_then(|at| args.get(at + by))
    };
    if let (Some(path), Some(rows)) = (behind("--csv", 1), behind("--csv", 2)) {
        let case = Case { rows: rows.parse()?, vocabulary: LARGE_VOCABULARY, ..BASE };
        return generate(case, &mut File::create(path)?);
    }
    let folder = behind("--write", 1).map(PathBuf::from);
    let only = behind("--only", 1);
    let pool = ThreadPoolBuilder::new().build()?;
    println!("{} threads", pool.current_num_threads());
    for (axis, cases) in series(is_whole) {
        if only.is_some_and(|only| !axis.starts_with(only.as_str())) {
            continue;
        }
        println!("\n| {axis} | rows/s | seconds | features | peak MiB | classify, µs |");
        println!("|--:|--:|--:|--:|--:|--:|");
        let (mut points, mut classified) = (Vec::new(), Vec::new());
        for (x, case) in cases {
            let measured = measure(case, &pool)?;
            // The features are what came out, not what was put in.
            let x = if axis == "features" { measured.features as u64 } else { x };
            let rate = real(case.rows) / measured.seconds;
            println!(
                "| {x} | {rate:.0} | {:.2} | {} | {} | {:.2} |",
                measured.seconds, measured.features, measured.peak_mib, measured.classify
            );
            classified.push((real(x), measured.classify));
            points.push((real(x), rate * real(case.tokens)));
        }
        // Which views a model keeps, and so how many features, does not follow the vocabulary.
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        classified.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some(folder) = &folder {
            let file = |what: &str| folder.join(format!("{what}_{}.svg", axis.replace(' ', "_")));
            draw(&file("train"), [axis, "tokens a second, training"], &points)?;
            draw(&file("classify"), [axis, "µs a sentence, classifying"], &classified)?;
        }
    }
    Ok(())
}

/// The cases of each table.
fn series(is_whole: bool) -> Vec<(&'static str, Vec<(u64, Case)>)> {
    let some = |small: &[u64], whole: &[u64]| if is_whole { whole } else { small }.to_vec();
    let with = |values: Vec<u64>, case: &dyn Fn(u64) -> Case| {
        values.into_iter().map(|value| (value, case(value))).collect()
    };
    let base = if is_whole { BASE } else { Case { rows: 5_000, ..BASE } };
    let rows = some(&[1_000, 10_000], &[10_000, 100_000, 1_000_000, 10_000_000]);
    let of_rows = |rows, is_plain| Case { rows, vocabulary: LARGE_VOCABULARY, is_plain, ..base };
    vec![
        ("rows", with(rows.clone(), &|rows| of_rows(rows, false))),
        ("rows of words and pairs", with(rows, &|rows| of_rows(rows, true))),
        ("labels", with(some(&[2, 100], &[2, 10, 100, 1_000]), &|labels| Case { labels, ..base })),
        (
            "features",
            // Of few words it is the pairs and triples that are many.
            with(some(&[20, 100], &[20, 35, 100, 10_000_000]), &|vocabulary| Case {
                vocabulary,
                // Each word twice or so, and room for all of them.
                rows: base.rows.max(vocabulary / 10),
                is_even: true,
                memory_bytes: 24 << 30,
                ..base
            }),
        ),
        (
            "tokens a sentence",
            with(some(&[5, 500], &[5, 50, 500, 5_000]), &|tokens| Case {
                tokens,
                rows: (base.rows * base.tokens / tokens).max(200),
                ..base
            }),
        ),
    ]
}

fn measure(case: Case, pool: &ThreadPool) -> Result<Measured> {
    let mut file = tempfile::tempfile()?;
    generate(case, &mut file)?;
    file.rewind()?;
    forget_peak()?;
    let start = Instant::now();
    let settings = Settings {
        alphas: vec![0.3],
        weighting: Some(Weighting::Presence),
        views: if case.is_plain { vec![View::Word1, View::Word2] } else { View::ALL.to_vec() },
        sample_rows: NonZeroUsize::new(2_000),
        refinement: false,
        ..Settings::default()
    };
    let limits = Limits { max_memory_bytes: case.memory_bytes, ..Limits::default() };
    let dataset =
        collect::<CsvError>(&settings.collecting(limits.clone()), pool, &Unobserved, |rows| {
            let watch = |_| ControlFlow::Continue(());
            read_csv_into(rows, &file, &CsvOptions::default(), &limits, watch)
        })?;
    let trained = pool.install(|| train(&dataset, &settings, &Unobserved))?;
    let (seconds, peak_mib) = (start.elapsed().as_secs_f64(), peak_mib()?);
    let features = trained.parts.hashes.len();
    drop(dataset);
    let model = Model::try_new(&trained.parts)?;
    drop(trained);
    file.rewind()?;
    let classify = time_to_classify(&model, &file)?;
    Ok(Measured { seconds, features, peak_mib, classify })
}

/// Microseconds a sentence, of the first rows of a CSV.
fn time_to_classify(model: &Model, file: &File) -> Result<f64> {
    let lines = BufReader::new(file).lines().skip(1).take(MAX_CLASSIFIED);
    let rows = lines.collect::<std::io::Result<Vec<String>>>()?;
    let sentence = |row: &String| row.split(',').next().map(str::to_owned);
    let sentences: Vec<String> = rows.iter().filter_map(sentence).collect();
    let (mut scorer, options) = (Scorer::default(), Options::default());
    let start = Instant::now();
    for sentence in &sentences {
        black_box(scorer.classify(model, sentence, &options));
    }
    let n = f64::from(u32::try_from(sentences.len().max(1))?);
    Ok(start.elapsed().as_secs_f64() * 1e6 / n)
}

/// Writes a CSV. A word of rank r is drawn with a probability proportional to 1 / r, or all alike; one in
/// five words is moved to the ranks of the label.
fn generate(case: Case, file: &mut File) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut state = 88_172_645_463_325_252u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    writeln!(out, "text,label")?;
    let span = real(case.vocabulary).ln();
    for _ in 0..case.rows {
        let label = random() % case.labels;
        for at in 0..case.tokens {
            let mut rank = if case.is_even {
                random() % case.vocabulary
            } else {
                rank(real(random() >> 11) / real(1 << 53) * span)
            };
            if random().is_multiple_of(5) {
                rank = (rank * case.labels + label) % case.vocabulary;
            }
            let space = if at == 0 { "" } else { " " };
            write!(out, "{space}{}", word(rank))?;
        }
        writeln!(out, ",label {label}")?;
    }
    out.flush()?;
    Ok(())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1")]
fn rank(log: f64) -> u64 {
    log.exp() as u64 - 1
}

/// A word for each number, of consonants and vowels.
fn word(number: u64) -> String {
    let mut left = number + 80;
    let mut word = String::new();
    while left > 0 {
        word.extend(b"bdfgklmnprstvz".get((left % 14) as usize).map(|c| char::from(*c)));
        word.extend(b"aeiou".get((left / 14 % 5) as usize).map(|c| char::from(*c)));
        left /= 70;
    }
    word
}

#[allow(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}

/// Has the kernel measure the peak of memory anew (Linux).
fn forget_peak() -> Result<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

fn peak_mib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.and_then(|l| l.split_whitespace().next()).unwrap_or("0").parse()?;
    Ok(kib / 1024)
}

/// Draws one figure over another, with their names, both logarithmic.
fn draw(path: &Path, [axis, what]: [&str; 2], points: &[(f64, f64)]) -> Result<()> {
    let area = SVGBackend::new(path, (660, 360)).into_drawing_area();
    area.fill(&WHITE).map_err(|e| e.to_string())?;
    let least = points.first().map_or(1.0, |p| p.0);
    let most = points.last().map_or(10.0, |p| p.0);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        // The last number of the axis has room.
        .margin_right(36)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((least..most).log_scale(), range(points).log_scale())
        .map_err(|e| e.to_string())?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc(what)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| if *y < 1e4 { format!("{y}") } else { format!("{y:.0e}") })
        .draw()
        .map_err(|e| e.to_string())?;
    chart.draw_series(LineSeries::new(points.to_vec(), &BLUE)).map_err(|e| e.to_string())?;
    let dots = points.iter().map(|at| Circle::new(*at, 4, BLUE));
    chart.draw_series(dots).map_err(|e| e.to_string())?;
    area.present().map_err(|e| e.to_string())?;
    Ok(())
}

/// Powers of ten around the second of each point.
fn range(points: &[(f64, f64)]) -> std::ops::Range<f64> {
    let ys = || points.iter().map(|(_, y)| y.log10());
    let least = ys().fold(f64::INFINITY, f64::min).floor();
    let most = ys().fold(f64::NEG_INFINITY, f64::max).ceil();
    10f64.powf(least)..10f64.powf(most.max(least + 1.0))
}
