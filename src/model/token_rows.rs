//! What each token of the vocabulary adds to the labels, by its hash: in one place for all views that look
//! at single tokens, so that a token is looked up once.
//!
//! The views are known, so the mass of a row is folded into its values. Of what is left the mean over the
//! labels is taken away: probabilities do not depend on it, and small numbers are more exact.

use super::index::Index;
use super::known::Known;
use super::rows::{Entries, Row, add_dense};
use super::table::{RowSum, count};
use crate::features::View;

/// A row a token and view.
#[derive(Debug)]
pub(super) struct TokenRows {
    /// The tokens' keys, with their hashes.
    index: Index<u64>,
    /// The views that look at single tokens. By slot a value a label, and the square where there are any; behind
    /// the last slot zeros, for unknown tokens.
    views: Vec<(View, Vec<f32>)>,
    n_labels: usize,
    /// Numbers of a row.
    width: usize,
}

impl TokenRows {
    /// Rows for tokens with these distinct keys, and their hashes. `add` adds what a token has in a view to a sum of
    /// nothing.
    pub(super) fn new(
        tokens: &[(u64, u64)],
        views: &[View],
        (n_labels, has_squares): (usize, bool),
        mut add: impl FnMut(usize, View, &mut RowSum),
    ) -> Self {
        let (index, slots) = Index::new(tokens);
        let width = n_labels + usize::from(has_squares);
        let mut sum = RowSum::new(n_labels);
        let mut of_view = |view: &View| {
            let mut numbers = vec![0.0; (index.n_slots() + 1) * width];
            for (nth, slot) in slots.iter().enumerate() {
                sum.reset(n_labels);
                add(nth, *view, &mut sum);
                let mean = sum.values.iter().sum::<f64>() / count(n_labels);
                let values = sum.values.iter().map(|value| value - mean).chain([sum.square]);
                let to = numbers.iter_mut().skip(*slot as usize * width).take(width);
                to.zip(values).for_each(|(to, number)| *to = single(number));
            }
            (*view, numbers)
        };
        let views = views.iter().map(&mut of_view).collect();
        Self { index, views, n_labels, width }
    }

    /// What a token has in a view; `None` if it is unknown or all of it is 0.
    pub(super) fn get(&self, key: u64, view: View) -> Option<Row<'_>> {
        let (_, numbers) = self.views.iter().find(|(of, _)| *of == view)?;
        let start = self.index.find(key)? * self.width;
        let numbers = numbers.get(start..start + self.width)?;
        let (values, square) = numbers.split_at_checked(self.n_labels)?;
        let square = square.first().copied().map_or(0.0, f64::from);
        let has_any = numbers.iter().any(|number| *number != 0.0);
        has_any.then_some(Row { mass: 0.0, square, entries: Entries::Dense(values) })
    }

    /// What tokens are looked up in.
    pub(super) fn index(&self) -> &Index<u64> {
        &self.index
    }

    /// Adds the rows of the known tokens, as often as they count, to the sums of the views.
    pub(super) fn add(&self, known: &Known, sums: &mut [RowSum]) {
        for (view, numbers) in &self.views {
            let Some(sum) = sums.get_mut(view.index()) else { continue };
            // The square stands behind the values.
            let RowSum { values, square, .. } = sum;
            values.resize(self.width, *square);
            add_dense(numbers, self.width, known.counted(*view), values);
            *square = values.get(self.n_labels).copied().unwrap_or_default();
            values.truncate(self.n_labels);
        }
    }
}

/// Returns a sum in the precision of the file.
#[allow(clippy::cast_possible_truncation, reason = "sums are kept in the precision of the file")]
fn single(sum: f64) -> f32 {
    sum as f32
}
