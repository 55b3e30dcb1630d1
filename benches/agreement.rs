//! Whether the scorer agrees with its formula, on every sentence of every CSV of a folder.
//!
//! `cargo bench --bench agreement -- FOLDER` trains on each CSV with columns text and label, classifies
//! all its sentences, and sets the answers against the formula (`dictum::model::Formula`). It fails where a label differs or a probability by more than 1e-4.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;

use dictum::builtin;
use dictum::features::Analysis;
use dictum::model::{Formula, Model, Options, Scorer, Weighting};
use dictum::train::examples::{CsvOptions, Dataset, Limits, read_csv};
use dictum::train::{Settings, Unobserved, train};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MAX_DIFFERENCE: f64 = 1e-4;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let folder = std::env::args().skip(1).find(|arg| arg != "--bench");
    let mut files = vec![("built-in".to_owned(), builtin::TRAINING_CSV.as_bytes().to_vec())];
    if let Some(folder) = folder {
        files.clear();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "csv") {
                files.push((path.display().to_string(), fs::read(path)?));
            }
        }
    }
    files.sort();
    for (name, csv) in &files {
        let watch = |_| ControlFlow::Continue(());
        let data = read_csv(&csv[..], &CsvOptions::default(), &Limits::default(), watch)?;
        for weighting in [Weighting::Presence, Weighting::Idf] {
            let largest = check(&data, weighting).map_err(|error| format!("{name}: {error}"))?;
            println!(
                "{name}, {weighting:?}: {} rows, largest difference {largest:.1e}",
                data.examples.len()
            );
        }
    }
    Ok(())
}

/// The largest difference of a probability.
fn check(data: &Dataset, weighting: Weighting) -> Result<f64> {
    let settings =
        Settings { alphas: vec![0.3], weighting: Some(weighting), folds: 2, ..Settings::default() };
    let parts = train(data, &settings, &Unobserved)?.parts;
    let model = Model::try_new(&parts)?;
    let formula = Formula::new(&parts);
    let (mut scorer, mut analysis, mut largest) = (Scorer::default(), Analysis::default(), 0f64);
    for example in &data.examples {
        analysis.analyse(&example.text);
        let wanted = formula.probabilities(&analysis);
        let got = &scorer.classify(&model, &example.text, &Options::default()).probabilities;
        let differences = got.iter().zip(&wanted).map(|(got, wanted)| (got - wanted).abs());
        let difference = differences.fold(0.0, f64::max);
        let best = |values: &[f64]| {
            (0..values.len()).rev().max_by(|a, b| values[*a].total_cmp(&values[*b]))
        };
        let is_tie = wanted
            .iter()
            .filter(|p| **p >= wanted.iter().copied().fold(0.0, f64::max) - 1e-9)
            .count()
            > 1;
        if difference > MAX_DIFFERENCE || best(got) != best(&wanted) && !is_tie {
            return Err(format!("{difference} off: {:?}", example.text).into());
        }
        largest = largest.max(difference);
    }
    Ok(largest)
}
