//! Puts the model together: fits the published tables, folds the views' weights into them, and sorts
//! everything as [`Parts`] wants it.

use std::iter::repeat_n;

use rayon::prelude::*;

use super::calibrate::Outcome;
use super::examples::Dataset;
use super::select::{Problem, SelectedView, Selection};
use super::weigh::Pattern;
use super::{Observer, Settings, TrainError, counts, estimate};
use crate::features::{FEATURES_VERSION, View};
use crate::model::{ChosenSettings, ChosenView, Evaluation, Metadata, Parts, Weighting};

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
    let Assembly { problem, selection, outcome, dataset, .. } = assembly;
    let n_labels = problem.priors.len();
    // A refined score is calibrated as a whole: its factor goes into every feature.
    let (scale, own_weights) = match &outcome.refined {
        Some((_, weights)) => {
            let scale = outcome.pool.weights.first().copied().unwrap_or(1.0);
            (scale, weights.features.as_slice())
        }
        None => (1.0, &[][..]),
    };
    let mut background = vec![0.0; View::ALL.len() * n_labels];
    let mut tables = Vec::new();
    let mut base = 0;
    let used = selection.views.iter().zip(problem.patterns).zip(&selection.pool.weights);
    for ((view, pattern), weight) in used.filter(|(_, weight)| **weight > 0.0) {
        problem.observer.check()?;
        let sums = Sums::of(view, pattern, dataset, problem.observer);
        let start = view.view.index() * n_labels;
        let slots = background.get_mut(start..start + n_labels).unwrap_or_default();
        let n_features = view.weighed.matrix.n_features();
        let own = own_weights.get(base..base + n_features).unwrap_or_default();
        let weights = sums.weights(scale * weight, own, pattern);
        problem.observer.check()?;
        tables.push(sums.table(view.alpha, slots, &weights)?);
        base += n_features;
    }
    let offsets = match &outcome.refined {
        Some((_, weights)) => {
            let calibrated = weights.offsets.iter().zip(&outcome.pool.offsets);
            calibrated.map(|(offset, shift)| scale * offset + shift).collect()
        }
        None => outcome.pool.offsets.clone(),
    };
    let mut parts = Parts {
        metadata: metadata(assembly),
        offsets,
        background,
        hashes: Vec::new(),
        masses: Vec::new(),
        squares: Vec::new(),
        entry_starts: vec![0],
        entry_labels: Vec::new(),
        entry_values: Vec::new(),
        vocabulary: match &dataset.counted {
            Some(counted) => counted.vocabulary.clone(),
            None => counts::vocabulary(dataset, problem.observer),
        },
    };
    problem.observer.check()?;
    merge(&tables, selection.weighting == Weighting::Idf, &mut parts, problem.observer)?;
    problem.observer.check()?;
    parts.check().map_err(|e| TrainError::Unusable(e.to_string()))?;
    problem.observer.check()?;
    Ok(parts)
}

/// The sums of a view that its tables are fitted from.
struct Sums<'a> {
    /// Ascending.
    hashes: &'a [u64],
    /// Where each feature's entries begin.
    starts: &'a [u32],
    labels: &'a [u16],
    /// One an entry.
    sums: Vec<f64>,
    /// One a feature; empty where all are 1.
    factors: &'a [f64],
    observer: &'a dyn Observer,
}

/// A finished view.
struct ViewTable<'a> {
    hashes: &'a [u64],
    starts: &'a [u32],
    labels: &'a [u16],
    /// One an entry: what it adds beyond the background, weights folded in.
    values: Vec<f32>,
    /// One a feature.
    masses: Vec<f32>,
    /// One a feature; empty where all are 1.
    factors: &'a [f64],
}

impl<'a> Sums<'a> {
    fn of(
        view: &'a SelectedView<'_>,
        pattern: &'a Pattern,
        dataset: &'a Dataset,
        observer: &'a dyn Observer,
    ) -> Self {
        if let Some(whole) = dataset.counted.as_ref().and_then(|c| c.view(view.view)) {
            return Self {
                hashes: &whole.hashes,
                starts: &whole.starts,
                labels: &whole.labels,
                sums: observer.gather(whole.sums.iter().map(|sum| f64::from(*sum))),
                factors: &[],
                observer,
            };
        }
        let matrix = view.weighed.matrix;
        let n_examples = matrix.starts.len().saturating_sub(1);
        Self {
            hashes: &matrix.hashes,
            starts: &pattern.starts,
            labels: &pattern.labels,
            sums: pattern.sums(&view.weighed, 0..n_examples, observer),
            factors: &view.weighed.factors,
            observer,
        }
    }

    /// What each feature's entries are multiplied by: its view's weight, and its own where it has one.
    fn weights(&self, of_view: f64, own: &[f64], pattern: &Pattern) -> Vec<f64> {
        match &pattern.whole {
            Some(whole) => {
                let mut weights = self.each(of_view);
                for (position, own) in self.observer.wanted(whole.positions.iter().zip(own)) {
                    if let Some(weight) = weights.get_mut(*position as usize) {
                        *weight *= own;
                    }
                }
                weights
            }
            None if own.is_empty() => self.each(of_view),
            None => self.observer.gather(own.iter().map(|own| of_view * own)),
        }
    }

    /// The same for each feature.
    fn each(&self, value: f64) -> Vec<f64> {
        self.observer.gather(repeat_n(value, self.hashes.len()))
    }

    /// Fits the tables, folds weights and factors into them, and writes the background, centred over
    /// the labels.
    #[allow(clippy::cast_possible_truncation, reason = "the file's numbers have single precision")]
    fn table(
        &self,
        alpha: f64,
        background: &mut [f64],
        weights: &[f64],
    ) -> Result<ViewTable<'a>, TrainError> {
        let entries = self.fit(alpha, background)?;
        let factor = |feature: usize| self.factors.get(feature).copied().unwrap_or(1.0);
        let masses = weights.iter().enumerate().map(|(feature, weight)| weight * factor(feature));
        let masses: Vec<f64> = self.observer.gather(masses);
        let mut values = Vec::with_capacity(entries.len());
        for (bounds, mass) in self.observer.wanted(self.starts.windows(2).zip(&masses)) {
            let &[start, end] = bounds else { continue };
            let row = entries.get(start as usize..end as usize).unwrap_or_default();
            values.extend(row.iter().map(|value| (mass * value) as f32));
        }
        Ok(ViewTable {
            hashes: self.hashes,
            starts: self.starts,
            labels: self.labels,
            values,
            masses: self.observer.gather(masses.into_iter().map(|mass| mass as f32)),
            factors: self.factors,
        })
    }

    /// Returns what each entry adds beyond the background.
    fn fit(&self, alpha: f64, background: &mut [f64]) -> Result<Vec<f64>, TrainError> {
        let mut by_label: Vec<Vec<u32>> = vec![Vec::new(); background.len()];
        self.observer.for_each((0u32..).zip(self.labels), |(entry, label)| {
            if let Some(entries) = by_label.get_mut(usize::from(*label)) {
                entries.push(entry);
            }
        });
        let sum = |entry: &u32| self.sums.get(*entry as usize).copied().unwrap_or_default();
        let tables: Vec<_> = by_label
            .par_iter()
            .map(|entries| {
                self.observer.check()?;
                let sums: Vec<f64> = entries.iter().map(sum).collect();
                estimate::fit(&sums, self.hashes.len(), alpha)
            })
            .collect::<Result<_, _>>()?;
        let mut values = self.observer.zeros(self.labels.len());
        for (entries, table) in by_label.iter().zip(&tables) {
            let found = entries.iter().zip(&table.log_probabilities);
            self.observer.for_each(found, |(entry, log_probability)| {
                if let Some(value) = values.get_mut(*entry as usize) {
                    *value = log_probability - table.background;
                }
            });
        }
        let mean =
            tables.iter().map(|t| t.background).sum::<f64>() / super::weigh::real(tables.len());
        background.iter_mut().zip(&tables).for_each(|(b, table)| *b = table.background - mean);
        Ok(values)
    }
}

/// Writes the features of all views in the order of their hashes. Of two features with one hash (some 1
/// in 10^7 for ten million features) that of the first view stands.
#[allow(clippy::cast_possible_truncation, reason = "the file's numbers have single precision")]
fn merge(
    tables: &[ViewTable<'_>],
    is_normalised: bool,
    parts: &mut Parts,
    observer: &dyn Observer,
) -> Result<(), TrainError> {
    let n_features = tables.iter().map(|table| table.hashes.len()).sum();
    parts.hashes.reserve(n_features);
    parts.masses.reserve(n_features);
    parts.entry_starts.reserve(n_features);
    let n_entries = tables.iter().map(|table| table.values.len()).sum();
    parts.entry_labels.reserve(n_entries);
    parts.entry_values.reserve(n_entries);
    let mut next = vec![0usize; tables.len()];
    loop {
        observer.check()?;
        let heads = tables.iter().zip(&next).map(|(table, at)| table.hashes.get(*at));
        let first = heads.zip(0usize..).filter_map(|(hash, view)| Some((*hash?, view))).min();
        let Some((hash, view)) = first else { return Ok(()) };
        let (Some(table), Some(at)) = (tables.get(view), next.get_mut(view)) else { return Ok(()) };
        let feature = *at;
        *at += 1;
        if parts.hashes.last() == Some(&hash) {
            continue;
        }
        let bound = |at: usize| table.starts.get(at).map_or(0, |start| *start as usize);
        let row = bound(feature)..bound(feature + 1);
        parts.hashes.push(hash);
        parts.masses.push(table.masses.get(feature).copied().unwrap_or_default());
        if is_normalised {
            let factor = table.factors.get(feature).copied().unwrap_or(1.0);
            parts.squares.push(factor.powi(2) as f32);
        }
        parts.entry_labels.extend(table.labels.get(row.clone()).unwrap_or_default());
        parts.entry_values.extend(table.values.get(row).unwrap_or_default());
        let end = u32::try_from(parts.entry_labels.len());
        let too_large = |_| TrainError::Unusable("more than 2^32 table entries".to_owned());
        parts.entry_starts.push(end.map_err(too_large)?);
    }
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
