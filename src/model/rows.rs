//! Rows of numbers under hashes, in the layout that suits the number of labels: built once, then
//! only read.
//!
//! With few labels a row has a value for each. With many it says where its entries are, of which most
//! rows have few.

use super::index::{Finder, Index};
use super::table::RowSum;

/// Labels up to which rows have a value for each.
pub(super) const FEW_LABELS: usize = 8;

/// What is added to the labels by one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// How much of the view's background it brings.
    pub(super) mass: f64,
    /// What it adds to the squared length.
    pub(super) square: f64,
    pub(super) entries: Entries<'a>,
}

/// What labels get beyond the background.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entries<'a> {
    /// Each label.
    Dense(&'a [f32]),
    /// Some of them.
    Sparse(&'a [Entry]),
    /// Some of them, as [`Parts`](super::Parts) has it: labels, ascending, and their values.
    Listed(&'a [u16], &'a [f32]),
}

/// What one label gets: the label, and the lower and the upper half of the value.
/// Six bytes and no padding.
pub(super) type Entry = [u16; 3];

impl Row<'_> {
    /// What the row adds to one label beyond the background.
    pub(super) fn entry(&self, label: usize) -> f64 {
        match self.entries {
            Entries::Dense(values) => values.get(label).copied().map_or(0.0, f64::from),
            Entries::Sparse(entries) => {
                let of_label = |entry: &&Entry| usize::from(entry[0]) == label;
                entries.iter().find(of_label).map_or(0.0, value)
            }
            Entries::Listed(labels, values) => {
                let mut entries = labels.iter().zip(values);
                let of_label = entries.find(|(of, _)| usize::from(**of) == label);
                of_label.map_or(0.0, |(_, value)| f64::from(*value))
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
            Entries::Listed(labels, row) => {
                for (label, value) in labels.iter().zip(row) {
                    if let Some(sum) = values.get_mut(usize::from(*label)) {
                        *sum += times * f64::from(*value);
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

/// A row as it is given to [`Rows::new`].
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

impl<'a> NewRow<'a> {
    /// The row that will stand there.
    pub(super) fn row(&self) -> Row<'a> {
        let entries = Entries::Listed(self.labels, self.values);
        Row { mass: f64::from(self.mass), square: f64::from(self.square), entries }
    }
}

/// Rows by their hashes.
#[derive(Debug)]
pub(super) struct Rows {
    index: Index,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    /// Row after row: a value a label, the mass, and the square where rows have one.
    Dense { numbers: Vec<f32>, n_labels: usize, stride: usize },
    /// Row after row its place.
    Sparse { places: Vec<Place>, entries: Vec<Entry> },
}

/// A row, and which of the entries are its.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    mass: f32,
    square: f32,
    start: u32,
    n: u32,
}

impl Rows {
    /// `n` rows with distinct hashes, for so many labels; `has_squares`: with squares.
    pub(super) fn new<'a>(
        (n_labels, has_squares): (usize, bool),
        n: usize,
        row: impl Fn(usize) -> Option<NewRow<'a>>,
    ) -> Self {
        let hashes: Vec<_> = (0..n).filter_map(&row).map(|row| (row.hash, ())).collect();
        let (index, slots) = Index::new(&hashes);
        let rows = slots.iter().zip((0..n).filter_map(row));
        let numbers = if n_labels <= FEW_LABELS {
            dense(n_labels, has_squares, index.n_slots(), rows)
        } else {
            sparse(index.n_slots(), rows)
        };
        Self { index, numbers }
    }

    /// The row of a hash.
    pub(super) fn get(&self, hash: u64) -> Option<Row<'_>> {
        self.index.find(hash).map(|at| self.row(at))
    }

    /// Adds the rows of those of the hashes that have one to `sum`, each once.
    pub(super) fn sum(&self, hashes: &[u64], finder: &mut Finder, sum: &mut RowSum) {
        let slots = self.index.find_all(hashes, finder);
        match &self.numbers {
            Numbers::Dense { numbers, n_labels, stride } => {
                let mut totals = [0.0; MAX_STRIDE];
                add_dense(numbers, *stride, slots, &mut totals);
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

    #[inline]
    fn row(&self, at: usize) -> Row<'_> {
        match &self.numbers {
            Numbers::Dense { numbers, n_labels, stride } => {
                let numbers = numbers.get(at * stride..(at + 1) * stride).unwrap_or_default();
                let (values, others) = numbers.split_at_checked(*n_labels).unwrap_or_default();
                let other = |nth: usize| others.get(nth).copied().map_or(0.0, f64::from);
                Row { mass: other(0), square: other(1), entries: Entries::Dense(values) }
            }
            Numbers::Sparse { places, entries } => {
                let place = places.get(at).copied().unwrap_or_default();
                let start = place.start as usize;
                let range = start..start + place.n as usize;
                let entries = Entries::Sparse(entries.get(range).unwrap_or_default());
                Row { mass: f64::from(place.mass), square: f64::from(place.square), entries }
            }
        }
    }
}

/// What is in a free slot is never asked for.
fn dense<'a, 'b>(
    n_labels: usize,
    has_squares: bool,
    n_slots: usize,
    rows: impl Iterator<Item = (&'b u32, NewRow<'a>)>,
) -> Numbers {
    let stride = n_labels + 1 + usize::from(has_squares);
    let mut numbers = vec![0.0; n_slots * stride];
    for (slot, row) in rows {
        let start = *slot as usize * stride;
        let to = numbers.get_mut(start..start + stride).unwrap_or_default();
        let (values, others) = to.split_at_mut_checked(n_labels).unwrap_or_default();
        for (label, value) in row.labels.iter().zip(row.values) {
            if let Some(to) = values.get_mut(usize::from(*label)) {
                *to = *value;
            }
        }
        others.iter_mut().zip([row.mass, row.square]).for_each(|(to, number)| *to = number);
    }
    Numbers::Dense { numbers, n_labels, stride }
}

fn sparse<'a, 'b>(n_slots: usize, rows: impl Iterator<Item = (&'b u32, NewRow<'a>)>) -> Numbers {
    let mut places = vec![Place::default(); n_slots];
    let mut entries = Vec::new();
    for (slot, row) in rows {
        if let Some(place) = places.get_mut(*slot as usize) {
            let start = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let n = u32::try_from(row.labels.len()).unwrap_or_default();
            *place = Place { mass: row.mass, square: row.square, start, n };
        }
        entries.extend(row.labels.iter().zip(row.values).map(entry));
    }
    entries.shrink_to_fit();
    Numbers::Sparse { places, entries }
}

/// Most numbers of a row that has a value for each label: also a mass and a square.
const MAX_STRIDE: usize = FEW_LABELS + 2;

/// Adds the rows of `stride` numbers each that stand at some positions to `totals`.
pub(super) fn add_dense(numbers: &[f32], stride: usize, positions: &[u32], totals: &mut [f64]) {
    match stride {
        2 => add_wide::<2>(numbers, positions, totals),
        3 => add_wide::<3>(numbers, positions, totals),
        4 => add_wide::<4>(numbers, positions, totals),
        5 => add_wide::<5>(numbers, positions, totals),
        6 => add_wide::<6>(numbers, positions, totals),
        7 => add_wide::<7>(numbers, positions, totals),
        _ => add_in_blocks(numbers, stride, positions, totals),
    }
}

/// The same for long rows: column block by column block, so that the sums of one stay in registers.
fn add_in_blocks(numbers: &[f32], stride: usize, positions: &[u32], totals: &mut [f64]) {
    const BLOCK: usize = 16;
    for (first, totals) in (0..).step_by(BLOCK).zip(totals.chunks_mut(BLOCK)) {
        let mut sums = [0.0; BLOCK];
        for position in positions {
            let row = numbers.get(*position as usize * stride + first..).unwrap_or_default();
            // Behind the last column the next row is read, and its sums are dropped.
            let add = |(sum, number): (&mut f64, &f32)| *sum += f64::from(*number);
            match row.first_chunk::<BLOCK>() {
                Some(row) => sums.iter_mut().zip(row).for_each(add),
                None => sums.iter_mut().zip(row).for_each(add),
            }
        }
        totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
}

/// The same for rows of `N` numbers, whose sums stay in registers.
fn add_wide<const N: usize>(numbers: &[f32], positions: &[u32], totals: &mut [f64]) {
    let (rows, _) = numbers.as_chunks::<N>();
    let mut sums = [0.0; N];
    for position in positions {
        let Some(row) = rows.get(*position as usize) else { continue };
        for (sum, number) in sums.iter_mut().zip(row) {
            *sum += f64::from(*number);
        }
    }
    totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
}

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
