//! Rows of numbers under hashes, laid out for the cache: built once, then only read.
//!
//! A row stands in the slot that its hash leads to, so that finding it is reading it; with many
//! labels the slot says where its few entries are. A filter of a byte and a half a row, which
//! stays in the near caches, tells most unknown hashes without a look at the slots.

use std::hint::black_box;

use super::table::RowSum;

/// Bits of the filter for one row. With three bits set a row, of a hundred unknown hashes three pass.
const FILTER_BITS: usize = 12;

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

/// What one label gets beyond the background.
#[derive(Debug, Clone, Copy)]
struct Entry {
    value: f32,
    label: u16,
}

impl Row<'_> {
    /// What the row adds to one label beyond the background.
    pub(super) fn entry(&self, label: usize) -> f64 {
        let value = match self.entries {
            Entries::Dense(values) => values.get(label).copied(),
            Entries::Sparse(entries) => {
                entries.iter().find(|e| usize::from(e.label) == label).map(|e| e.value)
            }
        };
        value.map_or(0.0, f64::from)
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
                    if let Some(sum) = values.get_mut(usize::from(entry.label)) {
                        *sum += times * f64::from(entry.value);
                    }
                }
            }
        }
    }
}

/// Rows by their hashes, in the layout that suits the number of labels.
#[derive(Debug)]
pub(super) enum Rows {
    Four(Slots<[f32; 4]>),
    Eight(Slots<[f32; 8]>),
    Sparse(Slots<Place>, Entered),
}

/// Where the entries of a sparse row are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

/// The entries of all sparse rows.
#[derive(Debug, Default)]
pub(super) struct Entered(Vec<Entry>);

/// A row as it is given to [`Rows::insert`].
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

impl Rows {
    /// Room for so many rows, of so many labels.
    pub(super) fn new(n_rows: usize, n_labels: usize) -> Self {
        match n_labels {
            0..=4 => Self::Four(Slots::new(n_rows, [0.0; 4])),
            5..=8 => Self::Eight(Slots::new(n_rows, [0.0; 8])),
            _ => Self::Sparse(Slots::new(n_rows, Place::default()), Entered::default()),
        }
    }

    /// Adds a row; no more than there is room for, each hash once.
    pub(super) fn insert(&mut self, row: &NewRow<'_>) {
        match self {
            Self::Four(slots) => slots.insert(row, dense(row)),
            Self::Eight(slots) => slots.insert(row, dense(row)),
            Self::Sparse(slots, entered) => {
                let start = u32::try_from(entered.0.len()).unwrap_or(u32::MAX);
                let entries = row.labels.iter().zip(row.values);
                entered
                    .0
                    .extend(entries.map(|(label, value)| Entry { value: *value, label: *label }));
                let end = u32::try_from(entered.0.len()).unwrap_or(u32::MAX);
                slots.insert(row, Place { start, end });
            }
        }
    }

    /// Returns the row of a hash.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<Row<'_>> {
        match self {
            Self::Four(slots) => slots.get(hash).map(|s| s.row(Entries::Dense(&s.payload))),
            Self::Eight(slots) => slots.get(hash).map(|s| s.row(Entries::Dense(&s.payload))),
            Self::Sparse(slots, entered) => {
                slots.get(hash).map(|s| s.row(Entries::Sparse(entered.at(s.payload))))
            }
        }
    }

    /// Leaves in `likely` those of the hashes that may have rows, with these rows on their way into
    /// the cache.
    #[inline]
    pub(super) fn prepare(&self, hashes: &[u64], likely: &mut Vec<u64>) {
        match self {
            Self::Four(slots) => slots.prepare(hashes, likely),
            Self::Eight(slots) => slots.prepare(hashes, likely),
            Self::Sparse(slots, _) => slots.prepare(hashes, likely),
        }
    }

    /// Adds the rows of all hashes to `sum`, and calls `missed` with the position of each hash that
    /// has none.
    #[inline]
    pub(super) fn add(
        &self,
        hashes: impl Iterator<Item = u64>,
        sum: &mut RowSum,
        missed: impl FnMut(usize),
    ) {
        match self {
            Self::Four(slots) => slots.add_dense(hashes, sum, missed),
            Self::Eight(slots) => slots.add_dense(hashes, sum, missed),
            Self::Sparse(slots, entered) => slots.add_sparse(entered, hashes, sum, missed),
        }
    }
}

impl Entered {
    #[inline]
    fn at(&self, place: Place) -> &[Entry] {
        self.0.get(place.start as usize..place.end as usize).unwrap_or_default()
    }
}

fn dense<const N: usize>(row: &NewRow<'_>) -> [f32; N] {
    let mut dense = [0.0; N];
    for (label, value) in row.labels.iter().zip(row.values) {
        if let Some(to) = dense.get_mut(usize::from(*label)) {
            *to = *value;
        }
    }
    dense
}

/// An open-addressing table, at most two thirds full, behind a filter.
#[derive(Debug)]
pub(super) struct Slots<P> {
    slots: Vec<Slot<P>>,
    /// A Bloom filter in which all bits of a hash are in one word.
    filter: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Slot<P> {
    hash: u64,
    /// Negative in an empty slot.
    mass: f32,
    square: f32,
    payload: P,
}

impl<P> Slot<P> {
    #[inline]
    fn row<'a>(&self, entries: Entries<'a>) -> Row<'a> {
        Row { mass: f64::from(self.mass), square: f64::from(self.square), entries }
    }
}

impl<P: Copy> Slots<P> {
    fn new(n_rows: usize, payload: P) -> Self {
        let empty = Slot { hash: 0, mass: -1.0, square: 0.0, payload };
        Self {
            slots: vec![empty; n_rows / 2 * 3 + 8],
            filter: vec![0; n_rows * FILTER_BITS / 64 + 1],
        }
    }

    fn insert(&mut self, row: &NewRow<'_>, payload: P) {
        let word = spread(row.hash, self.filter.len());
        if let Some(word) = self.filter.get_mut(word) {
            *word |= filter_bits(row.hash);
        }
        let mut at = spread(row.hash, self.slots.len());
        while self.slots.get(at).is_some_and(|slot| slot.mass >= 0.0) {
            at = self.next(at);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { hash: row.hash, mass: row.mass, square: row.square, payload };
        }
    }

    #[inline]
    fn get(&self, hash: u64) -> Option<&Slot<P>> {
        let mut at = spread(hash, self.slots.len());
        loop {
            let slot = self.slots.get(at)?;
            if slot.hash == hash || slot.mass < 0.0 {
                return (slot.mass >= 0.0).then_some(slot);
            }
            at = self.next(at);
        }
    }

    fn next(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    fn prepare(&self, hashes: &[u64], likely: &mut Vec<u64>) {
        likely.clear();
        likely.resize(hashes.len(), 0);
        let mut n_likely = 0;
        // Without a branch on what the filter says: it would be guessed wrong half of the time.
        for hash in hashes {
            let word =
                self.filter.get(spread(*hash, self.filter.len())).copied().unwrap_or_default();
            let bits = filter_bits(*hash);
            if let Some(to) = likely.get_mut(n_likely) {
                *to = *hash;
            }
            n_likely += usize::from(word & bits == bits);
        }
        likely.truncate(n_likely);
        // Reads that wait for nothing run side by side; the ones behind a comparison would not.
        let touched = likely.iter().map(|hash| self.slots.get(spread(*hash, self.slots.len())));
        black_box(touched.fold(0, |all, slot| all ^ slot.map_or(0, |slot| slot.hash)));
    }
}

impl<const N: usize> Slots<[f32; N]> {
    #[inline]
    fn add_dense(
        &self,
        hashes: impl Iterator<Item = u64>,
        sum: &mut RowSum,
        mut missed: impl FnMut(usize),
    ) {
        let (mut mass, mut square, mut values) = (0.0, 0.0, [0.0; N]);
        for (at, hash) in hashes.enumerate() {
            let Some(slot) = self.get(hash) else {
                missed(at);
                continue;
            };
            mass += f64::from(slot.mass);
            square += f64::from(slot.square);
            for (value, entry) in values.iter_mut().zip(slot.payload) {
                *value += f64::from(entry);
            }
        }
        sum.mass += mass;
        sum.square += square;
        for (sum, value) in sum.values.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

impl Slots<Place> {
    #[inline]
    fn add_sparse(
        &self,
        entered: &Entered,
        hashes: impl Iterator<Item = u64>,
        sum: &mut RowSum,
        mut missed: impl FnMut(usize),
    ) {
        for (at, hash) in hashes.enumerate() {
            match self.get(hash) {
                Some(slot) => sum.add(&slot.row(Entries::Sparse(entered.at(slot.payload))), 1.0),
                None => missed(at),
            }
        }
    }
}

/// Spreads hashes evenly over `n` places by their upper bits, without a division.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of a 128-bit product")]
fn spread(hash: u64, n: usize) -> usize {
    ((u128::from(hash) * n as u128) >> 64) as usize
}

/// Three bits by the lower bits of a hash.
#[inline]
fn filter_bits(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::hash::extend;

    #[test]
    fn every_hash_is_found_and_no_other_in_every_layout() {
        for n_labels in [2, 4, 5, 8, 9, 150] {
            let hashes: Vec<u64> =
                (100..5_100).map(|n| extend(0, n)).chain([0, u64::MAX]).collect();
            let mut rows = Rows::new(hashes.len(), n_labels);
            for (value, hash) in (0u16..).zip(&hashes) {
                let values = [f32::from(value)];
                rows.insert(&NewRow {
                    hash: *hash,
                    mass: 2.0,
                    square: 3.0,
                    labels: &[1],
                    values: &values,
                });
            }
            for (value, hash) in (0u16..).zip(&hashes) {
                let row = rows.get(*hash).expect("it was inserted");
                assert_eq!((row.mass, row.square), (2.0, 3.0));
                assert_eq!((row.entry(0), row.entry(1)), (0.0, f64::from(value)));
            }
            let unknown: Vec<u64> = (10_000..15_000).map(|n| extend(0, n)).collect();
            assert!(unknown.iter().all(|hash| rows.get(*hash).is_none()));
            let mut likely = Vec::new();
            rows.prepare(&hashes, &mut likely);
            assert_eq!(likely, hashes);
            rows.prepare(&unknown, &mut likely);
            assert!(likely.len() < 500, "{} of 5000 unknown hashes pass", likely.len());
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert!(Rows::new(0, 2).get(0).is_none());
    }
}
