//! Whether the scorer agrees with its formula, on every sentence of every CSV of a folder.
//!
//! `cargo bench --bench agreement -- FOLDER` trains on each CSV with columns text and label, classifies
//! all its sentences, and sets the answers against the formula of `model`, written out in double precision
//! from what the model file holds. It fails where a label differs or a probability by more than 1e-4.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs;
use std::ops::ControlFlow;

use dictum::builtin;
use dictum::features::{Analysis, View, for_each_character_ngram};
use dictum::model::{Model, Options, Parts, Scorer, Weighting};
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
        let got = scorer.classify(&model, &example.text, &Options::default()).probabilities;
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
        if difference > MAX_DIFFERENCE || best(&got) != best(&wanted) && !is_tie {
            return Err(format!("{difference} off: {:?}", example.text).into());
        }
        largest = largest.max(difference);
    }
    Ok(largest)
}

struct Formula<'a> {
    parts: &'a Parts,
    positions: HashMap<u64, usize>,
}

impl<'a> Formula<'a> {
    fn new(parts: &'a Parts) -> Self {
        let positions = parts.hashes.iter().enumerate().map(|(at, hash)| (*hash, at));
        Self { parts, positions: positions.collect() }
    }

    fn probabilities(&self, analysis: &Analysis) -> Vec<f64> {
        let mut scores = self.parts.offsets.clone();
        for view in View::ALL {
            let (sums, square) = self.sums(view, analysis);
            let is_normalised = !self.parts.squares.is_empty() && square > 0.0;
            let length = if is_normalised { square.sqrt() } else { 1.0 };
            scores.iter_mut().zip(sums).for_each(|(score, sum)| *score += sum / length);
        }
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
        scores.iter().map(|score| (score - highest).exp() / total).collect()
    }

    /// What a view adds to each label, and its squared length.
    fn sums(&self, view: View, analysis: &Analysis) -> (Vec<f64>, f64) {
        let n_labels = self.parts.offsets.len();
        let background = &self.parts.background[view.index() * n_labels..];
        let (mut sums, mut square) = (vec![0.0; n_labels], 0.0);
        for (hash, (times, squares)) in counts(view, analysis) {
            let Some(&at) = self.positions.get(&hash) else { continue };
            square += squares * self.parts.squares.get(at).copied().map_or(0.0, f64::from);
            let mass = f64::from(self.parts.masses[at]);
            for (sum, background) in sums.iter_mut().zip(background) {
                *sum += times * mass * background;
            }
            let entries =
                self.parts.entry_starts[at] as usize..self.parts.entry_starts[at + 1] as usize;
            for entry in entries {
                sums[usize::from(self.parts.entry_labels[entry])] +=
                    times * f64::from(self.parts.entry_values[entry]);
            }
        }
        (sums, square)
    }
}

/// How often each feature counts for the sum, and for the squared length.
fn counts(view: View, analysis: &Analysis) -> BTreeMap<u64, (f64, f64)> {
    let mut counts = BTreeMap::new();
    if view != View::Character {
        view.for_each(analysis, |hash, _| {
            counts.insert(hash, (1.0, 1.0));
        });
        return counts;
    }
    for token in analysis.tokens() {
        let mut of_token: BTreeMap<u64, f64> = BTreeMap::new();
        for_each_character_ngram(analysis.folded(token), |hash| {
            *of_token.entry(hash).or_default() += 1.0;
        });
        for (hash, times) in of_token {
            let count = counts.entry(hash).or_default();
            *count = (count.0 + times, count.1 + times * times);
        }
    }
    counts
}
