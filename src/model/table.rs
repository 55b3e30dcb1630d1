//! The table that scoring looks features up in: built once from [`Parts`], then only read.
//!
//! Three sets of rows, so that what is looked up for every sentence is small and together: the tokens of the
//! vocabulary with all that they add by themselves, the n-grams, and the character n-grams, which only
//! unknown tokens need. A row has a mass, a square and entries, as [`Parts`] describes them.

use std::mem::take;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Parts;
use super::rows::{FEW_LABELS, NewRow, Row, Rows};
use super::token_rows::TokenRows;
use crate::features::{self, HashIndex, Mark, View, hash};

/// Everything scoring needs of a model.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) offsets: Vec<f64>,
    background: Vec<f64>,
    pub(super) is_normalised: bool,
    /// The views that have features.
    pub(super) views: Vec<View>,
    pub(super) singles: Singles,
    /// What known tokens add, by their hashes.
    pub(super) tokens: TokenRows,
    /// All features that are in none of the others.
    pub(super) ngrams: Rows,
    /// The character n-grams of known tokens.
    characters: Rows,
}

impl Table {
    /// Builds the table. The parts must have passed [`Parts::check`].
    pub(super) fn new(parts: &Parts) -> Self {
        let settings = &parts.metadata.settings;
        // One of weight 0 has no features.
        let used = settings.views.iter().filter(|chosen| chosen.weight > 0.0);
        let views: Vec<_> = used.map(|chosen| chosen.view).collect();
        let n_labels = parts.offsets.len();
        // Of many labels most single words have few: their rows stay lists.
        let singles =
            if n_labels <= FEW_LABELS { Singles::AmongTokens } else { Singles::AmongNgrams };
        let builder = Builder {
            parts,
            index: HashIndex::new(&parts.hashes),
            homes: parts.hashes.iter().map(|_| AtomicU8::new(NGRAMS)).collect(),
        };
        let tokens = builder.tokens(&views, singles);
        let (ngrams, characters) =
            rayon::join(|| builder.rows(NGRAMS), || builder.rows(CHARACTERS));
        Self {
            offsets: parts.offsets.clone(),
            background: parts.background.clone(),
            is_normalised: !parts.squares.is_empty(),
            views,
            singles,
            tokens,
            ngrams,
            characters,
        }
    }

    /// Number of labels.
    pub(super) fn n_labels(&self) -> usize {
        self.offsets.len()
    }

    /// Returns a view's background, one value a label.
    pub(super) fn background(&self, view: View) -> &[f64] {
        background(&self.background, self.n_labels(), view)
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

/// Where the rows of single tokens of the word, lead and shape views are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Singles {
    /// Among the tokens' rows; those of marks and of tokens that are not in the vocabulary among the n-grams.
    AmongTokens,
    /// Among the n-grams.
    AmongNgrams,
}

/// Where a feature's row stands: among the n-grams, among the characters, or in the row of its token.
const NGRAMS: u8 = 0;
const CHARACTERS: u8 = 1;
const TOKEN: u8 = 2;

struct Builder<'a> {
    parts: &'a Parts,
    index: HashIndex,
    /// A home a feature; tokens are looked at by several threads.
    homes: Vec<AtomicU8>,
}

impl Builder<'_> {
    /// Sums up what tokens add, and sees where features belong.
    fn tokens(&self, views: &[View], singles: Singles) -> TokenRows {
        let of_tokens = |view: &View| match view {
            View::Character => true,
            View::Word1 | View::Shape | View::Lead => singles == Singles::AmongTokens,
            View::Word2 | View::Word3 => false,
        };
        let views: Vec<_> = views.iter().copied().filter(of_tokens).collect();
        let shape = (self.parts.offsets.len(), !self.parts.squares.is_empty());
        TokenRows::new(&self.parts.vocabulary, &views, shape, |token, view, sum| {
            if view == View::Character {
                let row = |at| self.parts.row(at).map(|row| row.row());
                sum.add_characters(token, 1.0, |hash| self.find(hash, CHARACTERS), row);
            } else if let Some(row) = self.single(view, hash::token(token)) {
                sum.add(&row, 1.0, 1.0);
            }
            let n_labels = self.parts.offsets.len();
            sum.fold_in_mass(background(&self.parts.background, n_labels, view));
        })
    }

    /// The row of a token in a view of words or shapes.
    fn single(&self, view: View, token: u64) -> Option<Row<'_>> {
        // A number is a mark to the shape view, though written as a token.
        let is_mark = view == View::Shape && Mark::Number.hash() == Some(token);
        if is_mark {
            return None;
        }
        let at = self.find(hash::extend(view.seed(), token), TOKEN)?;
        self.parts.row(at).map(|row| row.row())
    }

    /// Which feature has a hash; its row then stands at a place.
    fn find(&self, hash: u64, home: u8) -> Option<usize> {
        let at = self.index.get(hash)? as usize;
        self.homes.get(at)?.store(home, Ordering::Relaxed);
        Some(at)
    }

    /// The rows that stand at a place.
    fn rows(&self, home: u8) -> Rows {
        let homes = (0u32..).zip(&self.homes);
        let wanted = homes.filter(|(_, of)| of.load(Ordering::Relaxed) == home);
        let wanted: Vec<u32> = wanted.map(|(at, _)| at).collect();
        let row = |nth: usize| self.parts.row(*wanted.get(nth)? as usize);
        let shape = (self.parts.offsets.len(), !self.parts.squares.is_empty());
        Rows::new(shape, wanted.len(), row)
    }
}

impl Parts {
    /// The row of a feature.
    pub(super) fn row(&self, at: usize) -> Option<NewRow<'_>> {
        let entries =
            *self.entry_starts.get(at)? as usize..*self.entry_starts.get(at + 1)? as usize;
        Some(NewRow {
            hash: *self.hashes.get(at)?,
            mass: *self.masses.get(at)?,
            square: self.squares.get(at).copied().unwrap_or_default(),
            labels: self.entry_labels.get(entries.clone())?,
            values: self.entry_values.get(entries)?,
        })
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
    fn add_characters<'a>(
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
    fn fold_in_mass(&mut self, background: &[f64]) {
        for (value, background) in self.values.iter_mut().zip(background) {
            *value += self.mass * background;
        }
        self.mass = 0.0;
    }
}
