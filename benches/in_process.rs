//! How fast sentences are classified in process, on one core.
//!
//! `cargo bench --bench in_process [-- DATA.csv [SECONDS]]` trains on the CSV (default: the built-in
//! model's) and prints a line of rates for all views, for words and pairs alone, for one sentence at a
//! time with its latency, and for many labels against few. `benches/peers.py` sets them against other programs.
//! Rates are for a second of the processor (on Linux; elsewhere of the clock), so that what else
//! the machine does weighs little.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use dictum::features::View;
use dictum::model::{Model, Options, Scorer, Weighting};
use dictum::train::examples::{CsvOptions, Dataset, Limits, read_csv};
use dictum::train::{Settings, Unobserved, train};
use dictum::{builtin, features};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let csv = match args.next() {
        Some(path) => std::fs::read(path)?,
        None => builtin::TRAINING_CSV.as_bytes().to_vec(),
    };
    let seconds = args.next().map_or(Ok(2.0), |s| s.parse())?;
    let time = Duration::try_from_secs_f64(seconds)?;
    let watch = |_| ControlFlow::Continue(());
    let data = read_csv(&csv[..], &CsvOptions::default(), &Limits::default(), watch)?;
    let sentences: Vec<&str> = data.examples.iter().map(|e| &*e.text).collect();

    let model = model(&data, &View::ALL)?;
    println!(
        "{} rows, {} labels, {} features",
        sentences.len(),
        model.labels().len(),
        model.n_features()
    );
    println!("analyse: {:.0} rows/s", analyse(&sentences, time));
    println!("all views: {:.0} rows/s", classify(&model, &sentences, time));
    for (sentence, what) in bad_sentences() {
        println!("{what}: {:.2} ms", latencies(&model, &[&sentence], time / 10).0 * 1e3);
    }
    let (p50, p99) = latencies(&model, &sentences, time);
    println!("single: p50 {:.2} µs, p99 {:.2} µs", p50 * 1e6, p99 * 1e6);
    let words = self::model(&data, &[View::Word1, View::Word2])?;
    println!("words and pairs: {:.0} rows/s", classify(&words, &sentences, time));
    let few = self::model(&relabelled(&data, 4), &View::ALL)?;
    let many = self::model(&relabelled(&data, 150), &View::ALL)?;
    let rates = [&few, &many].map(|model| classify(model, &sentences, time));
    println!(
        "{} labels against {}: {:.2} times the time",
        many.labels().len(),
        few.labels().len(),
        rates[0] / rates[1]
    );
    Ok(())
}

/// The same sentences under other labels, which depend on what is in them: on the longest token.
fn relabelled(data: &Dataset, n_labels: u64) -> Dataset {
    let (mut data, mut analysis) = (data.clone(), features::Analysis::default());
    for example in &mut data.examples {
        analysis.analyse(&example.text);
        let longest = analysis.tokens().iter().max_by_key(|token| analysis.folded(token).len());
        let hash = longest.map_or(0, |token| features::hash::extend(1, token.hash));
        example.label = usize::try_from(hash % n_labels).unwrap_or_default();
    }
    // A label needs two examples.
    let mut counts = BTreeMap::<usize, usize>::new();
    data.examples.iter().for_each(|e| *counts.entry(e.label).or_default() += 1);
    data.examples.retain(|e| counts.get(&e.label).is_some_and(|count| *count > 1));
    counts.retain(|_, count| *count > 1);
    let places: BTreeMap<usize, usize> = counts.into_keys().zip(0..).collect();
    data.labels = places.keys().map(|label| format!("{label:03}")).collect();
    for example in &mut data.examples {
        example.label = places.get(&example.label).copied().unwrap_or_default();
    }
    data
}

/// A model with fixed settings: what is measured is not the search for better ones.
fn model(data: &Dataset, views: &[View]) -> Result<Model> {
    let settings = Settings {
        alphas: vec![0.3],
        weighting: Some(Weighting::Presence),
        views: views.to_vec(),
        folds: 2,
        ..Settings::default()
    };
    Ok(Model::try_new(&train(data, &settings, &Unobserved)?.parts)?)
}

/// Sentences a second over whole passes.
fn rate(sentences: &[&str], time: Duration, mut each: impl FnMut(&str)) -> f64 {
    let (start, started, mut n) = (Instant::now(), processor_time(), 0u32);
    while start.elapsed() < time {
        for sentence in sentences {
            each(sentence);
            n += 1;
        }
    }
    let spent = match (started, processor_time()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => start.elapsed(),
    };
    f64::from(n) / spent.as_secs_f64()
}

/// What this thread had of a processor.
fn processor_time() -> Option<Duration> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(times.split(' ').next()?.parse().ok()?))
}

fn analyse(sentences: &[&str], time: Duration) -> f64 {
    let mut analysis = features::Analysis::default();
    rate(sentences, time, |sentence| {
        analysis.analyse(sentence);
        black_box(analysis.tokens());
    })
}

fn classify(model: &Model, sentences: &[&str], time: Duration) -> f64 {
    let (mut scorer, options) = (Scorer::default(), Options::default());
    rate(sentences, time, |sentence| {
        black_box(scorer.classify(model, sentence, &options));
    })
}

/// Median and 99th percentile of single answers, in seconds.
fn latencies(model: &Model, sentences: &[&str], time: Duration) -> (f64, f64) {
    let (mut scorer, options, mut all) = (Scorer::default(), Options::default(), Vec::new());
    rate(sentences, time, |sentence| {
        let start = Instant::now();
        black_box(scorer.classify(model, sentence, &options));
        all.push(start.elapsed());
    });
    all.sort_unstable();
    let at = |share: usize| all.get(all.len() * share / 100).map_or(0.0, Duration::as_secs_f64);
    (at(50), at(99))
}

/// 64 KiB that could cost more than they should.
fn bad_sentences() -> [(String, &'static str); 4] {
    [
        ("a".repeat(65_536), "64 KiB of one token"),
        ("a ".repeat(32_768), "64 KiB of short tokens"),
        ("\u{301}".repeat(32_768), "64 KiB of combining marks"),
        ("\u{fdfa}".repeat(21_845), "64 KiB of U+FDFA"),
    ]
}
