//! The table that scoring looks features up in: built once from [`Parts`], then only read.
//!
//! Two open-addressing indexes lead from a hash to a row: one for all features, one for the tokens of
//! the vocabulary, whose character features are summed up in advance. A row has a mass, a square
//! and entries, as [`Parts`] describes them.

use super::Parts;
use crate::features::{self, HashIndex, View};

/// One looked-up feature, or the character features of one token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// Position of the row, the same for the same feature.
    pub(super) id: u32,
    /// How much of the view's background it brings.
    pub(super) mass: f64,
    /// What it adds to the squared length.
    pub(super) square: f64,
    /// Labels for which it differs from the background, ascending.
    pub(super) labels: &'a [u16],
    /// By how much, one for each of `labels`.
    pub(super) values: &'a [f32],
}

impl Row<'_> {
    /// What the row adds to one label beyond the background.
    pub(super) fn entry(&self, label: usize) -> f64 {
        let at = self.labels.iter().position(|l| usize::from(*l) == label);
        at.and_then(|at| self.values.get(at)).map_or(0.0, |v| f64::from(*v))
    }
}

/// Everything scoring needs of a model.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) offsets: Vec<f64>,
    background: Vec<f64>,
    pub(super) is_normalised: bool,
    features: HashIndex,
    feature_rows: Rows,
    tokens: HashIndex,
    token_rows: Rows,
}

impl Table {
    /// Builds the table. The parts must have passed [`Parts::check`].
    pub(super) fn new(parts: &Parts) -> Self {
        let feature_rows = Rows {
            masses: parts.masses.clone(),
            squares: parts.squares.clone(),
            starts: parts.entry_starts.clone(),
            labels: parts.entry_labels.clone(),
            values: parts.entry_values.clone(),
        };
        let features = HashIndex::new(&parts.hashes);
        let token_hashes: Vec<_> =
            parts.vocabulary.iter().map(|t| features::hash::token(t)).collect();
        let mut table = Self {
            offsets: parts.offsets.clone(),
            background: parts.background.clone(),
            is_normalised: !parts.squares.is_empty(),
            features,
            feature_rows,
            tokens: HashIndex::new(&token_hashes),
            token_rows: Rows::default(),
        };
        let mut sum = RowSum::new(table.n_labels());
        let mut token_rows = Rows { starts: vec![0], ..Rows::default() };
        for token in &parts.vocabulary {
            sum.clear();
            table.sum_character_rows(token, &mut sum);
            token_rows.push(&sum);
        }
        table.token_rows = token_rows;
        table
    }

    /// Number of labels.
    pub(super) fn n_labels(&self) -> usize {
        self.offsets.len()
    }

    /// Returns a view's background, one value a label.
    pub(super) fn background(&self, view: View) -> &[f64] {
        let n = self.n_labels();
        self.background.get(view.index() * n..(view.index() + 1) * n).unwrap_or_default()
    }

    /// Looks a feature up by its hash.
    #[inline]
    pub(super) fn feature(&self, hash: u64) -> Option<Row<'_>> {
        self.features.get(hash).and_then(|id| self.feature_rows.get(id))
    }

    /// Looks the summed character features of a known token up by the token's hash.
    #[inline]
    pub(super) fn token(&self, hash: u64) -> Option<Row<'_>> {
        self.tokens.get(hash).and_then(|id| self.token_rows.get(id))
    }

    /// Adds the character features of a token to `sum`, each as often as it occurs in the token.
    pub(super) fn sum_character_rows(&self, folded: &str, sum: &mut RowSum) {
        let mut grams = std::mem::take(&mut sum.grams);
        grams.clear();
        features::for_each_character_ngram(folded, |hash| grams.push(hash));
        grams.sort_unstable();
        for run in grams.chunk_by(|a, b| a == b) {
            let row = run.first().and_then(|hash| self.feature(*hash));
            if let Some(row) = row {
                sum.add(&row, count(run.len()));
            }
        }
        sum.grams = grams;
    }
}

/// Returns a number of things as a factor; exact below 2^53.
#[allow(
    clippy::cast_precision_loss,
    reason = "numbers of n-grams in a token or sentence are small"
)]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

/// The sum of several rows, with one value for every label.
#[derive(Debug, Default)]
pub(super) struct RowSum {
    pub(super) mass: f64,
    pub(super) square: f64,
    pub(super) values: Vec<f64>,
    grams: Vec<u64>,
}

impl RowSum {
    pub(super) fn new(n_labels: usize) -> Self {
        Self { values: vec![0.0; n_labels], ..Self::default() }
    }

    /// Makes it the sum of nothing, for another number of labels if need be.
    pub(super) fn reset(&mut self, n_labels: usize) {
        self.values.resize(n_labels, 0.0);
        self.clear();
    }

    fn clear(&mut self) {
        self.mass = 0.0;
        self.square = 0.0;
        self.values.fill(0.0);
    }

    /// Adds a row `times` over. Within a token a repeated n-gram is longer, not another one: its square
    /// grows by the square of `times`.
    #[inline]
    pub(super) fn add(&mut self, row: &Row<'_>, times: f64) {
        self.mass += times * row.mass;
        self.square += times * times * row.square;
        for (label, value) in row.labels.iter().zip(row.values) {
            if let Some(sum) = self.values.get_mut(usize::from(*label)) {
                *sum += times * f64::from(*value);
            }
        }
    }
}

/// Rows of masses, squares and sparse entries.
#[derive(Debug, Default)]
struct Rows {
    masses: Vec<f32>,
    /// Empty where lengths are 1.
    squares: Vec<f32>,
    starts: Vec<u32>,
    labels: Vec<u16>,
    values: Vec<f32>,
}

impl Rows {
    #[inline]
    fn get(&self, id: u32) -> Option<Row<'_>> {
        let at = id as usize;
        let (start, end) = (*self.starts.get(at)? as usize, *self.starts.get(at + 1)? as usize);
        Some(Row {
            id,
            mass: f64::from(*self.masses.get(at)?),
            square: self.squares.get(at).copied().map_or(0.0, f64::from),
            labels: self.labels.get(start..end)?,
            values: self.values.get(start..end)?,
        })
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "sums are kept in the precision of the file"
    )]
    fn push(&mut self, sum: &RowSum) {
        self.masses.push(sum.mass as f32);
        self.squares.push(sum.square as f32);
        for (label, value) in (0u16..).zip(&sum.values) {
            if *value != 0.0 {
                self.labels.push(label);
                self.values.push(*value as f32);
            }
        }
        self.starts.push(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
    }
}
