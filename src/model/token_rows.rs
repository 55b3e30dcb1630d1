//! What each token of the vocabulary adds to the labels, by its hash: in one place for all views that look
//! at single tokens, so that a token is looked up once.
//!
//! The views are known, so the mass of a row is folded into its values. Of what is left the mean over the
//! labels is taken away: probabilities do not depend on it, and small numbers are more exact.

use rayon::prelude::*;

use super::PartsError;
use super::arrays::{Array, Arrays};
use super::fixed::{FixedRows, room_behind};
use super::index::Index;
use super::known::Known;
use super::row::{Entries, Row};
use super::rows::is_amount;
use super::table::{InTokens, RowSum, count};
use crate::features::{View, hash};

/// Rows of tokens.
#[derive(Debug, PartialEq)]
pub(super) struct TokenRows {
    /// The tokens' keys, with their hashes.
    index: Index<u64>,
    /// Of each view that looks at single tokens.
    views: Vec<OfView>,
}

/// What a view adds: by slot; behind the last slot zeros, for unknown tokens.
#[derive(Debug, PartialEq)]
struct OfView {
    view: View,
    /// A value a label.
    rows: FixedRows,
    /// A squared length; empty where there are none.
    squares: Vec<f32>,
}

impl TokenRows {
    /// Rows for the tokens of a vocabulary, ascending, in the views that have rows with so many slots. `add` adds
    /// what a token has in a view to a sum of nothing.
    pub(super) fn new(
        vocabulary: &[String],
        views: impl Fn(usize) -> Vec<View>,
        (n_labels, has_squares): (usize, bool),
        add: impl Fn(&str, View, &mut RowSum) + Sync,
    ) -> Self {
        let keyed = (0u32..).zip(vocabulary).map(|(nth, token)| (hash::key(token), nth));
        let mut keyed: Vec<_> = keyed.collect();
        keyed.par_sort_unstable();
        keyed.dedup_by_key(|(key, _)| *key);
        let token = |nth: u32| vocabulary.get(nth as usize).map_or("", String::as_str);
        let hashed = keyed.iter().map(|(key, nth)| (*key, hash::token(token(*nth))));
        let (index, owners) = Index::new(&hashed.collect::<Vec<_>>());
        let token_of = |slot: &u32| keyed.get(*slot as usize).map(|(_, nth)| *nth as usize);
        let of_slots: Vec<Option<usize>> = owners.iter().map(token_of).collect();
        let of_view = |view: &View| {
            let sums = Sums::of_tokens(vocabulary, n_labels, |token, sum| add(token, *view, sum));
            let n_numbers = (of_slots.len() + 1) * n_labels;
            let mut numbers = vec![0.0; n_numbers + room_behind(n_labels)];
            let rows = numbers.par_chunks_exact_mut(n_labels).zip(&of_slots);
            rows.for_each(|(to, token)| {
                let row = token.and_then(|nth| sums.values.get(nth * n_labels..));
                to.iter_mut().zip(row.unwrap_or_default()).for_each(|(to, value)| *to = *value);
            });
            let square = |token: &Option<usize>| sums.squares.get((*token)?).copied();
            let squares = of_slots.iter().map(|token| square(token).unwrap_or_default());
            let squares = if has_squares { squares.collect() } else { Vec::new() };
            OfView { view: *view, rows: FixedRows::new(numbers, n_labels), squares }
        };
        let views = views(index.n_slots()).iter().map(of_view).collect();
        Self { index, views }
    }

    /// Reads them from their arrays, for the views that are used and so many labels, with squares or without. They
    /// are to be checked.
    pub(super) fn from_arrays(
        arrays: &mut Arrays<'_>,
        used: &[View],
        (n_labels, has_squares): (usize, bool),
    ) -> Result<Self, PartsError> {
        let index = Index::<u64>::from_arrays(arrays, PREFIX)?;
        let n = index.n_slots();
        let n_squares = if has_squares { n } else { 0 };
        let of_view = |view: &View| {
            let prefix = prefix_of(*view);
            Ok(OfView {
                view: *view,
                rows: FixedRows::from_arrays(arrays, &prefix, [n, n_labels])?,
                squares: arrays.take(&format!("{prefix}.squares"), &[n_squares])?,
            })
        };
        let views = InTokens::of(n_labels, n).views(used);
        let views = views.iter().map(of_view).collect::<Result<_, _>>()?;
        Ok(Self { index, views })
    }

    /// Their arrays.
    pub(super) fn arrays(&self) -> Vec<Array<'_>> {
        let mut arrays: Vec<Array<'_>> = self.index.arrays(PREFIX);
        for OfView { view, rows, squares } in &self.views {
            let prefix = prefix_of(*view);
            arrays.extend(rows.arrays(&prefix, self.index.n_slots()));
            let name = format!("{prefix}.squares");
            arrays.push(Array::lent(name, vec![squares.len()], squares));
        }
        arrays
    }

    /// Checks all that looking up and adding rely on; returns the number of tokens.
    pub(super) fn check(&self) -> Result<usize, PartsError> {
        for OfView { view, rows, squares } in &self.views {
            let prefix = prefix_of(*view);
            rows.check(&prefix)?;
            if !squares.iter().all(is_amount) {
                let name = format!("{prefix}.squares");
                return Err(PartsError::new(name, "a value is not finite or out of range"));
            }
        }
        self.index.check(&format!("{PREFIX}.keys"))
    }

    /// The views that have rows.
    pub(super) fn views(&self) -> impl Iterator<Item = View> {
        self.views.iter().map(|of| of.view)
    }

    /// What a token has in a view; `None` if it is unknown or all of it is 0.
    pub(super) fn get(&self, key: u64, view: View) -> Option<Row<'_>> {
        let of_view = self.views.iter().find(|of| of.view == view)?;
        let slot = self.index.find(key)?;
        let (values, step) = of_view.rows.row(slot)?;
        let square = of_view.squares.get(slot).copied().map_or(0.0, f64::from);
        let has_any = square > 0.0 || values.iter().any(|value| *value != 0);
        has_any.then_some(Row { mass: 0.0, square, entries: Entries::Fixed(values, step) })
    }

    /// What tokens are looked up in.
    pub(super) fn index(&self) -> &Index<u64> {
        &self.index
    }

    /// Adds the rows of the known tokens, as often as they count, to the sums of the views.
    pub(super) fn add(&self, known: &Known, sums: &mut [RowSum]) {
        for OfView { view, rows, squares } in &self.views {
            let Some(sum) = sums.get_mut(view.index()) else { continue };
            let slots = known.counted(*view);
            rows.add(slots, &mut sum.values);
            if !squares.is_empty() {
                let squares = slots.iter().filter_map(|slot| squares.get(*slot as usize));
                sum.square += squares.copied().map(f64::from).sum::<f64>();
            }
        }
    }
}

/// What the names of the arrays begin with.
const PREFIX: &str = "tokens";

fn prefix_of(view: View) -> String {
    format!("{PREFIX}.{}", view.name())
}

/// What each token of a vocabulary adds in a view, less its mean over the labels.
struct Sums {
    /// A value a token and label.
    values: Vec<f32>,
    squares: Vec<f32>,
}

impl Sums {
    /// In the order of the vocabulary: tokens that begin alike look up much that is the same, while it is at hand.
    fn of_tokens(
        vocabulary: &[String],
        n_labels: usize,
        add: impl Fn(&str, &mut RowSum) + Sync,
    ) -> Self {
        let mut values = vec![0.0; vocabulary.len() * n_labels];
        let mut squares = Vec::new();
        let rows = values.par_chunks_exact_mut(n_labels).zip(vocabulary);
        let write = |sum: &mut RowSum, (to, token): (&mut [f32], &String)| {
            sum.reset(n_labels);
            add(token, sum);
            let mean = sum.values.iter().sum::<f64>() / count(n_labels);
            to.iter_mut().zip(&sum.values).for_each(|(to, value)| *to = single(value - mean));
            single(sum.square)
        };
        rows.map_init(|| RowSum::new(n_labels), write).collect_into_vec(&mut squares);
        Self { values, squares }
    }
}

/// Returns a sum in the precision of the file.
#[allow(clippy::cast_possible_truncation, reason = "sums are kept in the precision of the file")]
fn single(sum: f64) -> f32 {
    sum as f32
}
