//! Which examples are judged together by tables that did not count them.
//!
//! Folds are stratified: every fold has its share of every label. Examples with the same tokens are in one
//! fold, so that none is judged by its own copy. The assignment depends on the texts and the seed, not
//! on the order of the rows.

use std::collections::HashMap;

use super::Observer;
use super::examples::Dataset;
use crate::features::{Analysis, hash};

/// Assigns each example a fold in `0..n_folds`. With fewer examples than folds, as many folds as examples.
pub(super) fn assign(
    dataset: &Dataset,
    n_folds: u32,
    seed: u64,
    observer: &dyn Observer,
) -> Vec<u32> {
    let n_folds = n_folds.min(u32::try_from(dataset.examples.len()).unwrap_or(u32::MAX)).max(1);
    let mut analysis = Analysis::default();
    let examples = observer.wanted(&dataset.examples);
    let keys: Vec<u64> = examples.map(|e| key(&mut analysis, &e.text, seed)).collect();

    let mut order: Vec<usize> = (0..keys.len()).collect();
    let label_of = |at: usize| dataset.examples.get(at).map(|e| e.label);
    let key_of = |at: usize| keys.get(at).copied().unwrap_or_default();
    order.sort_by_key(|at| (label_of(*at), key_of(*at), *at));

    let mut folds = vec![0; keys.len()];
    let mut fold_of_key: HashMap<u64, u32> = HashMap::new();
    // Labels begin where the one before ended, so that small labels do not all fall in fold 0.
    let mut next = 0;
    for at in observer.wanted(order) {
        let fold = *fold_of_key.entry(key_of(at)).or_insert_with(|| {
            let fold = next;
            next = (next + 1) % n_folds;
            fold
        });
        if let Some(slot) = folds.get_mut(at) {
            *slot = fold;
        }
    }
    folds
}

/// A number that stands for the tokens of a text, in random order under each seed.
fn key(analysis: &mut Analysis, text: &str, seed: u64) -> u64 {
    analysis.analyse(text);
    let start = hash::extend(0x6a09_e667_f3bc_c909, seed);
    analysis.tokens().iter().fold(start, |key, token| hash::extend(key, token.hash))
}
