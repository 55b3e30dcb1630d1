//! What each token of the vocabulary adds to the labels, by its hash: in one place for all views that look
//! at single tokens, so that a token is looked up once.
//!
//! The views are known, so the mass of a row is folded into its values. Of what is left the mean over the
//! labels is taken away: probabilities do not depend on it, and small numbers are more exact.

use super::index::{Finder, Index};
use super::rows::{Entries, Row};
use super::table::RowSum;
use crate::features::{TOKEN_VIEWS, TokenCounts, View};

/// A row a token.
#[derive(Debug)]
pub(super) struct TokenRows {
    index: Index,
    /// Row after row a part for each of `views`: a value a label, and the square where there are any.
    numbers: Vec<f32>,
    /// Positions in [`TOKEN_VIEWS`], ascending.
    views: Vec<usize>,
    n_labels: usize,
    /// Numbers of a part.
    width: usize,
}

impl TokenRows {
    /// Rows for tokens with these hashes, ascending. `add` adds what a token has in a view to a sum of nothing.
    pub(super) fn new(
        hashes: Vec<u64>,
        views: &[View],
        (n_labels, has_squares): (usize, bool),
        mut add: impl FnMut(usize, View, &mut RowSum),
    ) -> Self {
        let views = (0..).zip(TOKEN_VIEWS).filter(|(_, view)| views.contains(view));
        let views: Vec<usize> = views.map(|(at, _)| at).collect();
        let width = n_labels + usize::from(has_squares);
        let mut numbers = Vec::with_capacity(hashes.len() * views.len() * width);
        let mut sum = RowSum::new(n_labels);
        for nth in 0..hashes.len() {
            for view in views.iter().filter_map(|at| TOKEN_VIEWS.get(*at)) {
                sum.reset(n_labels);
                add(nth, *view, &mut sum);
                let mean = sum.values.iter().sum::<f64>() / super::table::count(n_labels);
                numbers.extend(sum.values.iter().map(|value| single(value - mean)));
                numbers.extend(has_squares.then(|| single(sum.square)));
            }
        }
        Self { index: Index::new(hashes), numbers, views, n_labels, width }
    }

    /// What a token has in a view; `None` if it is unknown or all of it is 0.
    pub(super) fn get(&self, hash: u64, view: View) -> Option<Row<'_>> {
        let part = self.views.iter().position(|at| TOKEN_VIEWS.get(*at) == Some(&view))?;
        let start = (self.index.position(hash)? * self.views.len() + part) * self.width;
        let numbers = self.numbers.get(start..start + self.width)?;
        let (values, square) = numbers.split_at_checked(self.n_labels)?;
        let square = square.first().copied().map_or(0.0, f64::from);
        let has_any = numbers.iter().any(|number| *number != 0.0);
        has_any.then_some(Row { mass: 0.0, square, entries: Entries::Dense(values) })
    }

    /// Looks up tokens.
    pub(super) fn find(&self, hashes: &[u64], finder: &mut Finder) {
        self.index.find(hashes, finder);
    }

    /// Adds the rows of the found tokens, as often as they count, to the sums of the views.
    pub(super) fn add(&self, finder: &Finder, counts: &[TokenCounts], sums: &mut [RowSum]) {
        match self.width {
            2 => self.add_wide::<2>(finder, counts, sums),
            3 => self.add_wide::<3>(finder, counts, sums),
            4 => self.add_wide::<4>(finder, counts, sums),
            5 => self.add_wide::<5>(finder, counts, sums),
            6 => self.add_wide::<6>(finder, counts, sums),
            _ => self.add_any(finder, counts, sums),
        }
    }

    /// The same for parts of `N` numbers.
    fn add_wide<const N: usize>(
        &self,
        finder: &Finder,
        counts: &[TokenCounts],
        sums: &mut [RowSum],
    ) {
        let stride = self.views.len() * N;
        let mut totals = [[0.0; N]; TOKEN_VIEWS.len()];
        for found in finder.found() {
            let start = found.position as usize * stride;
            let (Some(row), Some(counts)) =
                (self.numbers.get(start..start + stride), counts.get(found.nth as usize))
            else {
                continue;
            };
            let (parts, _) = row.as_chunks::<N>();
            for ((part, total), at) in parts.iter().zip(&mut totals).zip(&self.views) {
                let count = counts.get(*at).copied().unwrap_or_default();
                for (total, number) in total.iter_mut().zip(part) {
                    *total += count * f64::from(*number);
                }
            }
        }
        for (total, at) in totals.iter().zip(&self.views) {
            let Some(sum) = sum_of(*at, sums) else { continue };
            sum.values.iter_mut().zip(total).for_each(|(sum, value)| *sum += value);
            sum.square += total.get(self.n_labels).copied().unwrap_or_default();
        }
    }

    fn add_any(&self, finder: &Finder, counts: &[TokenCounts], sums: &mut [RowSum]) {
        let stride = self.views.len() * self.width;
        for found in finder.found() {
            let start = found.position as usize * stride;
            let row = self.numbers.get(start..start + stride).unwrap_or_default();
            let Some(counts) = counts.get(found.nth as usize) else { continue };
            for (part, at) in row.chunks_exact(self.width).zip(&self.views) {
                let count = counts.get(*at).copied().unwrap_or_default();
                let Some(sum) = sum_of(*at, sums) else { continue };
                for (sum, number) in sum.values.iter_mut().zip(part) {
                    *sum += count * f64::from(*number);
                }
                sum.square += count * part.get(self.n_labels).copied().map_or(0.0, f64::from);
            }
        }
    }
}

/// The sum of a view, by its position in [`TOKEN_VIEWS`], among those of all views.
fn sum_of(at: usize, sums: &mut [RowSum]) -> Option<&mut RowSum> {
    sums.get_mut(TOKEN_VIEWS.get(at)?.index())
}

/// Returns a sum in the precision of the file.
#[allow(clippy::cast_possible_truncation, reason = "sums are kept in the precision of the file")]
fn single(sum: f64) -> f32 {
    sum as f32
}
