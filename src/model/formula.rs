//! The scores by their definition in the head of [`super`], in double precision and without a table: slow,
//! to check the scorer by.

use std::collections::{BTreeMap, HashMap};

use super::{Parts, table};
use crate::features::{Analysis, View, for_each_character_ngram};

/// A model as the definition has it.
#[derive(Debug)]
pub struct Formula<'a> {
    parts: &'a Parts,
    positions: HashMap<u64, usize>,
}

/// How often each feature of a sentence counts, and by how much it adds its square.
type Counts = BTreeMap<u64, (f64, f64)>;

impl<'a> Formula<'a> {
    /// For parts that have passed [`Parts::check`].
    #[must_use]
    pub fn new(parts: &'a Parts) -> Self {
        let positions = parts.hashes.iter().enumerate().map(|(at, hash)| (*hash, at));
        Self { parts, positions: positions.collect() }
    }

    /// Probabilities of an analysed sentence, in label order.
    #[must_use]
    pub fn probabilities(&self, analysis: &Analysis) -> Vec<f64> {
        let mut scores = self.parts.offsets.clone();
        for view in View::ALL {
            let (sums, square) = self.sums(view, analysis);
            let is_normalised = !self.parts.squares.is_empty() && square > 0.0;
            let length = if is_normalised { square.sqrt() } else { 1.0 };
            scores.iter_mut().zip(sums).for_each(|(score, sum)| *score += sum / length);
        }
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
        scores.iter().map(|score| (score - highest).exp() / total).collect()
    }

    /// What a view adds to each label, and its squared length.
    fn sums(&self, view: View, analysis: &Analysis) -> (Vec<f64>, f64) {
        let background = table::background(&self.parts.background, self.parts.offsets.len(), view);
        let (mut sums, mut total_square) = (vec![0.0; self.parts.offsets.len()], 0.0);
        for (hash, (times, square)) in counts(view, analysis) {
            let position = self.positions.get(&hash);
            let Some(row) = position.and_then(|at| self.parts.row(*at)) else { continue };
            total_square += square * f64::from(row.square);
            for (sum, background) in sums.iter_mut().zip(background) {
                *sum += times * f64::from(row.mass) * background;
            }
            for (label, value) in row.labels.iter().zip(row.values) {
                if let Some(sum) = sums.get_mut(usize::from(*label)) {
                    *sum += times * f64::from(*value);
                }
            }
        }
        (sums, total_square)
    }
}

fn counts(view: View, analysis: &Analysis) -> Counts {
    let mut counts = Counts::new();
    if view != View::Character {
        view.for_each(analysis, |hash, _| {
            counts.insert(hash, (1.0, 1.0));
        });
        return counts;
    }
    for token in analysis.tokens() {
        let mut of_token: BTreeMap<u64, f64> = BTreeMap::new();
        for_each_character_ngram(analysis.folded(token), |hash| {
            *of_token.entry(hash).or_default() += 1.0;
        });
        for (hash, times) in of_token {
            let count = counts.entry(hash).or_default();
            *count = (count.0 + times, count.1 + times * times);
        }
    }
    counts
}
