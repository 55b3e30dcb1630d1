//! The features of one example, as cells of its row.

use crate::features::{Analysis, View};

/// A feature that occurs in an example.
#[derive(Debug, Clone, Copy)]
pub(in crate::train) struct Cell {
    /// Number of the feature.
    pub(in crate::train) feature: u32,
    /// How often it counts: 1, or in the character view its occurrences.
    pub(in crate::train) count: f32,
    /// Its part of the squared length, before weighting: the sum over the sentence's tokens of the
    /// square of its occurrences within the token.
    pub(in crate::train) square: f32,
}

/// The same before its feature has a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawCell {
    pub(super) hash: u64,
    pub(super) count: f32,
    pub(super) square: f32,
}

/// The distinct features of a sentence, ascending by hash, which is also ascending by number.
pub(super) fn raw_row(analysis: &Analysis, view: View) -> Vec<RawCell> {
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
