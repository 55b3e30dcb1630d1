//! Puts the model together: fits the published tables, folds the views' weights into them, and sorts
//! everything as [`Parts`] wants it.

use rayon::prelude::*;

use super::calibrate::Outcome;
use super::examples::Dataset;
use super::select::{Problem, SelectedView, Selection};
use super::weigh::{Pattern, Weighed};
use super::{Settings, TrainError, counts, estimate};
use crate::features::{FEATURES_VERSION, View};
use crate::model::{ChosenSettings, ChosenView, Evaluation, Metadata, Parts, Weighting};

/// One feature of the finished model.
struct Feature {
    hash: u64,
    mass: f32,
    square: f32,
    labels: Vec<u16>,
    values: Vec<f32>,
}

/// Everything the model is made of.
pub(super) struct Assembly<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) settings: &'a Settings,
    pub(super) problem: &'a Problem<'a>,
    pub(super) selection: &'a Selection<'a>,
    pub(super) outcome: &'a Outcome,
    /// Number of examples per label.
    pub(super) label_counts: Vec<u64>,
    pub(super) evaluation: Evaluation,
    /// The model's own threshold for abstaining.
    pub(super) min_probability: f64,
}

/// Makes the parts of the model.
pub(super) fn parts(assembly: &Assembly<'_>) -> Result<Parts, TrainError> {
    let Assembly { problem, selection, outcome, .. } = assembly;
    let n_labels = problem.priors.len();
    // A refined score is calibrated as a whole: its factor goes into every feature.
    let (scale, own_weights) = match &outcome.refined {
        Some((_, weights)) => {
            (outcome.pool.weights.first().copied().unwrap_or(1.0), Some(&weights.features))
        }
        None => (1.0, None),
    };
    let mut background = vec![0.0; View::ALL.len() * n_labels];
    let mut features = Vec::new();
    let mut base = 0;
    let used = selection.views.iter().zip(problem.patterns).zip(&selection.pool.weights);
    for ((view, pattern), weight) in used.filter(|(_, weight)| **weight > 0.0) {
        let start = view.view.index() * n_labels;
        let slots = background.get_mut(start..start + n_labels).unwrap_or_default();
        let entries = fit_view(view, pattern, slots)?;
        let weight_of = |feature: usize| {
            let own = own_weights.and_then(|own| own.get(base + feature)).copied();
            scale * weight * own.unwrap_or(1.0)
        };
        features.extend(fold_weights(&view.weighed, pattern, &entries, weight_of));
        base += view.weighed.matrix.n_features();
    }
    features.par_sort_unstable_by_key(|feature| feature.hash);
    // Two features with one hash: some 1 in 10^7 for ten million features. The first stands.
    features.dedup_by_key(|feature| feature.hash);

    let offsets = match &outcome.refined {
        Some((_, weights)) => {
            let calibrated = weights.offsets.iter().zip(&outcome.pool.offsets);
            calibrated.map(|(offset, shift)| scale * offset + shift).collect()
        }
        None => outcome.pool.offsets.clone(),
    };
    let is_normalised = selection.weighting == Weighting::Idf;
    let mut parts = Parts {
        metadata: metadata(assembly),
        offsets,
        background,
        hashes: Vec::with_capacity(features.len()),
        masses: Vec::with_capacity(features.len()),
        squares: Vec::new(),
        entry_starts: vec![0],
        entry_labels: Vec::new(),
        entry_values: Vec::new(),
        vocabulary: counts::vocabulary(assembly.dataset),
    };
    for feature in features {
        parts.hashes.push(feature.hash);
        parts.masses.push(feature.mass);
        if is_normalised {
            parts.squares.push(feature.square);
        }
        parts.entry_labels.extend(feature.labels);
        parts.entry_values.extend(feature.values);
        let end = u32::try_from(parts.entry_labels.len());
        let too_large = |_| TrainError::Unusable("more than 2^32 table entries".to_owned());
        parts.entry_starts.push(end.map_err(too_large)?);
    }
    parts.check().map_err(|e| TrainError::Unusable(e.to_string()))?;
    Ok(parts)
}

/// Fits a view's tables. Returns what each entry adds beyond the background, and writes the
/// background, centred over the labels.
fn fit_view(
    view: &SelectedView<'_>,
    pattern: &Pattern,
    background: &mut [f64],
) -> Result<Vec<f64>, TrainError> {
    let n_examples = view.weighed.matrix.starts.len().saturating_sub(1);
    let sums = pattern.sums(&view.weighed, 0..n_examples);
    let n_features = view.weighed.matrix.n_features();
    let mut by_label: Vec<Vec<usize>> = vec![Vec::new(); background.len()];
    for (entry, label) in pattern.labels.iter().enumerate() {
        if let Some(entries) = by_label.get_mut(usize::from(*label)) {
            entries.push(entry);
        }
    }
    let tables: Vec<_> = by_label
        .par_iter()
        .map(|entries| {
            let sums: Vec<f64> =
                entries.iter().map(|e| sums.get(*e).copied().unwrap_or_default()).collect();
            estimate::fit(&sums, n_features, view.alpha)
        })
        .collect::<Result<_, _>>()?;
    let mut values = vec![0.0; pattern.n_entries()];
    for (entries, table) in by_label.iter().zip(&tables) {
        for (entry, log_probability) in entries.iter().zip(&table.log_probabilities) {
            if let Some(value) = values.get_mut(*entry) {
                *value = log_probability - table.background;
            }
        }
    }
    let mean = tables.iter().map(|t| t.background).sum::<f64>() / super::weigh::real(tables.len());
    background.iter_mut().zip(&tables).for_each(|(b, table)| *b = table.background - mean);
    Ok(values)
}

/// Folds the features' weights and factors into the entries.
#[allow(clippy::cast_possible_truncation, reason = "the file's numbers have single precision")]
fn fold_weights<'a>(
    weighed: &'a Weighed<'_>,
    pattern: &'a Pattern,
    entries: &'a [f64],
    weight_of: impl Fn(usize) -> f64 + 'a,
) -> impl Iterator<Item = Feature> + 'a {
    let features = weighed.matrix.hashes.iter().zip(&weighed.factors).enumerate();
    features.map(move |(feature, (hash, factor))| {
        let row = pattern.row(feature);
        let mass = weight_of(feature) * factor;
        let values = entries.get(row.clone()).unwrap_or_default();
        Feature {
            hash: *hash,
            mass: mass as f32,
            square: factor.powi(2) as f32,
            labels: pattern.labels.get(row).unwrap_or_default().to_vec(),
            values: values.iter().map(|value| (mass * value) as f32).collect(),
        }
    })
}

fn metadata(assembly: &Assembly<'_>) -> Metadata {
    let Assembly { dataset, settings, selection, outcome, .. } = assembly;
    let chosen = |(view, weight): (&SelectedView<'_>, &f64)| ChosenView {
        view: view.view,
        alpha: view.alpha,
        weight: *weight,
    };
    Metadata {
        features_version: FEATURES_VERSION,
        labels: dataset.labels.clone(),
        label_counts: assembly.label_counts.clone(),
        settings: ChosenSettings {
            weighting: selection.weighting,
            views: selection.views.iter().zip(&selection.pool.weights).map(chosen).collect(),
            folds: settings.folds,
            seed: settings.seed,
            refinement: outcome.refined.as_ref().map(|(ridge, _)| *ridge),
        },
        min_probability: assembly.min_probability,
        data_digest: dataset.digest.clone(),
        evaluation: assembly.evaluation.clone(),
    }
}
