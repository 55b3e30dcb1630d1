//! The features of all used views side by side, laid out for the many passes of `refine`.
//!
//! A feature that occurs under many labels has a dense row of table values, any other a sparse one.

use std::iter::repeat_n;

use super::Observer;
use super::out_of_fold::View;
use super::weigh::real;
use crate::simd::{add_scaled, dot};

/// All examples with the features of the views in use, numbered through.
pub(super) struct Rows<'a> {
    views: Vec<UsedView<'a>>,
    /// `n_examples × n_views + 1`: where the cells of each example and view begin.
    starts: Vec<usize>,
    cells: Vec<(u32, f32)>,
    features: Vec<Place>,
    sparse_labels: Vec<u16>,
    n_dense: usize,
    n_labels: usize,
    /// Rows and tables are cut short once it has cancelled.
    observer: &'a dyn Observer,
}

/// A view, its smoothing and its weight in the pool.
pub(super) struct UsedView<'a> {
    pub(super) view: View<'a>,
    pub(super) alpha: f64,
    pub(super) weight: f64,
}

/// Where a feature's table values stand.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Number of its dense row.
    Dense(u32),
    /// Range of its sparse entries.
    Sparse(u32, u32),
}

/// Log probabilities beyond the background, times the view's weight.
#[derive(Debug)]
pub(super) struct LogTable {
    /// `n_dense × n_labels`.
    dense: Vec<f32>,
    /// One an entry of the features that are not dense.
    sparse: Vec<f32>,
    /// `n_views × n_labels`.
    background: Vec<f32>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        views: Vec<UsedView<'a>>,
        n_labels: usize,
        observer: &'a dyn Observer,
    ) -> Self {
        let mut rows = Self {
            views,
            starts: vec![0],
            cells: Vec::new(),
            features: Vec::new(),
            sparse_labels: Vec::new(),
            n_dense: 0,
            n_labels,
            observer,
        };
        rows.place_features();
        rows.fill_cells();
        rows
    }

    fn place_features(&mut self) {
        self.features.reserve(self.views.iter().map(|u| u.view.weighed.matrix.n_features()).sum());
        for used in &self.views {
            let pattern = used.view.pattern;
            for feature in self.observer.wanted(0..used.view.weighed.matrix.n_features()) {
                let row = pattern.row(feature);
                let place = if row.len() * 12 >= self.n_labels {
                    self.n_dense += 1;
                    Place::Dense(number(self.n_dense - 1))
                } else {
                    let start = number(self.sparse_labels.len());
                    self.sparse_labels
                        .extend_from_slice(pattern.labels.get(row).unwrap_or_default());
                    Place::Sparse(start, number(self.sparse_labels.len()))
                };
                self.features.push(place);
            }
        }
    }

    fn fill_cells(&mut self) {
        let n_examples = self.views.first().map_or(0, |u| u.view.weighed.matrix.starts.len() - 1);
        // Room at once: to copy all that is there whenever it is full would take long by itself.
        self.cells.reserve(self.views.iter().map(|u| u.view.weighed.matrix.cells.len()).sum());
        for example in self.observer.wanted(0..n_examples) {
            let mut base = 0;
            for used in &self.views {
                let weighed = used.view.weighed;
                let cells = weighed.known_row(example);
                self.cells.extend(cells.map(|(f, value)| (number(base + f), value)));
                base += weighed.matrix.n_features();
                self.starts.push(self.cells.len());
            }
        }
    }

    /// One a feature: the square of its view's weight by the mean of all features'.
    pub(super) fn relative_squares(&self) -> Vec<f64> {
        let of_view =
            |used: &UsedView<'_>| repeat_n(used.weight, used.view.weighed.matrix.n_features());
        let weights: Vec<f64> = self.observer.gather(self.views.iter().flat_map(of_view));
        let mean = weights.iter().sum::<f64>() / real(weights.len().max(1));
        self.observer.gather(weights.into_iter().map(|weight| (weight / mean).powi(2)))
    }

    /// Number of features of all views.
    pub(super) fn n_features(&self) -> usize {
        self.features.len()
    }

    /// The tables of all examples but those of two distinct sets.
    pub(super) fn table_without(&self, left_out: [&[usize]; 2]) -> LogTable {
        let mut table = LogTable {
            dense: self.observer.zeros(self.n_dense * self.n_labels),
            sparse: Vec::with_capacity(self.sparse_labels.len()),
            background: Vec::with_capacity(self.views.len() * self.n_labels),
        };
        let mut base = 0;
        for used in &self.views {
            let examples = left_out.iter().copied().flatten().copied();
            self.fill_view(used, base, &used.view.sums_without(examples), &mut table);
            base += used.view.weighed.matrix.n_features();
        }
        table
    }

    #[allow(clippy::cast_possible_truncation, reason = "scores are computed in single precision")]
    fn fill_view(&self, used: &UsedView<'_>, base: usize, sums: &[f64], table: &mut LogTable) {
        let pattern = used.view.pattern;
        let n_features = used.view.weighed.matrix.n_features();
        let value = |sum: f64| (used.weight * (sum.max(0.0) / used.alpha).ln_1p()) as f32;
        for feature in self.observer.wanted(0..n_features) {
            let row = pattern.row(feature);
            let sums = sums.get(row.clone()).unwrap_or_default();
            match self.features.get(base + feature) {
                Some(Place::Dense(number)) => {
                    let start = *number as usize * self.n_labels;
                    for (label, sum) in pattern.labels.get(row).unwrap_or_default().iter().zip(sums)
                    {
                        if let Some(slot) = table.dense.get_mut(start + usize::from(*label)) {
                            *slot = value(*sum);
                        }
                    }
                }
                _ => table.sparse.extend(sums.iter().map(|sum| value(*sum))),
            }
        }
        let totals = used.view.label_totals(sums);
        let smoothing = used.alpha * used.view.n_features;
        let logs: Vec<f64> = totals.iter().map(|t| -(t.max(0.0) + smoothing).ln()).collect();
        let mean = logs.iter().sum::<f64>() / real(self.n_labels);
        table.background.extend(logs.iter().map(|b| (used.weight * (b - mean)) as f32));
    }

    /// Scores one example: offsets + Σ weight · value · table.
    #[allow(clippy::cast_possible_truncation, reason = "scores are computed in single precision")]
    #[inline(always)]
    pub(super) fn score(
        &self,
        table: &LogTable,
        example: usize,
        weights: &[f32],
        offsets: &[f64],
    ) -> Vec<f32> {
        let mut z: Vec<f32> = offsets.iter().map(|o| *o as f32).collect();
        for view in 0..self.views.len() {
            let mut mass = 0.0;
            for (feature, value) in self.cells_of(example, view) {
                let value = value * weights.get(*feature as usize).copied().unwrap_or_default();
                mass += value;
                match self.features.get(*feature as usize) {
                    Some(Place::Dense(number)) => {
                        let row = self.dense(table, *number);
                        add_scaled(&mut z, row, value);
                    }
                    Some(Place::Sparse(start, end)) => {
                        self.sparse(table, *start, *end).for_each(|(label, entry)| {
                            z.get_mut(label).into_iter().for_each(|z| *z += value * entry);
                        });
                    }
                    None => {}
                }
            }
            let background = self.background(table, view);
            add_scaled(&mut z, background, mass);
        }
        z
    }

    /// Adds to `sums` (features, then labels) the gradient by weights and offsets, given that by scores.
    #[inline(always)]
    pub(super) fn add_gradient(
        &self,
        table: &LogTable,
        example: usize,
        by_score: &[f32],
        sums: &mut [f32],
    ) {
        for view in 0..self.views.len() {
            let background = self.background(table, view);
            let of_background = dot(background, by_score);
            for (feature, value) in self.cells_of(example, view) {
                let of_entries = match self.features.get(*feature as usize) {
                    Some(Place::Dense(number)) => dot(self.dense(table, *number), by_score),
                    Some(Place::Sparse(start, end)) => {
                        let entries = self.sparse(table, *start, *end);
                        let of = |label: usize| by_score.get(label).copied().unwrap_or_default();
                        entries.map(|(label, entry)| of(label) * entry).sum()
                    }
                    None => 0.0,
                };
                if let Some(sum) = sums.get_mut(*feature as usize) {
                    *sum += value * (of_background + of_entries);
                }
            }
        }
        let of_offsets = sums.get_mut(self.features.len()..).unwrap_or_default();
        of_offsets.iter_mut().zip(by_score).for_each(|(sum, g)| *sum += g);
    }

    /// Adds to `sums` (features, then labels) the diagonal of the loss's second derivative: the variance of
    /// each feature's table values under the probabilities.
    #[inline(always)]
    pub(super) fn add_curvature(
        &self,
        table: &LogTable,
        example: usize,
        probabilities: &[f32],
        sums: &mut [f32],
    ) {
        for view in 0..self.views.len() {
            let background = self.background(table, view);
            let moments = |values: &mut dyn Iterator<Item = (f32, f32)>| {
                values.fold((0.0, 0.0), |(mean, square), (p, v)| (mean + p * v, square + p * v * v))
            };
            let of_background =
                moments(&mut probabilities.iter().copied().zip(background.iter().copied()));
            for (feature, value) in self.cells_of(example, view) {
                let (mean, square) = match self.features.get(*feature as usize) {
                    Some(Place::Dense(number)) => {
                        let row =
                            self.dense(table, *number).iter().zip(background).map(|(e, b)| e + b);
                        moments(&mut probabilities.iter().copied().zip(row))
                    }
                    Some(Place::Sparse(start, end)) => {
                        let mut sum = of_background;
                        for (label, entry) in self.sparse(table, *start, *end) {
                            let p = probabilities.get(label).copied().unwrap_or_default();
                            let b = background.get(label).copied().unwrap_or_default();
                            sum.0 += p * entry;
                            sum.1 += p * (2.0 * b * entry + entry * entry);
                        }
                        sum
                    }
                    None => (0.0, 0.0),
                };
                if let Some(sum) = sums.get_mut(*feature as usize) {
                    *sum += value * value * (square - mean * mean).max(0.0);
                }
            }
        }
        let of_offsets = sums.get_mut(self.features.len()..).unwrap_or_default();
        of_offsets.iter_mut().zip(probabilities).for_each(|(sum, p)| *sum += p * (1.0 - p));
    }

    #[inline(always)]
    fn cells_of(&self, example: usize, view: usize) -> &[(u32, f32)] {
        let at = example * self.views.len() + view;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => self.cells.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    #[inline(always)]
    fn dense<'t>(&self, table: &'t LogTable, number: u32) -> &'t [f32] {
        let start = number as usize * self.n_labels;
        table.dense.get(start..start + self.n_labels).unwrap_or_default()
    }

    #[inline(always)]
    fn sparse(&self, table: &LogTable, start: u32, end: u32) -> impl Iterator<Item = (usize, f32)> {
        let range = start as usize..end as usize;
        let labels = self.sparse_labels.get(range.clone()).unwrap_or_default();
        let values = table.sparse.get(range).unwrap_or_default();
        labels.iter().map(|l| usize::from(*l)).zip(values.iter().copied())
    }

    #[inline(always)]
    fn background<'t>(&self, table: &'t LogTable, view: usize) -> &'t [f32] {
        table.background.get(view * self.n_labels..(view + 1) * self.n_labels).unwrap_or_default()
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
