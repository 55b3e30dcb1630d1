//! The arithmetic of training against scikit-learn's and scipy's, on the fixed values that
//! `tests/reference/values.py` made.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::counts::Matrix;
use super::estimate;
use super::examples::{Dataset, DatasetBuilder};
use super::out_of_fold;
use super::pool::Scores;
use super::weigh::{Pattern, Weighed};
use super::{Unobserved, fold_members, log_shares};
use crate::features::{Analysis, View, character_sequence};
use crate::model::Weighting;

#[derive(Deserialize)]
struct Reference {
    examples: Vec<(String, String)>,
    folds: Vec<u32>,
    alpha: f64,
    weightings: BTreeMap<String, OfWeighting>,
}

#[derive(Deserialize)]
struct OfWeighting {
    views: BTreeMap<String, OfView>,
    pool: OfPool,
}

#[derive(Deserialize)]
struct OfView {
    log_probabilities: BTreeMap<String, Vec<f64>>,
    out_of_fold: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct OfPool {
    loss: f64,
    weights: Vec<f64>,
    offsets: Vec<f64>,
}

const N_LABELS: usize = 3;

fn reference() -> (Reference, Dataset, Vec<u16>) {
    let text = include_str!("../../tests/reference/values.json");
    let reference: Reference = serde_json::from_str(text).unwrap();
    let mut builder = DatasetBuilder::default();
    for (line, (text, label)) in (1..).zip(&reference.examples) {
        builder.push(line, text, label).unwrap();
    }
    let dataset = builder.finish();
    let labels = dataset.examples.iter().map(|e| u16::try_from(e.label).unwrap()).collect();
    (reference, dataset, labels)
}

/// Number of each feature by its text, in one view.
fn numbers(dataset: &Dataset, matrix: &Matrix) -> BTreeMap<String, usize> {
    let mut analysis = Analysis::default();
    let mut numbers = BTreeMap::new();
    for example in &dataset.examples {
        analysis.analyse(&example.text);
        if matrix.view == View::Character {
            for token in analysis.tokens() {
                let padded: Vec<char> = format!(" {} ", analysis.folded(token)).chars().collect();
                for gram in (3..=5).flat_map(|n| padded.windows(n)) {
                    let text: String = gram.iter().collect();
                    if let Ok(at) = matrix.hashes.binary_search(&character_sequence(&text)) {
                        numbers.insert(text, at);
                    }
                }
            }
        } else {
            matrix.view.for_each(&analysis, |hash, gram| {
                if let Ok(at) = matrix.hashes.binary_search(&hash) {
                    numbers.insert(matrix.view.write(&analysis, gram), at);
                }
            });
        }
    }
    numbers
}

fn weighting_of(name: &str) -> Weighting {
    if name == "idf" { Weighting::Idf } else { Weighting::Presence }
}

#[test]
fn published_tables_are_those_of_scikit_learn() {
    let (reference, dataset, labels) = reference();
    for (weighting, wanted) in &reference.weightings {
        for view in View::ALL {
            let matrix = Matrix::count(&dataset, view, &Unobserved);
            let weighed = Weighed::new(&matrix, weighting_of(weighting), &Unobserved);
            let pattern = Pattern::new(&matrix, &labels, &Unobserved);
            let sums = pattern.sums(&weighed, 0..labels.len(), &Unobserved);
            let wanted = &wanted.views[view.name()].log_probabilities;
            let numbers = numbers(&dataset, &matrix);
            assert_eq!(numbers.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
            for label in 0..N_LABELS {
                let entries: Vec<usize> = (0..pattern.n_entries())
                    .filter(|e| usize::from(pattern.labels[*e]) == label)
                    .collect();
                let of_label: Vec<f64> = entries.iter().map(|e| sums[*e]).collect();
                let table = estimate::fit(&of_label, matrix.n_features(), reference.alpha).unwrap();
                for (name, log_probabilities) in wanted {
                    let row = pattern.row(numbers[name]);
                    let got = row
                        .filter_map(|e| entries.iter().position(|entry| *entry == e))
                        .map(|at| table.log_probabilities[at])
                        .next()
                        .unwrap_or(table.background);
                    // The weighed values are kept in single precision.
                    assert!((got - log_probabilities[label]).abs() < 1e-6, "{weighting} {name}");
                }
            }
        }
    }
}

#[test]
fn out_of_fold_scores_are_those_of_tables_fitted_anew() {
    let (reference, dataset, labels) = reference();
    let folds = fold_members(&reference.folds);
    for (weighting, wanted) in &reference.weightings {
        for view in View::ALL {
            let matrix = Matrix::count(&dataset, view, &Unobserved);
            let weighed = Weighed::new(&matrix, weighting_of(weighting), &Unobserved);
            let pattern = Pattern::new(&matrix, &labels, &Unobserved);
            let scored = out_of_fold::View::new(&weighed, &pattern, N_LABELS, &Unobserved);
            let wanted = &wanted.views[view.name()].out_of_fold;
            for (example, scores) in scored.scores([reference.alpha], &folds, |_| true).rows() {
                for ([got], wanted) in scores.iter().zip(&wanted[example]) {
                    let gap = (f64::from(*got) - wanted).abs();
                    // Scores are sums of some hundred terms in single precision.
                    assert!(gap < 1e-4, "{weighting} {view:?} {example}: {got} {wanted}");
                }
            }
        }
    }
}

#[test]
fn pooling_finds_scipys_minimum() {
    let (reference, dataset, labels) = reference();
    let mut counts = vec![0; N_LABELS];
    dataset.examples.iter().for_each(|e| counts[e.label] += 1);
    let priors = log_shares(&counts);
    for (weighting, wanted) in &reference.weightings {
        let flat = |view: View| -> Vec<f32> {
            let scores = &wanted.views[view.name()].out_of_fold;
            #[allow(clippy::cast_possible_truncation, reason = "scores have single precision")]
            scores.iter().flatten().map(|s| *s as f32).collect()
        };
        let views: Vec<Vec<f32>> = View::ALL.into_iter().map(flat).collect();
        let views = views.iter().map(Vec::as_slice).collect();
        let scores = Scores { views, labels: &labels, priors: &priors, observer: &Unobserved };
        let examples: Vec<usize> = (0..labels.len()).collect();
        let pool = scores.fit_anew(&examples);
        assert!((pool.loss - wanted.pool.loss).abs() < 5e-5, "{weighting} {}", pool.loss);
        for (got, wanted) in pool.offsets.iter().zip(&wanted.pool.offsets) {
            assert!((got - wanted).abs() < 0.05, "{weighting} offset {got} {wanted}");
        }
        for (got, wanted) in pool.weights.iter().zip(&wanted.pool.weights) {
            assert!((got - wanted).abs() < 0.05, "{weighting} weight {got} {wanted}");
        }
    }
}
