//! Probabilities beside how often they are right, over bins of equal width.

use super::real;
use crate::train::Judged;

/// Number of bins, as for the calibration error.
const N_BINS: u32 = 10;

/// The sentences whose best label's probability falls into one bin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Bin {
    /// Their number.
    pub(super) n_sentences: u64,
    /// Mean probability of the best label.
    pub(super) probability: f64,
    /// Share whose best label is right.
    pub(super) accuracy: f64,
}

/// Returns the bins in ascending order; some may be empty.
pub(super) fn bins(judged: &[Judged]) -> Vec<Bin> {
    let bin = |at: u32| {
        let edge = |at: u32| f64::from(at) / f64::from(N_BINS);
        let is_in = |p: f64| p >= edge(at) && (p < edge(at + 1) || at + 1 == N_BINS);
        let (mut n_sentences, mut n_right, mut sum) = (0, 0, 0.0);
        for j in judged.iter().filter(|j| is_in(j.probability)) {
            n_sentences += 1;
            n_right += u64::from(j.is_right());
            sum += j.probability;
        }
        let n = real(n_sentences).max(1.0);
        Bin { n_sentences, probability: sum / n, accuracy: real(n_right) / n }
    };
    (0..N_BINS).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_is_in_one_bin() {
        let judge =
            |probability, right| Judged { right: Some(right), given: 0, probability, loss: 0.0 };
        let judged = [judge(0.5, 0), judge(0.55, 1), judge(0.9, 0), judge(1.0, 0)];
        let bins = bins(&judged);
        let sizes: Vec<_> = bins.iter().map(|bin| bin.n_sentences).collect();
        assert_eq!(sizes, [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]);
        assert!(
            (bins[5].probability - 0.525).abs() < 1e-9 && (bins[5].accuracy - 0.5).abs() < 1e-9
        );
        assert!((bins[9].accuracy - 1.0).abs() < 1e-9);
    }
}
