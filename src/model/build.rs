//! Builds the table of [`Parts`]: at the end of a training, and for files that hold parts.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Parts;
use super::row::{NewRow, Row};
use super::rows::Rows;
use super::table::{InTokens, Table, background};
use super::token_rows::TokenRows;
use crate::features::{HashIndex, Mark, View, hash};

impl Table {
    /// Builds the table. The parts must have passed [`Parts::check`].
    pub(super) fn new(parts: &Parts) -> Self {
        let views = parts.metadata.settings.used_views();
        let n_labels = parts.offsets.len();
        let builder = Builder {
            parts,
            shape: (n_labels, parts.metadata.is_normalised()),
            index: HashIndex::new(&parts.hashes),
            homes: parts.hashes.iter().map(|_| AtomicU8::new(NGRAMS)).collect(),
        };
        let tokens = builder.tokens(&views);
        let (ngrams, characters) =
            rayon::join(|| builder.rows(NGRAMS), || builder.rows(CHARACTERS));
        Self {
            offsets: parts.offsets.clone(),
            background: parts.background.clone(),
            is_normalised: parts.metadata.is_normalised(),
            views,
            in_tokens: InTokens::of(n_labels, tokens.index().n_slots()),
            tokens,
            ngrams,
            characters,
        }
    }
}

/// Where a feature's row stands: among the n-grams, among the characters, or in the row of its token.
const NGRAMS: u8 = 0;
const CHARACTERS: u8 = 1;
const TOKEN: u8 = 2;

struct Builder<'a> {
    parts: &'a Parts,
    /// Number of labels, and whether rows have squares.
    shape: (usize, bool),
    index: HashIndex,
    /// A home a feature; tokens are looked at by several threads.
    homes: Vec<AtomicU8>,
}

impl Builder<'_> {
    /// Sums up what tokens add, and sees where features belong.
    fn tokens(&self, used: &[View]) -> TokenRows {
        let (n_labels, _) = self.shape;
        let views = |n_slots| InTokens::of(n_labels, n_slots).views(used);
        TokenRows::new(&self.parts.vocabulary, views, self.shape, |token, view, sum| {
            if view == View::Character {
                let row = |at| self.parts.row(at).map(|row| row.row());
                sum.add_characters(token, 1.0, |hash| self.find(hash, CHARACTERS), row);
            } else if let Some(row) = self.single(view, hash::token(token)) {
                sum.add(&row, 1.0, 1.0);
            }
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
        Rows::new(self.shape, wanted.len(), row)
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
