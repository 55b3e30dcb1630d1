//! Which features occur in which example: one sparse matrix a view.
//!
//! - `cells`: the features of one example; `chunk`: those of some.
//! - `frequent`: which of them are features of the matrix.
//! - `known`: which of these a model would know without the example's fold.
//! - `vocabulary`: the tokens of all examples.

mod cells;
mod chunk;
mod frequent;
mod known;
mod vocabulary;

pub(super) use cells::Cell;
pub(super) use vocabulary::vocabulary;

use std::iter::repeat_n;

use rayon::prelude::*;

use self::cells::{RawCell, raw_row};
use self::chunk::Chunk;
use self::frequent::frequent;
use super::Observer;
use super::examples::Dataset;
use super::stream::CountedView;
use crate::features::{Analysis, HashIndex, View};

/// Examples analysed together by one thread.
const CHUNK: usize = 256;
/// Examples an n-gram must occur in to be a feature; single words need one.
///
/// An n-gram of one example tells nothing about others: out of fold it is never known. Counting it
/// would only lengthen the examples that are judged against those that are served. Without
/// them AG-7600 gains 0.4 points, SMS 0.5, SST-2 0.4, and models are a quarter of the size.
const MIN_EXAMPLES: usize = 2;

/// Examples a feature of a view must occur in.
pub(super) fn min_examples(view: View) -> usize {
    if view == View::Word1 { 1 } else { MIN_EXAMPLES }
}

/// The features of all examples in one view, sparse, row by row.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) view: View,
    /// Hashes of the features, ascending. A feature's position is its number.
    pub(super) hashes: Vec<u64>,
    /// `n_examples + 1`: where each example's cells begin.
    pub(super) starts: Vec<usize>,
    /// Cells, ascending by feature within an example.
    pub(super) cells: Vec<Cell>,
    /// One a cell: whether a model that learned without the example's fold would know the feature.
    pub(super) known: Vec<bool>,
}

impl Matrix {
    /// Number of features.
    pub(super) fn n_features(&self) -> usize {
        self.hashes.len()
    }

    /// The cells of one example.
    pub(super) fn row(&self, example: usize) -> &[Cell] {
        match (self.starts.get(example), self.starts.get(example + 1)) {
            (Some(start), Some(end)) => self.cells.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Computes values, one a cell, example by example. Memory is touched as it is filled: zeros for all of
    /// it would take long by themselves.
    pub(super) fn per_cell<T: Send, I: Iterator<Item = T>>(
        &self,
        observer: &dyn Observer,
        values_of: impl Fn(usize) -> I + Sync,
    ) -> Vec<T> {
        let n_examples = self.starts.len().saturating_sub(1);
        let chunks: Vec<Vec<T>> = (0..n_examples.div_ceil(CHUNK))
            .into_par_iter()
            .take_any_while(|_| !observer.is_cancelled())
            .map(|chunk| {
                let examples = chunk * CHUNK..n_examples.min((chunk + 1) * CHUNK);
                examples.flat_map(&values_of).collect()
            })
            .collect();
        let mut values = Vec::with_capacity(self.cells.len());
        observer.wanted(chunks).for_each(|chunk| values.extend(chunk));
        values
    }

    /// Counts the features of one view in all examples; in some of them once the observer has cancelled. Of
    /// a sample only the features count that were found in the whole.
    pub(super) fn count(dataset: &Dataset, view: View, observer: &dyn Observer) -> Self {
        let whole = dataset.counted.as_ref().map(|counted| counted.view(view));
        let chunks: Vec<Chunk<RawCell>> = dataset
            .examples
            .par_chunks(CHUNK)
            .take_any_while(|_| !observer.is_cancelled())
            .map(|examples| {
                let mut analysis = Analysis::default();
                let mut chunk = Chunk::default();
                for example in examples {
                    analysis.analyse(&example.text);
                    chunk.push(raw_row(&analysis, view));
                }
                chunk
            })
            .collect();
        let least = if whole.is_some() { 1 } else { min_examples(view) };
        let mut hashes = frequent(&chunks, least, observer);
        if let Some(whole) = whole {
            let positions = whole.map(|whole| whole.positions(&hashes)).unwrap_or_default();
            let found = hashes.iter().zip(positions);
            let found = found.filter(|(_, position)| *position != CountedView::NONE);
            hashes = found.map(|(hash, _)| *hash).collect();
        }
        let index = HashIndex::new(&hashes);

        let number = |cell: &RawCell| {
            let feature = index.get(cell.hash)?;
            Some(Cell { feature, count: cell.count, square: cell.square })
        };
        let chunks: Vec<Chunk<Cell>> = chunks
            .into_par_iter()
            .take_any_while(|_| !observer.is_cancelled())
            .map(|chunk| {
                let mut numbered = Chunk::default();
                chunk.rows().for_each(|row| numbered.push(row.iter().filter_map(number)));
                numbered
            })
            .collect();
        let (mut starts, mut cells) = (vec![0], Vec::new());
        cells.reserve_exact(chunks.iter().map(|chunk| chunk.cells.len()).sum());
        for chunk in observer.wanted(&chunks) {
            starts.extend(chunk.ends.iter().map(|end| cells.len() + end));
            cells.extend_from_slice(&chunk.cells);
        }
        let known = observer.gather(repeat_n(true, cells.len()));
        Self { view, hashes, starts, cells, known }
    }
}
