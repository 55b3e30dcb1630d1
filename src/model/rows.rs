//! Rows of numbers under hashes, in the layout that suits the number of labels: built once, then
//! only read.
//!
//! With few labels a row has a value for each beside its hash. With many it says where its entries
//! are, of which most rows have few; or where its values are, if most have many.

use std::fmt::Debug;

use super::index::{Finder, Index};
use super::table::RowSum;

/// What is added to the labels by one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// How much of the view's background it brings.
    pub(super) mass: f64,
    /// What it adds to the squared length.
    pub(super) square: f64,
    entries: Entries<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Entries<'a> {
    Dense(&'a [f32]),
    Sparse(&'a [Entry]),
}

/// What one label gets beyond the background: the label, and the lower and the upper half of the value.
/// Six bytes and no padding.
type Entry = [u16; 3];

impl Row<'_> {
    /// What the row adds to one label beyond the background.
    pub(super) fn entry(&self, label: usize) -> f64 {
        match self.entries {
            Entries::Dense(values) => values.get(label).copied().map_or(0.0, f64::from),
            Entries::Sparse(entries) => {
                let of_label = |entry: &&Entry| usize::from(entry[0]) == label;
                entries.iter().find(of_label).map_or(0.0, value)
            }
        }
    }

    /// Adds `times` the entries to one value a label.
    #[inline]
    pub(super) fn add_to(&self, values: &mut [f64], times: f64) {
        match self.entries {
            Entries::Dense(row) => {
                for (sum, value) in values.iter_mut().zip(row) {
                    *sum += times * f64::from(*value);
                }
            }
            Entries::Sparse(entries) => {
                for entry in entries {
                    if let Some(sum) = values.get_mut(usize::from(entry[0])) {
                        *sum += times * value(entry);
                    }
                }
            }
        }
    }
}

#[inline]
fn value([_, lower, upper]: &Entry) -> f64 {
    f64::from(f32::from_bits(u32::from(*upper) << 16 | u32::from(*lower)))
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves of a value")]
fn entry((label, value): (&u16, &f32)) -> Entry {
    let bits = value.to_bits();
    [*label, bits as u16, (bits >> 16) as u16]
}

/// A row as it is given to [`Rows::push`].
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRow<'a> {
    pub(super) hash: u64,
    pub(super) mass: f32,
    pub(super) square: f32,
    /// Labels for which it differs from the background, ascending.
    pub(super) labels: &'a [u16],
    /// By how much, one for each of `labels`.
    pub(super) values: &'a [f32],
}

/// Rows by their hashes.
pub(super) trait Rows: Debug + Send + Sync {
    /// Adds a row; hashes ascending.
    fn push(&mut self, row: &NewRow<'_>);

    /// Makes rows findable, once all are there.
    fn finish(&mut self);

    /// Returns the row of a hash.
    fn get(&self, hash: u64) -> Option<Row<'_>>;

    /// Looks up many hashes; their rows are on their way into the cache then.
    fn prepare(&self, hashes: &[u64], finder: &mut Finder);

    /// Adds the rows of the prepared hashes that have one to `sum`.
    fn add(&self, finder: &Finder, sum: &mut RowSum);

    /// Leaves in `missed` the places of the prepared hashes that have no row.
    fn missed(&self, finder: &Finder, missed: &mut Vec<usize>);
}

/// Room for rows of so many labels, with squares or without.
pub(super) fn rows(n_rows: usize, n_labels: usize, has_squares: bool) -> Box<dyn Rows> {
    match (n_labels, has_squares) {
        (0..=2, false) => Box::new(Dense::<3>::new(n_rows, 2)),
        (0..=2, true) => Box::new(Dense::<4>::new(n_rows, 2)),
        (3..=4, false) => Box::new(Dense::<5>::new(n_rows, 4)),
        (3..=4, true) => Box::new(Dense::<6>::new(n_rows, 4)),
        (5..=8, false) => Box::new(Dense::<9>::new(n_rows, 8)),
        (5..=8, true) => Box::new(Dense::<10>::new(n_rows, 8)),
        _ => Box::new(Sparse { index: Index::with_capacity(n_rows), entries: Vec::new() }),
    }
}

/// Room for rows that add nothing: they are known, and that is all.
pub(super) fn empty_rows(n_rows: usize) -> Box<dyn Rows> {
    Box::new(Dense::<0>::new(n_rows, 0))
}

/// A value a label, then the mass, then the square where there are any: `N` numbers.
#[derive(Debug)]
struct Dense<const N: usize> {
    index: Index<[f32; N]>,
    n_values: usize,
}

impl<const N: usize> Dense<N> {
    fn new(n_rows: usize, n_values: usize) -> Self {
        Self { index: Index::with_capacity(n_rows), n_values }
    }
}

impl<const N: usize> Rows for Dense<N> {
    fn push(&mut self, row: &NewRow<'_>) {
        let mut numbers = [0.0; N];
        let (values, others) = numbers.split_at_mut(self.n_values);
        for (label, value) in row.labels.iter().zip(row.values) {
            if let Some(to) = values.get_mut(usize::from(*label)) {
                *to = *value;
            }
        }
        others.iter_mut().zip([row.mass, row.square]).for_each(|(to, number)| *to = number);
        self.index.push(row.hash, numbers);
    }

    fn finish(&mut self) {
        self.index.finish();
    }

    fn get(&self, hash: u64) -> Option<Row<'_>> {
        let (_, numbers) = self.index.get(hash)?;
        let (values, others) = numbers.split_at_checked(self.n_values)?;
        let other = |at: usize| others.get(at).copied().map_or(0.0, f64::from);
        Some(Row { mass: other(0), square: other(1), entries: Entries::Dense(values) })
    }

    fn prepare(&self, hashes: &[u64], finder: &mut Finder) {
        self.index.prepare(hashes, finder);
    }

    fn add(&self, finder: &Finder, sum: &mut RowSum) {
        let mut sums = [0.0; N];
        self.index.visit(finder, |_, numbers| {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += f64::from(*number);
            }
        });
        let (values, others) = sums.split_at_checked(self.n_values).unwrap_or_default();
        sum.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        sum.mass += others.first().copied().unwrap_or_default();
        sum.square += others.get(1).copied().unwrap_or_default();
    }

    fn missed(&self, finder: &Finder, missed: &mut Vec<usize>) {
        self.index.missed(finder, missed);
    }
}

/// Entries for some of many labels.
#[derive(Debug)]
struct Sparse {
    index: Index<Place>,
    entries: Vec<Entry>,
}

/// A row whose entries end where those of the next begin.
#[derive(Debug, Clone, Copy)]
struct Place {
    mass: f32,
    square: f32,
    start: u32,
}

impl Sparse {
    #[inline]
    fn row(&self, at: usize, place: &Place) -> Row<'_> {
        let end = self.index.at(at + 1).map_or(self.entries.len(), |next| next.start as usize);
        let entries = self.entries.get(place.start as usize..end).unwrap_or_default();
        let (mass, square) = (f64::from(place.mass), f64::from(place.square));
        Row { mass, square, entries: Entries::Sparse(entries) }
    }
}

impl Rows for Sparse {
    fn push(&mut self, row: &NewRow<'_>) {
        let start = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.extend(row.labels.iter().zip(row.values).map(entry));
        self.index.push(row.hash, Place { mass: row.mass, square: row.square, start });
    }

    fn finish(&mut self) {
        self.entries.shrink_to_fit();
        self.index.finish();
    }

    fn get(&self, hash: u64) -> Option<Row<'_>> {
        self.index.get(hash).map(|(at, place)| self.row(at, place))
    }

    fn prepare(&self, hashes: &[u64], finder: &mut Finder) {
        self.index.prepare(hashes, finder);
    }

    fn add(&self, finder: &Finder, sum: &mut RowSum) {
        self.index.visit(finder, |at, place| sum.add(&self.row(at, place), 1.0, 1.0));
    }

    fn missed(&self, finder: &Finder, missed: &mut Vec<usize>) {
        self.index.missed(finder, missed);
    }
}

/// A value for each of many labels.
#[derive(Debug)]
pub(super) struct Wide {
    /// Mass and square.
    index: Index<[f32; 2]>,
    /// `n_rows × n_labels`.
    values: Vec<f32>,
    n_labels: usize,
}

impl Wide {
    #[inline]
    fn row(&self, at: usize, [mass, square]: [f32; 2]) -> Row<'_> {
        let start = at * self.n_labels;
        let values = self.values.get(start..start + self.n_labels).unwrap_or_default();
        Row { mass: f64::from(mass), square: f64::from(square), entries: Entries::Dense(values) }
    }
}

impl Rows for Wide {
    fn push(&mut self, row: &NewRow<'_>) {
        let start = self.values.len();
        self.values.resize(start + self.n_labels, 0.0);
        let values = self.values.get_mut(start..).unwrap_or_default();
        for (label, value) in row.labels.iter().zip(row.values) {
            if let Some(to) = values.get_mut(usize::from(*label)) {
                *to = *value;
            }
        }
        self.index.push(row.hash, [row.mass, row.square]);
    }

    fn finish(&mut self) {
        self.values.shrink_to_fit();
        self.index.finish();
    }

    fn get(&self, hash: u64) -> Option<Row<'_>> {
        self.index.get(hash).map(|(at, numbers)| self.row(at, *numbers))
    }

    fn prepare(&self, hashes: &[u64], finder: &mut Finder) {
        self.index.prepare(hashes, finder);
    }

    fn add(&self, finder: &Finder, sum: &mut RowSum) {
        self.index.visit(finder, |at, numbers| sum.add(&self.row(at, *numbers), 1.0, 1.0));
    }

    fn missed(&self, finder: &Finder, missed: &mut Vec<usize>) {
        self.index.missed(finder, missed);
    }
}

/// Room for the rows of tokens: of their character features, of which most labels have some.
pub(super) fn token_rows(n_rows: usize, n_labels: usize, has_squares: bool) -> Box<dyn Rows> {
    if n_labels <= 8 {
        return rows(n_rows, n_labels, has_squares);
    }
    Box::new(Wide { index: Index::with_capacity(n_rows), values: Vec::new(), n_labels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::hash::extend;

    #[test]
    fn every_row_is_found_and_added_in_every_layout() {
        let mut hashes: Vec<u64> =
            (100..5_100).map(|n| extend(0, n)).chain([0, u64::MAX]).collect();
        hashes.sort_unstable();
        for n_labels in [2, 3, 4, 5, 8, 9, 150] {
            for mut rows in [rows(5_002, n_labels, true), token_rows(5_002, n_labels, true)] {
                let mut total = 0.0;
                for (value, hash) in (0u16..).zip(&hashes) {
                    let values = [f32::from(value)];
                    total += f64::from(value);
                    let (mass, square) = (2.0, 3.0);
                    rows.push(&NewRow { hash: *hash, mass, square, labels: &[1], values: &values });
                }
                rows.finish();
                for (value, hash) in (0u16..).zip(&hashes) {
                    let row = rows.get(*hash).expect("it was added");
                    assert_eq!((row.mass, row.square), (2.0, 3.0));
                    assert_eq!((row.entry(0), row.entry(1)), (0.0, f64::from(value)));
                }
                let (mut finder, mut sum) = (Finder::default(), RowSum::new(n_labels));
                rows.prepare(&hashes, &mut finder);
                rows.add(&finder, &mut sum);
                assert_eq!((sum.mass, sum.square), (10_004.0, 15_006.0));
                assert_eq!((sum.values[0], sum.values[1]), (0.0, total));
                assert!(rows.get(1).is_none());
            }
        }
    }

    #[test]
    fn rows_that_add_nothing_are_known_all_the_same() {
        let mut rows = empty_rows(1);
        rows.push(&NewRow { hash: 5, mass: 1.0, square: 1.0, labels: &[0], values: &[1.0] });
        rows.finish();
        let (mut finder, mut sum, mut missed) = (Finder::default(), RowSum::new(2), Vec::new());
        rows.prepare(&[4, 5, 6], &mut finder);
        rows.add(&finder, &mut sum);
        rows.missed(&finder, &mut missed);
        assert_eq!((sum.mass, sum.square, missed), (0.0, 0.0, vec![0, 2]));
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let mut rows = rows(0, 2, false);
        rows.finish();
        assert!(rows.get(0).is_none());
    }
}
