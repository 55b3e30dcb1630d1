//! Which features occur in which example: one sparse matrix a view.

use rayon::prelude::*;

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

/// A feature that occurs in an example.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Number of the feature.
    pub(super) feature: u32,
    /// How often it counts: 1, or in the character view its occurrences.
    pub(super) count: f32,
    /// Its part of the squared length, before weighting: the sum over the sentence's tokens of the
    /// square of its occurrences within the token.
    pub(super) square: f32,
}

/// The same before features have numbers.
#[derive(Debug, Clone, Copy)]
struct RawCell {
    hash: u64,
    count: f32,
    square: f32,
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

    /// Counts the features of one view in all examples; in some of them once the observer has cancelled. Of
    /// a sample only the features count that were found in the whole.
    pub(super) fn count(dataset: &Dataset, view: View, observer: &dyn Observer) -> Self {
        let whole = dataset.counted.as_ref().map(|counted| counted.view(view));
        let rows: Vec<Vec<RawCell>> = dataset
            .examples
            .par_chunks(CHUNK)
            .take_any_while(|_| !observer.is_cancelled())
            .flat_map_iter(|examples| {
                let mut analysis = Analysis::default();
                examples.iter().map(move |example| {
                    analysis.analyse(&example.text);
                    raw_row(&analysis, view)
                })
            })
            .collect();
        let mut hashes: Vec<u64> = rows.par_iter().flatten_iter().map(|cell| cell.hash).collect();
        hashes.par_sort_unstable();
        let least = if whole.is_some() { 1 } else { min_examples(view) };
        let runs = hashes.chunk_by(|a, b| a == b).filter(|run| run.len() >= least);
        let mut hashes: Vec<u64> = runs.filter_map(|run| run.first().copied()).collect();
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
        let rows: Vec<Vec<Cell>> =
            rows.par_iter().map(|row| row.iter().filter_map(number).collect()).collect();
        let ends = rows.iter().scan(0, |end, row| {
            *end += row.len();
            Some(*end)
        });
        let starts = std::iter::once(0).chain(ends).collect();
        let cells: Vec<Cell> = rows.into_iter().flatten().collect();
        let known = vec![true; cells.len()];
        Self { view, hashes, starts, cells, known }
    }

    /// Finds out which features would be none if an example's fold had not been counted. Examples are
    /// judged without these: a model knows as much of a sentence that it has not seen. Of a sample it is
    /// asked how often they were counted in the whole.
    pub(super) fn forget_own_folds(&mut self, folds: &[Vec<usize>], whole: Option<&CountedView>) {
        let total = match whole {
            Some(whole) => {
                let positions = whole.positions(&self.hashes);
                positions.into_iter().map(|at| whole.count(at as usize)).collect()
            }
            None => {
                let mut total = vec![0usize; self.n_features()];
                count_features(&self.cells, &mut total);
                total
            }
        };
        let mut within = vec![0usize; self.n_features()];
        for fold in folds {
            within.fill(0);
            for example in fold {
                count_features(self.row(*example), &mut within);
            }
            for example in fold {
                let start = self.starts.get(*example).copied().unwrap_or_default();
                for at in start..start + self.row(*example).len() {
                    let feature = self.cells.get(at).map_or(0, |cell| cell.feature as usize);
                    let outside = total
                        .get(feature)
                        .zip(within.get(feature))
                        .map_or(0, |(t, w)| t.saturating_sub(*w));
                    if let Some(known) = self.known.get_mut(at) {
                        *known = outside >= min_examples(self.view);
                    }
                }
            }
        }
    }
}

/// Adds to each feature's count the cells that have it.
fn count_features(cells: &[Cell], counts: &mut [usize]) {
    for cell in cells {
        if let Some(count) = counts.get_mut(cell.feature as usize) {
            *count += 1;
        }
    }
}

/// The distinct features of a sentence, ascending by hash, which is also ascending by number.
fn raw_row(analysis: &Analysis, view: View) -> Vec<RawCell> {
    let mut occurrences = Vec::new();
    view.for_each(analysis, |hash, gram| occurrences.push((hash, gram.position())));
    occurrences.sort_unstable();
    occurrences.chunk_by(|a, b| a.0 == b.0).filter_map(|run| raw_cell(run, view)).collect()
}

/// One feature from its occurrences, which are ascending by position.
fn raw_cell(run: &[(u64, u32)], view: View) -> Option<RawCell> {
    let hash = run.first()?.0;
    if !view.counts_repeats() {
        return Some(RawCell { hash, count: 1.0, square: 1.0 });
    }
    let in_tokens = run.chunk_by(|a, b| a.1 == b.1).map(|in_token| number(in_token.len()));
    Some(RawCell { hash, count: number(run.len()), square: in_tokens.map(|n| n * n).sum() })
}

#[allow(clippy::cast_precision_loss, reason = "occurrences in one sentence are far below 2^24")]
fn number(n: usize) -> f32 {
    n as f32
}

/// Returns the folded text of every token of the examples, ascending by bytes.
pub(super) fn vocabulary(dataset: &Dataset) -> Vec<String> {
    let mut tokens: Vec<String> = dataset
        .examples
        .par_chunks(CHUNK)
        .flat_map_iter(|examples| {
            let mut analysis = Analysis::default();
            let mut tokens: Vec<String> = Vec::new();
            for example in examples {
                analysis.analyse(&example.text);
                tokens.extend(analysis.tokens().iter().map(|t| analysis.folded(t).to_owned()));
            }
            tokens.sort_unstable();
            tokens.dedup();
            tokens
        })
        .collect();
    tokens.par_sort_unstable();
    tokens.dedup();
    tokens
}
