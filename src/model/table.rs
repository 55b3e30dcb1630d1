//! The table that scoring looks features up in: built once from [`Parts`](super::Parts) or read from a file, then
//! only read.
//!
//! Three sets of rows, so that what is looked up for every sentence is small and together: the tokens of the
//! vocabulary with all that they add by themselves, the n-grams, and the character n-grams, which only
//! unknown tokens need. A row has a mass, a square and entries, as [`Parts`](super::Parts) describes them.

use std::mem::take;

use super::row::Row;
use super::rows::{FEW_LABELS, Rows};
use super::token_rows::TokenRows;
use crate::features::{self, Analysis, Gram, View, hash};

/// Everything scoring needs of a model.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    pub(super) offsets: Vec<f64>,
    /// Of all views, view after view.
    pub(super) background: Vec<f64>,
    pub(super) is_normalised: bool,
    /// The views that have features.
    pub(super) views: Vec<View>,
    pub(super) in_tokens: InTokens,
    /// What known tokens add, by their keys.
    pub(super) tokens: TokenRows,
    /// All features that are in none of the others.
    pub(super) ngrams: Rows,
    /// The character n-grams of known tokens that are in the rows of these.
    pub(super) characters: Rows,
}

impl Table {
    /// Number of labels.
    pub(super) fn n_labels(&self) -> usize {
        self.offsets.len()
    }

    /// Returns a view's background, one value a label.
    pub(super) fn background(&self, view: View) -> &[f64] {
        background(&self.background, self.n_labels(), view)
    }

    /// The row of an n-gram of an analysed sentence, in any view but that of characters.
    pub(super) fn row(
        &self,
        view: View,
        analysis: &Analysis,
        hash: u64,
        gram: Gram,
    ) -> Option<Row<'_>> {
        let token = view.token(analysis, gram).and_then(|at| analysis.tokens().get(at));
        let key = token.map(|token| hash::key(analysis.folded(token)));
        let of_token = key.and_then(|key| self.tokens.get(key, view));
        of_token.or_else(|| self.ngrams.get(hash))
    }

    /// Where the row of a character n-gram is.
    fn character_place(&self, hash: u64) -> Option<usize> {
        let among_ngrams = || Some(self.characters.n_slots() + self.ngrams.find(hash)?);
        self.characters.find(hash).or_else(among_ngrams)
    }

    /// The row in such a place.
    fn character_row(&self, place: usize) -> Row<'_> {
        match place.checked_sub(self.characters.n_slots()) {
            None => self.characters.row(place),
            Some(slot) => self.ngrams.row(slot),
        }
    }

    /// Adds the character features of a token to `sum`, each as often as it occurs in the token, and all
    /// of them for each of the `times` that the token occurs.
    pub(super) fn sum_character_rows(&self, folded: &str, times: f64, sum: &mut RowSum) {
        let find = |hash| self.character_place(hash);
        sum.add_characters(folded, times, find, |place| Some(self.character_row(place)));
    }
}

/// What the rows of tokens hold; all else that tokens have is looked up as it is for unknown ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InTokens {
    /// What a token has as a word, a shape, in the lead, and its characters.
    Singles,
    /// Its characters. Of many labels most single words have few: their rows stay lists.
    Characters,
    /// Nothing: rows would be too large.
    Nothing,
}

/// Most numbers of the rows of tokens in a view: 256 MiB.
const MAX_NUMBERS: usize = if cfg!(test) { 1 << 16 } else { 1 << 26 };

impl InTokens {
    /// What they hold with so many labels, and slots of tokens.
    pub(super) fn of(n_labels: usize, n_slots: usize) -> Self {
        if n_labels.saturating_mul(n_slots) > MAX_NUMBERS {
            Self::Nothing
        } else if n_labels > FEW_LABELS {
            Self::Characters
        } else {
            Self::Singles
        }
    }

    /// Those of the views that have rows.
    pub(super) fn views(self, used: &[View]) -> Vec<View> {
        let has_rows = |view: &View| match view {
            View::Character => self != Self::Nothing,
            View::Word1 | View::Shape | View::Lead => self == Self::Singles,
            View::Word2 | View::Word3 => false,
        };
        used.iter().copied().filter(has_rows).collect()
    }
}

/// Returns a view's part of the backgrounds of all views.
pub(super) fn background(of_all: &[f64], n_labels: usize, view: View) -> &[f64] {
    of_all.get(view.index() * n_labels..(view.index() + 1) * n_labels).unwrap_or_default()
}

/// Returns a number of things as a factor; exact below 2^53.
#[allow(clippy::cast_precision_loss, reason = "numbers of n-grams and labels are small")]
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
    found: Vec<(usize, usize)>,
}

impl RowSum {
    pub(super) fn new(n_labels: usize) -> Self {
        Self { values: vec![0.0; n_labels], ..Self::default() }
    }

    /// Makes it the sum of nothing, for another number of labels if need be.
    pub(super) fn reset(&mut self, n_labels: usize) {
        self.mass = 0.0;
        self.square = 0.0;
        self.values.clear();
        self.values.resize(n_labels, 0.0);
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

    /// Adds the character features of a token that occurs so many times. All are found before the first row is
    /// looked at, so that memory is waited for once and not for each.
    pub(super) fn add_characters<'a>(
        &mut self,
        folded: &str,
        times: f64,
        find: impl Fn(u64) -> Option<usize>,
        row: impl Fn(usize) -> Option<Row<'a>>,
    ) {
        let (mut grams, mut found) = (take(&mut self.grams), take(&mut self.found));
        grams.clear();
        features::for_each_character_ngram(folded, |hash| grams.push(hash));
        grams.sort_unstable();
        found.clear();
        let runs = grams.chunk_by(|a, b| a == b);
        found.extend(runs.filter_map(|run| Some((find(*run.first()?)?, run.len()))));
        for (place, n) in &found {
            if let Some(row) = row(*place) {
                self.add(&row, count(*n), times);
            }
        }
        (self.grams, self.found) = (grams, found);
    }

    /// Turns the mass into what it brings of the background.
    pub(super) fn fold_in_mass(&mut self, background: &[f64]) {
        for (value, background) in self.values.iter_mut().zip(background) {
            *value += self.mass * background;
        }
        self.mass = 0.0;
    }
}
