//! The table that scoring looks features up in: built once from [`Parts`], then only read.
//!
//! Two sets of rows: one for all features, one for the tokens of the vocabulary, whose character
//! features are summed up in advance. A row has a mass, a square and entries, as [`Parts`] describes
//! them.

use super::Parts;
use super::rows::{self, NewRow, Row, Rows};
use crate::features::{self, View};

/// Everything scoring needs of a model.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) offsets: Vec<f64>,
    background: Vec<f64>,
    pub(super) is_normalised: bool,
    /// The views that have features.
    pub(super) views: Vec<View>,
    /// The features, by their hashes.
    pub(super) features: Box<dyn Rows>,
    /// The summed character features of known tokens, by the tokens' hashes.
    pub(super) tokens: Box<dyn Rows>,
}

impl Table {
    /// Builds the table. The parts must have passed [`Parts::check`].
    pub(super) fn new(parts: &Parts) -> Self {
        let views = parts.metadata.settings.views.iter().map(|chosen| chosen.view).collect();
        let mut table = Self {
            offsets: parts.offsets.clone(),
            background: parts.background.clone(),
            is_normalised: !parts.squares.is_empty(),
            views,
            features: feature_rows(parts),
            tokens: rows::empty_rows(parts.vocabulary.len()),
        };
        table.add_tokens(&parts.vocabulary);
        table
    }

    fn add_tokens(&mut self, vocabulary: &[String]) {
        let n_labels = self.n_labels();
        let has_characters = self.views.contains(&View::Character);
        let hashed = |(at, token): (usize, &String)| (features::hash::token(token), at);
        let mut by_hash: Vec<_> = vocabulary.iter().enumerate().map(hashed).collect();
        by_hash.sort_unstable();
        if has_characters {
            self.tokens = rows::token_rows(vocabulary.len(), n_labels, self.is_normalised);
        }
        let mut sum = RowSum::new(n_labels);
        let (mut labels, mut values) = (Vec::new(), Vec::new());
        for (hash, at) in by_hash {
            sum.clear();
            if let Some(token) = vocabulary.get(at).filter(|_| has_characters) {
                self.sum_character_rows(token, 1.0, &mut sum);
            }
            sum.write_entries(&mut labels, &mut values);
            let (mass, square) = (single(sum.mass), single(sum.square));
            self.tokens.push(&NewRow { hash, mass, square, labels: &labels, values: &values });
        }
        self.tokens.finish();
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

    /// Adds the character features of a token to `sum`, each as often as it occurs in the token, and all
    /// of them for each of the `times` that the token occurs.
    pub(super) fn sum_character_rows(&self, folded: &str, times: f64, sum: &mut RowSum) {
        let mut grams = std::mem::take(&mut sum.grams);
        grams.clear();
        features::for_each_character_ngram(folded, |hash| grams.push(hash));
        grams.sort_unstable();
        for run in grams.chunk_by(|a, b| a == b) {
            let row = run.first().and_then(|hash| self.features.get(*hash));
            if let Some(row) = row {
                sum.add(&row, count(run.len()), times);
            }
        }
        sum.grams = grams;
    }
}

fn feature_rows(parts: &Parts) -> Box<dyn Rows> {
    let has_squares = !parts.squares.is_empty();
    let mut rows = rows::rows(parts.hashes.len(), parts.offsets.len(), has_squares);
    let bounds = parts.entry_starts.windows(2);
    for (at, ((hash, mass), bounds)) in
        parts.hashes.iter().zip(&parts.masses).zip(bounds).enumerate()
    {
        let &[start, end] = bounds else { continue };
        let entries = start as usize..end as usize;
        rows.push(&NewRow {
            hash: *hash,
            mass: *mass,
            square: parts.squares.get(at).copied().unwrap_or_default(),
            labels: parts.entry_labels.get(entries.clone()).unwrap_or_default(),
            values: parts.entry_values.get(entries).unwrap_or_default(),
        });
    }
    rows.finish();
    rows
}

/// Returns a sum in the precision of the file.
#[allow(clippy::cast_possible_truncation, reason = "sums are kept in the precision of the file")]
fn single(sum: f64) -> f32 {
    sum as f32
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

    /// Adds a row that occurs `within` times in a token, for each of the `times` that the token occurs. An
    /// n-gram that is repeated within a token is longer, not another one: its square grows by the
    /// square.
    #[inline]
    pub(super) fn add(&mut self, row: &Row<'_>, within: f64, times: f64) {
        self.mass += times * within * row.mass;
        self.square += times * within * within * row.square;
        row.add_to(&mut self.values, times * within);
    }

    /// Writes the labels with a value that is not 0, and these values.
    fn write_entries(&self, labels: &mut Vec<u16>, values: &mut Vec<f32>) {
        labels.clear();
        values.clear();
        for (label, value) in (0u16..).zip(&self.values) {
            if *value != 0.0 {
                labels.push(label);
                values.push(single(*value));
            }
        }
    }
}
