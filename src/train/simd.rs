//! The hot loops of training, compiled for the vector instructions the machine has.
//!
//! Results are the same on every machine: each sum has its own fixed order, and Rust never fuses a
//! multiplication with an addition.

/// Runs `work` with the widest vector instructions there are. What it calls must be inlined into it.
pub(super) fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Terms that are added up side by side.
pub(super) const LANES: usize = 8;

/// The inner product.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Adds `scale · what` to `to`.
#[inline(always)]
pub(super) fn add_scaled(to: &mut [f32], what: &[f32], scale: f32) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += scale * what);
}

/// Turns scores into probabilities in place; returns the log of the total of their exponentials.
#[inline(always)]
pub(super) fn softmax(z: &mut [f32]) -> f64 {
    let highest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    z.iter_mut().for_each(|z| *z = exp(*z - highest));
    let mut sums = [0f32; LANES];
    let chunks = z.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, z)| *sum += z);
    }
    let total = sums.iter().sum::<f32>() + rest;
    let scale = total.recip();
    z.iter_mut().for_each(|z| *z *= scale);
    f64::from(total).ln() + f64::from(highest)
}

/// e^x for x at most 0, to 2 units in the last place; below -87 it is next to 0.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor polynomial of degree 7, 2^n by the exponent
/// bits. Without a branch, so that the compiler makes vector instructions of it.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "n is a small whole number")]
pub(super) fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to a whole number.
    const LN_2_HIGH: f32 = 0.693_359_4; // Few bits, so that n · LN_2_HIGH is exact.
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut power = 1.0 / 5_040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        power = power * r + coefficient;
    }
    let two_to_n = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    power * two_to_n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_a_few_units_in_the_last_place() {
        for i in 0..=43_500u16 {
            let x = -f32::from(i) / 500.0;
            let (got, wanted) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / wanted - 1.0).abs() < 4e-7, "{x}: {got} {wanted}");
        }
        assert!((exp(0.0) - 1.0).abs() < 1e-7);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn softmax_gives_shares_and_the_log_of_the_total() {
        let mut z: Vec<f32> = (0..19u8).map(|i| f32::from(i) / 3.0).collect();
        let exact: f64 = z.iter().map(|z| f64::from(*z).exp()).sum();
        let log_total = softmax(&mut z);
        assert!((log_total - exact.ln()).abs() < 1e-6);
        assert!((z.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
