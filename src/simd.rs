//! The hot loops of training and scoring, compiled for the vector instructions the machine has.
//!
//! Results are the same on every machine: each sum has its own fixed order, and Rust never fuses a
//! multiplication with an addition.

/// Runs `work` with the widest vector instructions there are. What it calls must be inlined into it.
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Terms that are added up side by side.
pub(crate) const LANES: usize = 8;

/// The inner product.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
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
pub(crate) fn add_scaled(to: &mut [f32], what: &[f32], scale: f32) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += scale * what);
}

/// Turns scores into probabilities in place; returns the log of the total of their exponentials.
#[inline(always)]
pub(crate) fn softmax(z: &mut [f32]) -> f64 {
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
pub(crate) fn exp(x: f32) -> f32 {
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

/// e^x for x at most 0 in double precision, to 2 units in the last place; below -708 it is next to 0.
///
/// As [`exp`], with the Taylor polynomial of degree 13.
#[inline(always)]
fn exp_double(x: f64) -> f64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52: adding it rounds to a whole number.
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8; // Few bits, so that n · LN_2_HIGH is exact.
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const FACTORIALS: [f64; 12] = [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
    ];
    let x = x.max(-708.0);
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut power = 1.0 / 6_227_020_800.0;
    for factorial in FACTORIALS {
        power = power * r + 1.0 / factorial;
    }
    power = power * r + 1.0;
    let two_to_n = f64::from_bits(shifted.to_bits().wrapping_add(1_023) << 52);
    power * two_to_n
}

/// Turns scores into probabilities `exp(score) / Σ exp(score)` in place, in double precision; the maximum is
/// subtracted first, so that nothing overflows.
#[inline(always)]
pub(crate) fn softmax_double(z: &mut [f64]) {
    let highest = highest(z);
    z.iter_mut().for_each(|z| *z = exp_double(*z - highest));
    let scale = fold(z, 0.0, |a, b| a + b).recip();
    z.iter_mut().for_each(|z| *z *= scale);
}

/// The highest of some numbers.
#[inline(always)]
pub(crate) fn highest(numbers: &[f64]) -> f64 {
    fold(numbers, f64::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Folds numbers side by side, then the sides.
#[inline(always)]
fn fold(numbers: &[f64], start: f64, with: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [start; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, number)| *lane = with(*lane, *number));
    }
    lanes.iter().chain(rest).fold(start, |a, b| with(a, *b))
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
    fn exp_in_double_precision_is_right_to_a_few_units_in_the_last_place() {
        for i in 0..=70_800u32 {
            let x = -f64::from(i) / 100.003;
            let (got, wanted) = (exp_double(x), x.exp());
            assert!((got / wanted - 1.0).abs() < 6e-16, "{x}: {got} {wanted}");
        }
        assert!((exp_double(0.0) - 1.0).abs() < 1e-16);
        assert!(exp_double(f64::NEG_INFINITY) < 1e-300);
    }

    #[test]
    fn softmax_in_double_precision_gives_shares() {
        for n in [2u8, 8, 19, 150] {
            let mut z: Vec<f64> = (0..n).map(|i| f64::from(i) * 7.0 - 900.0).collect();
            let highest = z[usize::from(n) - 1];
            let total: f64 = z.iter().map(|z| (z - highest).exp()).sum();
            let wanted: Vec<f64> = z.iter().map(|z| (z - highest).exp() / total).collect();
            softmax_double(&mut z);
            for (got, wanted) in z.iter().zip(&wanted) {
                assert!((got - wanted).abs() < 1e-15, "{got} {wanted}");
            }
        }
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
