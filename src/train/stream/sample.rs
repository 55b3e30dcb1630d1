//! The rows that are kept: all of them while they are few, then those whose texts have the smallest
//! hashes. So it does not depend on the order of the rows which ones these are, and a text is in the
//! sample with all its rows or not at all.

use bytestring::ByteString;

use crate::train::examples::{Example, TextKey};

/// A number of rows and of bytes of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Kept rows.
#[derive(Debug)]
pub(super) struct Sample {
    kept: Vec<Kept>,
    bytes: usize,
    seed: u64,
    /// The first that did not fit: what comes behind it does not either.
    end: Option<Place>,
}

/// Where a row stands in the order in which rows are chosen.
type Place = (u64, TextKey);

/// A kept row.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: TextKey,
    pub(super) example: Example,
}

impl Sample {
    pub(super) fn new(seed: u64) -> Self {
        Self { kept: Vec::new(), bytes: 0, seed, end: None }
    }

    /// Whether a row with this text may be among those that are kept in the end.
    pub(super) fn wants(&self, key: TextKey) -> bool {
        self.end.is_none_or(|end| (key.place(self.seed), key) < end)
    }

    pub(super) fn push(&mut self, key: TextKey, example: Example) {
        self.bytes += example.text.len();
        self.kept.push(Kept { key, example });
    }

    pub(super) fn exceeds(&self, size: Size) -> bool {
        self.kept.len() > size.rows || self.bytes > size.bytes
    }

    /// Keeps the rows with the smallest hashes that fit.
    pub(super) fn shrink(&mut self, size: Size) {
        let seed = self.seed;
        let place = |kept: &Kept| (kept.key.place(seed), kept.key);
        self.kept.sort_unstable_by_key(place);
        let (mut n_rows, mut n_bytes) = (0, 0);
        for kept in &self.kept {
            let bytes = n_bytes + kept.example.text.len();
            if n_rows == size.rows || bytes > size.bytes {
                break;
            }
            (n_rows, n_bytes) = (n_rows + 1, bytes);
        }
        self.end = self.kept.get(n_rows).map(place).or(self.end);
        self.kept.truncate(n_rows);
        for Kept { example, .. } in &mut self.kept {
            // By itself: the memory that it shared goes with those that are not kept.
            example.text = ByteString::from(&*example.text);
        }
        self.bytes = n_bytes;
    }

    /// The rows, in no order.
    pub(super) fn rows(&self) -> &[Kept] {
        &self.kept
    }

    /// The rows in the order in which they came.
    pub(super) fn into_rows(mut self) -> Vec<Kept> {
        self.kept.sort_by_key(|kept| kept.example.line);
        self.kept
    }
}
