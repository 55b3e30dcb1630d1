//! How fast models are trained in process.
//!
//! `cargo bench --bench training [-- DATA.csv [COPIES [PART]]]` (default: the built-in model's examples; all
//! parts, or those whose name holds PART) prints the rate of a training with fixed settings (words and pairs,
//! one smoothing: one pass from bytes to model), on literal copies of the rows and on copies that differ, so
//! that none is left out as a duplicate; and the time of an automatic training, pooled and with feature
//! weights. Times are by the clock, on all cores; `benches/peers.py --train` sets the rates against other
//! programs.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use dictum::builtin;
use dictum::features::View;
use dictum::model::Weighting;
use dictum::train::examples::{CsvError, CsvOptions, Limits, read_csv_into};
use dictum::train::{Settings, Trained, Unobserved, collect, train};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let csv = match args.next() {
        Some(path) => std::fs::read(path)?,
        None => builtin::TRAINING_CSV.as_bytes().to_vec(),
    };
    let n_copies: usize = args.next().map_or(Ok(1), |n| n.parse())?;
    let part = args.next().unwrap_or_default();
    let pool = ThreadPoolBuilder::new().build()?;
    println!("{} threads", pool.current_num_threads());
    let fixed = Settings {
        alphas: vec![0.3],
        weighting: Some(Weighting::Presence),
        views: vec![View::Word1, View::Word2],
        sample_rows: std::num::NonZeroUsize::new(2_000),
        refinement: false,
        ..Settings::default()
    };
    for (what, differ) in [("literal copies", false), ("copies that differ", true)] {
        if what.contains(&part) {
            rate(what, &csv.repeat_rows(n_copies, differ), &fixed, &pool)?;
        }
    }
    for (what, refinement) in [("pooled", false), ("with feature weights", true)] {
        if what.contains(&part) {
            automatic(what, &csv, &Settings { refinement, ..Settings::default() }, &pool)?;
        }
    }
    Ok(())
}

/// Prints the time of an automatic training.
fn automatic(what: &str, csv: &[u8], settings: &Settings, pool: &ThreadPool) -> Result<()> {
    let start = Instant::now();
    let trained = run(csv, settings, pool)?;
    let evaluation = &trained.parts.metadata.evaluation;
    println!(
        "automatic, {what}: {:.2} s, accuracy {:.4}, log loss {:.4}",
        start.elapsed().as_secs_f64(),
        evaluation.accuracy,
        evaluation.log_loss
    );
    Ok(())
}

/// Prints the best rate of a few trainings.
fn rate(what: &str, csv: &[u8], settings: &Settings, pool: &ThreadPool) -> Result<()> {
    let mut best = f64::INFINITY;
    let mut n_rows = 0;
    for _ in 0..5 {
        let start = Instant::now();
        n_rows = run(csv, settings, pool)?.report.row_count;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let n = f64::from(u32::try_from(n_rows)?);
    println!("fixed settings, {what}: {:.0} rows/s ({n} rows in {:.0} ms)", n / best, best * 1e3);
    Ok(())
}

/// From the bytes of a CSV to a model.
fn run(csv: &[u8], settings: &Settings, pool: &ThreadPool) -> Result<Trained> {
    let limits = Limits::default();
    let collecting = settings.collecting(limits.clone());
    let dataset = collect::<CsvError>(&collecting, pool, &Unobserved, |rows| {
        let watch = |_| ControlFlow::Continue(());
        read_csv_into(rows, csv, &CsvOptions::default(), &limits, watch)
    })?;
    Ok(pool.install(|| train(&dataset, settings, &Unobserved))?)
}

/// Copies of the rows of a CSV.
trait RepeatRows {
    /// Repeats all rows behind the header. Where they are to differ, a copy's number stands before
    /// each text.
    fn repeat_rows(&self, n_copies: usize, differ: bool) -> Vec<u8>;
}

impl RepeatRows for Vec<u8> {
    fn repeat_rows(&self, n_copies: usize, differ: bool) -> Vec<u8> {
        let head = self.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (head, rows) = self.split_at(head);
        let mut all = head.to_vec();
        for copy in 0..n_copies {
            let mark = format!("copy {copy}: ");
            let mut in_quotes = false;
            let mut at_start = true;
            for byte in rows {
                if at_start && differ {
                    // Into the field, behind its quote.
                    let quote: &[u8] = if *byte == b'"' { b"\"" } else { b"" };
                    all.extend_from_slice(quote);
                    all.extend_from_slice(mark.as_bytes());
                    all.extend((*byte != b'"').then_some(*byte));
                } else {
                    all.push(*byte);
                }
                in_quotes ^= *byte == b'"';
                at_start = *byte == b'\n' && !in_quotes;
            }
        }
        all
    }
}
