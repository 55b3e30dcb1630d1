//! The loss of several smoothings side by side, one in each lane of a vector register.

use crate::simd::{LANES, exp};

/// Sums over examples, each smoothing with an exponent of its own.
pub(super) struct Lanes<'a> {
    priors: &'a [f32],
    exponents: &'a [f32; LANES],
    /// Loss, first and second derivative by the exponent.
    pub(super) sums: [[f64; LANES]; 3],
    /// `n_labels`: scores, then weights, of one example.
    z: Vec<[f32; LANES]>,
}

impl<'a> Lanes<'a> {
    #[inline(always)]
    pub(super) fn new(priors: &'a [f32], exponents: &'a [f32; LANES]) -> Self {
        Self { priors, exponents, sums: [[0.0; LANES]; 3], z: vec![[0.0; LANES]; priors.len()] }
    }

    /// Adds an example with its score under each label.
    #[inline(always)]
    pub(super) fn add(&mut self, scores: &[[f32; LANES]], right: usize) {
        let mut highest = [f32::NEG_INFINITY; LANES];
        for ((z, score), prior) in self.z.iter_mut().zip(scores).zip(self.priors) {
            for l in 0..LANES {
                z[l] = prior + self.exponents[l] * score[l];
                highest[l] = highest[l].max(z[l]);
            }
        }
        let of_right = self.z.get(right).copied().unwrap_or_default();
        let (mut total, mut mean, mut square) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
        for (z, score) in self.z.iter().zip(scores) {
            for l in 0..LANES {
                let weight = exp(z[l] - highest[l]);
                total[l] += weight;
                mean[l] += weight * score[l];
                square[l] += weight * score[l] * score[l];
            }
        }
        let right_score = scores.get(right).copied().unwrap_or_default();
        let [losses, slopes, curvatures] = &mut self.sums;
        for l in 0..LANES {
            let mean = f64::from(mean[l] / total[l]);
            losses[l] += f64::from(total[l]).ln() + f64::from(highest[l] - of_right[l]);
            slopes[l] += mean - f64::from(right_score[l]);
            curvatures[l] += f64::from(square[l] / total[l]) - mean * mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_formula_in_every_lane() {
        let (priors, scores) =
            ([-0.5f32, -1.5, -2.0], [[1.0f32; LANES], [3.0; LANES], [-2.0; LANES]]);
        let exponents: [f32; LANES] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
        let mut lanes = Lanes::new(&priors, &exponents);
        lanes.add(&scores, 1);
        for (l, exponent) in exponents.iter().enumerate() {
            let z = [0, 1, 2].map(|k| f64::from(priors[k] + exponent * scores[k][l]));
            let total: f64 = z.iter().map(|z| z.exp()).sum();
            let p = z.map(|z| z.exp() / total);
            let mean: f64 = (0..3).map(|k| p[k] * f64::from(scores[k][l])).sum();
            let square: f64 = (0..3).map(|k| p[k] * f64::from(scores[k][l]).powi(2)).sum();
            for (got, wanted) in lanes.sums.map(|sums| sums[l]).iter().zip([
                -p[1].ln(),
                mean - 3.0,
                square - mean * mean,
            ]) {
                assert!((got - wanted).abs() < 1e-5, "{got} {wanted}");
            }
        }
    }
}
