//! The tokens of the examples.

use std::collections::HashSet;

use rayon::prelude::*;

use super::CHUNK;
use crate::features::Analysis;
use crate::train::Observer;
use crate::train::examples::{Dataset, Example};

/// Returns the folded text of every token of the examples, ascending by bytes.
pub(in crate::train) fn vocabulary(dataset: &Dataset, observer: &dyn Observer) -> Vec<String> {
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
