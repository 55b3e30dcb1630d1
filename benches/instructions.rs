//! How many instructions a sentence costs, by part: steady from run to run, so that two commits can be
//! compared.
//!
//! `cargo bench --bench instructions [-- DATA.csv]` (Debian: `apt-get install valgrind`) trains on the CSV
//! (default: the built-in model's), runs itself under callgrind once a part, and prints a table.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use dictum::builtin;
use dictum::features::{Analysis, Ngrams, View};
use dictum::model::{Model, Options, Parts, Scorer, Weighting};
use dictum::store::format;
use dictum::train::examples::{CsvOptions, Dataset, Limits, read_csv};
use dictum::train::{Settings, Unobserved, train};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is counted; a function of that name behind `measured_`.
const PARTS: [&str; 6] = ["tokenise", "collect", "score", "explain", "load", "train"];

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let first = args.next();
    if let (Some("--part"), [part, csv, model]) =
        (first.as_deref(), args.collect::<Vec<_>>().as_slice())
    {
        return run(part, &read(Path::new(csv))?, &fs::read(model)?);
    }
    let folder = tempfile::tempdir()?;
    let csv = folder.path().join("data.csv");
    match &first {
        Some(path) => fs::copy(path, &csv).map(drop)?,
        None => fs::write(&csv, builtin::TRAINING_CSV)?,
    }
    let data = read(&csv)?;
    let model = folder.path().join("model");
    let parts = fit(&data)?;
    fs::write(&model, format::encode(&Model::try_new(&parts)?)?)?;
    let n_rows = data.examples.len();
    println!("{n_rows} rows, {} labels, {} features", parts.offsets.len(), parts.hashes.len());
    println!("{:<10} {:>16} {:>12}", "part", "instructions", "a row");
    for part in PARTS {
        let n = count(part, &csv, &model)?;
        println!("{part:<10} {n:>16} {:>12}", n / u64::try_from(n_rows)?);
    }
    Ok(())
}

/// Instructions of one part, counted by callgrind.
fn count(part: &str, csv: &Path, model: &Path) -> Result<u64> {
    let counts = model.with_extension(part);
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", &format!("--toggle-collect=*measured_{part}*")])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(std::env::current_exe()?)
        .args(["--part", part])
        .args([csv, model])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let counts = fs::read_to_string(counts)?;
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("callgrind wrote no total")?.trim().parse()?)
}

/// Runs one part, once over the data. The process has one thread, which callgrind counts.
fn run(part: &str, data: &Dataset, file: &[u8]) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let sentences: Vec<&str> = data.examples.iter().map(|e| &*e.text).collect();
    match part {
        "tokenise" => measured_tokenise(&mut Analysis::default(), &sentences),
        "collect" => {
            let (mut analysis, mut ngrams) = (Analysis::default(), Ngrams::default());
            for sentence in sentences {
                analysis.analyse(sentence);
                measured_collect(&mut ngrams, &analysis);
            }
        }
        "score" => measured_score(&format::decode(file)?, &sentences),
        "explain" => measured_explain(&format::decode(file)?, &sentences),
        "load" => drop(black_box(measured_load(file)?)),
        "train" => drop(black_box(measured_train(data)?)),
        _ => return Err(format!("{part} is none of {PARTS:?}").into()),
    }
    Ok(())
}

#[inline(never)]
fn measured_tokenise(analysis: &mut Analysis, sentences: &[&str]) {
    for sentence in sentences {
        analysis.analyse(sentence);
        black_box(analysis.tokens());
    }
}

/// The n-grams of an analysed sentence.
#[inline(never)]
fn measured_collect(ngrams: &mut Ngrams, analysis: &Analysis) {
    ngrams.collect(analysis, &View::ALL);
    black_box(ngrams.of(View::Word1));
}

/// Sentence to probabilities: tokenising and collecting are part of it.
#[inline(never)]
fn measured_score(model: &Model, sentences: &[&str]) {
    classify(model, sentences, &Options::default());
}

#[inline(never)]
fn measured_explain(model: &Model, sentences: &[&str]) {
    classify(model, sentences, &Options { explain: true, ..Options::default() });
}

fn classify(model: &Model, sentences: &[&str], options: &Options) {
    let mut scorer = Scorer::default();
    for sentence in sentences {
        black_box(scorer.classify(model, sentence, options));
    }
}

/// A file's bytes to a model that answers.
#[inline(never)]
fn measured_load(file: &[u8]) -> Result<Model> {
    Ok(format::decode(file)?)
}

/// Counting, merging the counts and fitting the tables, with fixed settings.
#[inline(never)]
fn measured_train(data: &Dataset) -> Result<Parts> {
    fit(data)
}

fn fit(data: &Dataset) -> Result<Parts> {
    let settings = Settings {
        alphas: vec![0.3],
        weighting: Some(Weighting::Presence),
        folds: 2,
        ..Settings::default()
    };
    Ok(train(data, &settings, &Unobserved)?.parts)
}

fn read(csv: &Path) -> Result<Dataset> {
    let watch = |_| ControlFlow::Continue(());
    Ok(read_csv(&fs::read(csv)?[..], &CsvOptions::default(), &Limits::default(), watch)?)
}
