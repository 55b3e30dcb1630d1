//! Rows of numbers under hashes, in the layout that suits the number of labels: built once, then
//! only read.
//!
//! With few labels a row has a value for each. With many it says where its entries are, of which most
//! rows have few.

use rayon::prelude::*;

use super::PartsError;
use super::add::add_rows;
use super::arrays::{Array, Arrays};
use super::index::{FREE, Finder, Index};
use super::row::{Entries, Entry, NewRow, Row, entry, single};
use super::table::RowSum;

/// Labels up to which rows have a value for each.
pub(super) const FEW_LABELS: usize = 8;

/// Rows by their hashes.
#[derive(Debug, PartialEq)]
pub(super) struct Rows {
    index: Index,
    numbers: Numbers,
}

#[derive(Debug, PartialEq)]
enum Numbers {
    /// Row after row: a value a label, the mass, and the square where rows have one.
    Dense { numbers: Vec<f32>, n_labels: usize, stride: usize },
    /// Row after row its place, and one behind the last; the square where rows have one.
    Sparse { places: Vec<Place>, squares: Vec<f32>, entries: Vec<Entry> },
}

/// A row's mass, and where its entries begin; they end where those of the next begin.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    mass: f32,
    start: u32,
}

impl Rows {
    /// `n` rows with distinct hashes, for so many labels; `has_squares`: with squares.
    pub(super) fn new<'a>(
        (n_labels, has_squares): (usize, bool),
        n: usize,
        row: impl Fn(usize) -> Option<NewRow<'a>> + Sync,
    ) -> Self {
        let hashes: Vec<_> = (0..n).filter_map(&row).map(|row| (row.hash, ())).collect();
        let (index, owners) = Index::new(&hashes);
        let row = |owner: u32| row(owner as usize).filter(|_| owner != FREE);
        let numbers = if n_labels <= FEW_LABELS {
            dense(n_labels, has_squares, &owners, row)
        } else {
            sparse(has_squares, &owners, row)
        };
        Self { index, numbers }
    }

    /// Reads them from their arrays, whose names have this prefix; for so many labels, `has_squares`: with
    /// squares. They are to be checked.
    pub(super) fn from_arrays(
        arrays: &mut Arrays<'_>,
        prefix: &str,
        (n_labels, has_squares): (usize, bool),
    ) -> Result<Self, PartsError> {
        let index = Index::<()>::from_arrays(arrays, prefix)?;
        let n = index.n_slots();
        let name = |name: &str| format!("{prefix}.{name}");
        let numbers = if n_labels <= FEW_LABELS {
            let stride = stride(n_labels, has_squares);
            let numbers = arrays.take(&name("rows"), &[n, stride])?;
            Numbers::Dense { numbers, n_labels, stride }
        } else {
            let n_squares = if has_squares { n } else { 0 };
            let squares = arrays.take(&name("squares"), &[n_squares])?;
            // Behind the last row none begins.
            let mut masses: Vec<f32> = arrays.take(&name("masses"), &[n])?;
            masses.push(0.0);
            let starts: Vec<u32> = arrays.take(&name("starts"), &[n + 1])?;
            let place = |(mass, start)| Place { mass, start };
            let places = masses.into_par_iter().zip(starts).map(place).collect();
            let labels: Vec<u16> = arrays.take_list(&name("labels"))?;
            let values: Vec<f32> = arrays.take(&name("values"), &[labels.len()])?;
            let entries = labels.par_iter().zip(&values).map(entry).collect();
            Numbers::Sparse { places, squares, entries }
        };
        Ok(Self { index, numbers })
    }

    /// Their arrays.
    pub(super) fn arrays(&self, prefix: &str) -> Vec<Array<'_>> {
        let mut arrays: Vec<Array<'_>> = self.index.arrays(prefix);
        let (n, name) = (self.n_slots(), |name: &str| format!("{prefix}.{name}"));
        match &self.numbers {
            Numbers::Dense { numbers, stride, .. } => {
                arrays.push(Array::lent(name("rows"), vec![n, *stride], numbers));
            }
            Numbers::Sparse { places, squares, entries } => {
                let masses = places.iter().take(n).map(|place| place.mass).collect();
                let starts = places.iter().map(|place| place.start).collect();
                let labels = entries.iter().map(|[label, ..]| *label).collect();
                let values = entries.iter().map(single).collect();
                arrays.extend([
                    Array::list::<f32>(name("masses"), masses),
                    Array::list::<u32>(name("starts"), starts),
                    Array::list::<u16>(name("labels"), labels),
                    Array::list::<f32>(name("values"), values),
                ]);
                arrays.push(Array::lent(name("squares"), vec![squares.len()], squares));
            }
        }
        arrays
    }

    /// Checks all that looking up and adding rely on; returns how many rows there are.
    pub(super) fn check(&self, prefix: &str, n_labels: usize) -> Result<usize, PartsError> {
        let n = self.index.check(&format!("{prefix}.hashes"))?;
        let wrong = match &self.numbers {
            Numbers::Dense { numbers, stride, .. } => wrong_dense(numbers, n_labels, *stride),
            Numbers::Sparse { places, squares, entries } => {
                wrong_sparse(places, squares, entries, n_labels)
            }
        };
        match wrong {
            Some(name) => Err(PartsError::new(format!("{prefix}.{name}"), OUT_OF_RANGE)),
            None => Ok(n),
        }
    }

    /// The row of a hash.
    pub(super) fn get(&self, hash: u64) -> Option<Row<'_>> {
        self.find(hash).map(|slot| self.row(slot))
    }

    /// The slot of a hash.
    pub(super) fn find(&self, hash: u64) -> Option<usize> {
        self.index.find(hash)
    }

    /// Number of slots.
    pub(super) fn n_slots(&self) -> usize {
        self.index.n_slots()
    }

    /// Adds the rows of those of the hashes that have one to `sum`, each once.
    pub(super) fn sum(&self, hashes: &[u64], finder: &mut Finder, sum: &mut RowSum) {
        let slots = self.index.find_all(hashes, finder);
        match &self.numbers {
            Numbers::Dense { numbers, n_labels, stride } => {
                let mut totals = [0.0; MAX_STRIDE];
                add_rows(numbers, *stride, slots, &mut totals);
                let (values, others) = totals.split_at_checked(*n_labels).unwrap_or_default();
                sum.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                sum.mass += others.first().copied().unwrap_or_default();
                sum.square += others.get(1).copied().unwrap_or_default();
            }
            Numbers::Sparse { .. } => {
                for slot in slots {
                    sum.add(&self.row(*slot as usize), 1.0, 1.0);
                }
            }
        }
    }

    /// The row in a slot.
    #[inline]
    pub(super) fn row(&self, at: usize) -> Row<'_> {
        match &self.numbers {
            Numbers::Dense { numbers, n_labels, stride } => {
                let numbers = numbers.get(at * stride..(at + 1) * stride).unwrap_or_default();
                let (values, others) = numbers.split_at_checked(*n_labels).unwrap_or_default();
                let other = |nth: usize| others.get(nth).copied().map_or(0.0, f64::from);
                Row { mass: other(0), square: other(1), entries: Entries::Dense(values) }
            }
            Numbers::Sparse { places, squares, entries } => {
                let Some([place, next]) = places.get(at..).and_then(<[_]>::first_chunk) else {
                    return Row { mass: 0.0, square: 0.0, entries: Entries::Sparse(&[]) };
                };
                let range = place.start as usize..next.start as usize;
                let entries = Entries::Sparse(entries.get(range).unwrap_or_default());
                let square = squares.get(at).copied().map_or(0.0, f64::from);
                Row { mass: f64::from(place.mass), square, entries }
            }
        }
    }
}

/// Numbers of a row that has a value for each label.
fn stride(n_labels: usize, has_squares: bool) -> usize {
    n_labels + 1 + usize::from(has_squares)
}

const OUT_OF_RANGE: &str = "a value is not finite, out of range or out of order";

/// Which array has something that scoring does not expect, if any.
fn wrong_dense(numbers: &[f32], n_labels: usize, stride: usize) -> Option<&'static str> {
    let is_good = |row: &[f32]| {
        let (values, others) = row.split_at_checked(n_labels).unwrap_or_default();
        values.iter().all(|value| value.is_finite()) && others.iter().all(is_amount)
    };
    let rows = numbers.par_chunks(stride).with_min_len(AT_ONCE);
    (!rows.all(is_good)).then_some("rows")
}

fn wrong_sparse(
    places: &[Place],
    squares: &[f32],
    entries: &[Entry],
    n_labels: usize,
) -> Option<&'static str> {
    let start_of = |place: Option<&Place>| place.map(|place| place.start as usize);
    let is_whole = start_of(places.first()) == Some(0)
        && start_of(places.last()) == Some(entries.len())
        && places.is_sorted_by_key(|place| place.start);
    let ascends = |bounds: &[Place]| {
        let range = start_of(bounds.first())..start_of(bounds.last());
        let row = range.start.zip(range.end).and_then(|(start, end)| entries.get(start..end));
        row.is_some_and(|row| row.is_sorted_by(|[a, ..], [b, ..]| a < b))
    };
    let rows = places.par_windows(2).with_min_len(AT_ONCE);
    let entries = entries.par_iter().with_min_len(AT_ONCE);
    if !places.iter().all(|place| is_amount(&place.mass)) {
        Some("masses")
    } else if !squares.iter().all(is_amount) {
        Some("squares")
    } else if !is_whole {
        Some("starts")
    } else if !rows.all(ascends) || !entries.clone().all(|[of, ..]| usize::from(*of) < n_labels) {
        Some("labels")
    } else if !entries.all(|entry| single(entry).is_finite()) {
        Some("values")
    } else {
        None
    }
}

/// Whether it may be a mass or a square.
pub(super) fn is_amount(number: &f32) -> bool {
    number.is_finite() && *number >= 0.0
}

/// Rows that are checked at a time.
const AT_ONCE: usize = 1 << 12;

/// Rows by who has their slot. What is in a free one is never asked for.
fn dense<'a>(
    n_labels: usize,
    has_squares: bool,
    owners: &[u32],
    row: impl Fn(u32) -> Option<NewRow<'a>> + Sync,
) -> Numbers {
    let stride = stride(n_labels, has_squares);
    let mut numbers = vec![0.0; owners.len() * stride];
    numbers.par_chunks_exact_mut(stride).zip(owners).for_each(|(to, owner)| {
        let Some(row) = row(*owner) else { return };
        let (values, others) = to.split_at_mut_checked(n_labels).unwrap_or_default();
        for (label, value) in row.labels.iter().zip(row.values) {
            if let Some(to) = values.get_mut(usize::from(*label)) {
                *to = *value;
            }
        }
        others.iter_mut().zip([row.mass, row.square]).for_each(|(to, number)| *to = number);
    });
    Numbers::Dense { numbers, n_labels, stride }
}

fn sparse<'a>(
    has_squares: bool,
    owners: &[u32],
    row: impl Fn(u32) -> Option<NewRow<'a>>,
) -> Numbers {
    let mut places = Vec::with_capacity(owners.len() + 1);
    let (mut squares, mut entries) = (Vec::new(), Vec::new());
    let start = |entries: &Vec<Entry>| u32::try_from(entries.len()).unwrap_or(u32::MAX);
    for owner in owners {
        let row = row(*owner);
        let (mass, square) = row.map_or((0.0, 0.0), |row| (row.mass, row.square));
        places.push(Place { mass, start: start(&entries) });
        squares.extend(has_squares.then_some(square));
        if let Some(row) = row {
            entries.extend(row.labels.iter().zip(row.values).map(entry));
        }
    }
    places.push(Place { mass: 0.0, start: start(&entries) });
    entries.shrink_to_fit();
    squares.shrink_to_fit();
    Numbers::Sparse { places, squares, entries }
}

/// Most numbers of a row that has a value for each label: also a mass and a square.
const MAX_STRIDE: usize = FEW_LABELS + 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::hash::extend;

    #[test]
    fn every_row_is_found_and_added_in_every_layout() {
        let hashes: Vec<u64> = (100..5_100).map(|n| extend(0, n)).chain([0, u64::MAX]).collect();
        let values: Vec<[f32; 1]> = (0u16..5_002).map(|n| [f32::from(n)]).collect();
        let total: f64 = values.iter().map(|[value]| f64::from(*value)).sum();
        for (n_labels, has_squares) in
            [2, 3, 4, 5, 6, 7, 8, 9, 150].into_iter().flat_map(|n| [(n, false), (n, true)])
        {
            let (mass, square) = (2.0, if has_squares { 3.0 } else { 0.0 });
            let row = |(hash, values): (&u64, &'static [f32])| NewRow {
                hash: *hash,
                mass,
                square,
                labels: &[1],
                values,
            };
            let values: &'static [[f32; 1]] = values.clone().leak();
            let new = |nth: usize| Some(row((hashes.get(nth)?, values.get(nth)?.as_slice())));
            let rows = Rows::new((n_labels, has_squares), hashes.len(), new);
            for (hash, [value]) in hashes.iter().zip(values) {
                let row = rows.get(*hash).expect("it was added");
                assert_eq!((row.mass, row.square), (2.0, f64::from(square)));
                assert_eq!((row.entry(0), row.entry(1)), (0.0, f64::from(*value)));
            }
            let (mut finder, mut sum) = (Finder::default(), RowSum::new(n_labels));
            rows.sum(&hashes, &mut finder, &mut sum);
            assert_eq!((sum.mass, sum.square), (10_004.0, 5_002.0 * f64::from(square)));
            assert_eq!((sum.values[0], sum.values[1]), (0.0, total));
            assert!(rows.get(1).is_none());
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert!(Rows::new((2, false), 0, |_| None).get(0).is_none());
    }
}
