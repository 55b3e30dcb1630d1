//! Which features occur in which example: one sparse matrix a view.

use std::collections::HashSet;

use rayon::prelude::*;

use super::Observer;
use super::examples::{Dataset, Example};
use super::stream::CountedView;
use crate::features::{Analysis, HashIndex, View};

/// Examples analysed together by one thread.
const CHUNK: usize = 256;
/// Cells between two looks at whether anybody still waits for them.
pub(super) const BLOCK: usize = 1 << 16;
/// Parts of the hashes, by their upper bits, that are sorted by themselves.
const PART_BITS: u32 = 8;

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

/// The cells of some examples, one example behind the other: so few pieces of memory are given back soon.
#[derive(Debug)]
struct Chunk<C> {
    cells: Vec<C>,
    /// Where each example's cells end.
    ends: Vec<usize>,
}

impl<C> Default for Chunk<C> {
    fn default() -> Self {
        Self { cells: Vec::new(), ends: Vec::new() }
    }
}

impl<C> Chunk<C> {
    fn push(&mut self, row: impl IntoIterator<Item = C>) {
        self.cells.extend(row);
        self.ends.push(self.cells.len());
    }

    fn rows(&self) -> impl Iterator<Item = &[C]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let row = self.cells.get(start..*end).unwrap_or_default();
            start = *end;
            row
        })
    }
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
        let known = vec![true; cells.len()];
        Self { view, hashes, starts, cells, known }
    }

    /// Finds out which features would be none if an example's fold had not been counted. Examples are
    /// judged without these: a model knows as much of a sentence that it has not seen. Of a sample it is
    /// asked how often they were counted in the whole.
    pub(super) fn forget_own_folds(
        &mut self,
        folds: &[Vec<usize>],
        whole: Option<&CountedView>,
        observer: &dyn Observer,
    ) {
        let total = match whole {
            Some(whole) => {
                let positions = whole.positions(&self.hashes);
                positions.into_iter().map(|at| whole.count(at as usize)).collect()
            }
            None => {
                let mut total = vec![0usize; self.n_features()];
                let blocks = observer.wanted(self.cells.chunks(BLOCK));
                blocks.for_each(|cells| count_features(cells, &mut total));
                total
            }
        };
        let mut within = vec![0usize; self.n_features()];
        for fold in folds {
            within.fill(0);
            for example in observer.wanted(fold) {
                count_features(self.row(*example), &mut within);
            }
            for example in observer.wanted(fold) {
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

/// Returns the hashes that at least so many rows have, ascending. They are sorted in parts, none of which
/// takes long.
fn frequent(chunks: &[Chunk<RawCell>], least: usize, observer: &dyn Observer) -> Vec<u64> {
    let chunks: Vec<Vec<u64>> = chunks
        .par_iter()
        .take_any_while(|_| !observer.is_cancelled())
        .map(|chunk| {
            let mut hashes: Vec<u64> = chunk.cells.iter().map(|cell| cell.hash).collect();
            hashes.sort_unstable();
            hashes
        })
        .collect();
    let parts: Vec<Vec<u64>> = (0..1u64 << PART_BITS)
        .into_par_iter()
        .take_any_while(|_| !observer.is_cancelled())
        .map(|part| {
            let of_chunk = |chunk: &Vec<u64>| {
                let end = |before: u64| chunk.partition_point(|hash| part_of(*hash) < before);
                end(part)..end(part + 1)
            };
            let slices = chunks.iter().filter_map(|chunk| chunk.get(of_chunk(chunk)));
            let mut hashes: Vec<u64> = slices.flatten().copied().collect();
            hashes.sort_unstable();
            let runs = hashes.chunk_by(|a, b| a == b).filter(|run| run.len() >= least);
            runs.filter_map(|run| run.first().copied()).collect()
        })
        .collect();
    parts.concat()
}

fn part_of(hash: u64) -> u64 {
    hash >> (u64::BITS - PART_BITS)
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
pub(super) fn vocabulary(dataset: &Dataset, observer: &dyn Observer) -> Vec<String> {
    let learn = |mut tokens: HashSet<String>, examples: &[Example]| {
        let mut analysis = Analysis::default();
        for example in examples {
            analysis.analyse(&example.text);
            for token in analysis.tokens() {
                let text = analysis.folded(token);
                if !tokens.contains(text) {
                    tokens.insert(text.to_owned());
                }
            }
        }
        tokens
    };
    let merge = |a: HashSet<String>, b: HashSet<String>| {
        let (mut all, few) = if a.len() < b.len() { (b, a) } else { (a, b) };
        all.extend(few);
        all
    };
    let chunks = dataset.examples.par_chunks(CHUNK);
    let wanted = chunks.take_any_while(|_| !observer.is_cancelled());
    let tokens = wanted.fold(HashSet::new, learn).reduce(HashSet::new, merge);
    let mut tokens: Vec<String> = tokens.into_iter().collect();
    tokens.par_sort_unstable();
    tokens
}
