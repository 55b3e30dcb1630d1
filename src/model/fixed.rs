//! Rows of numbers in fixed point: whole numbers of a step that is the same for all of them.
//!
//! Whole numbers are added up in vectors twice as wide as those of doubles, and their sums are exact: the same in
//! any order, and equal to the sum of what explanations list. A number is off by at most half a step, which is
//! 2^-26 to 2^-25 of the largest.

use rayon::prelude::*;

use super::PartsError;
use super::arrays::{Array, Arrays};
use crate::simd::widest;

/// The largest number has so many bits.
const BITS: i32 = 25;
/// Rows whose sums fit in 32 bits: 2^25 · 32 = 2^30.
const AT_ONCE: usize = 32;
/// Columns that are added at a time in long rows, at most.
const BLOCK: usize = 96;

/// Rows of as many numbers each.
#[derive(Debug, PartialEq)]
pub(super) struct FixedRows {
    /// Row after row; behind the last, [`room_behind`] zeros.
    numbers: Vec<i32>,
    width: usize,
    /// What 1 stands for: a power of two, so that no product with it is rounded.
    step: f64,
}

/// How many zeros must stand behind rows of this width: the last block of a row is read past its end.
pub(super) fn room_behind(width: usize) -> usize {
    if width <= FixedRows::SHORT { 0 } else { BLOCK }
}

impl FixedRows {
    /// Longest rows that are not cut into blocks.
    const SHORT: usize = 8;

    /// Makes them of finite numbers, row after row, with [`room_behind`].
    pub(super) fn new(numbers: Vec<f32>, width: usize) -> Self {
        let largest = numbers.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        let step = step(f64::from(largest));
        // In the same memory.
        let numbers = numbers.into_iter().map(|number| nearest(f64::from(number) / step)).collect();
        Self { numbers, width, step }
    }

    /// Reads `n` rows and the row of zeros behind them from their arrays, whose names have this prefix. They are
    /// to be checked.
    pub(super) fn from_arrays(
        arrays: &mut Arrays<'_>,
        prefix: &str,
        [n, width]: [usize; 2],
    ) -> Result<Self, PartsError> {
        let mut numbers = arrays.take(&format!("{prefix}.rows"), &[n, width])?;
        numbers.resize((n + 1) * width + room_behind(width), 0);
        Ok(Self { numbers, width, step: arrays.take_one(&format!("{prefix}.step"))? })
    }

    /// The arrays of the first `n` rows.
    pub(super) fn arrays(&self, prefix: &str, n: usize) -> [Array<'_>; 2] {
        let numbers = self.numbers.get(..n * self.width).unwrap_or_default();
        [
            Array::lent(format!("{prefix}.rows"), vec![n, self.width], numbers),
            Array::list(format!("{prefix}.step"), vec![self.step]),
        ]
    }

    /// Checks that numbers are no larger than sums of them allow.
    pub(super) fn check(&self, prefix: &str) -> Result<(), PartsError> {
        let numbers = self.numbers.par_iter().with_min_len(1 << 16);
        let part = if !is_step(self.step) {
            "step"
        } else if !numbers.all(|number| number.unsigned_abs() <= 1 << BITS) {
            "rows"
        } else {
            return Ok(());
        };
        Err(PartsError::new(format!("{prefix}.{part}"), "a value is out of range"))
    }

    /// The numbers of a row, and what 1 stands for.
    pub(super) fn row(&self, at: usize) -> Option<(&[i32], f64)> {
        let start = at * self.width;
        self.numbers.get(start..start + self.width).map(|numbers| (numbers, self.step))
    }

    /// Adds the rows that stand at some positions to `totals`, one a column.
    pub(super) fn add(&self, positions: &[u32], totals: &mut [f64]) {
        for positions in positions.chunks(AT_ONCE) {
            match self.width {
                2 => self.add_short::<2>(positions, totals),
                3 => self.add_short::<3>(positions, totals),
                4 => self.add_short::<4>(positions, totals),
                5 => self.add_short::<5>(positions, totals),
                6 => self.add_short::<6>(positions, totals),
                7 => self.add_short::<7>(positions, totals),
                Self::SHORT => self.add_short::<{ Self::SHORT }>(positions, totals),
                9..=16 => self.add_long::<16>(positions, totals),
                17..=32 => self.add_long::<32>(positions, totals),
                33..=64 => self.add_long::<64>(positions, totals),
                // Less is read past the end than in blocks of 96.
                65..=80 | 129..=160 => self.add_long::<80>(positions, totals),
                _ => self.add_long::<BLOCK>(positions, totals),
            }
        }
    }

    fn add_short<const N: usize>(&self, positions: &[u32], totals: &mut [f64]) {
        let (rows, _) = self.numbers.as_chunks::<N>();
        let mut sums = [0i32; N];
        for position in positions {
            let Some(row) = rows.get(*position as usize) else { continue };
            sums.iter_mut().zip(row).for_each(|(sum, number)| *sum = sum.wrapping_add(*number));
        }
        self.take_in(&sums, totals);
    }

    /// The same block of columns by block, so that their sums stay in registers.
    fn add_long<const N: usize>(&self, positions: &[u32], totals: &mut [f64]) {
        widest(
            #[inline(always)]
            || {
                for (first, totals) in (0..).step_by(N).zip(totals.chunks_mut(N)) {
                    let mut sums = [0i32; N];
                    for position in positions {
                        let row = self.numbers.get(*position as usize * self.width + first..);
                        let row = row.and_then(<[i32]>::first_chunk::<N>);
                        let Some(row) = row else { continue };
                        // Past the last column stands another row, whose sums are dropped.
                        let pairs = sums.iter_mut().zip(row);
                        pairs.for_each(|(sum, number)| *sum = sum.wrapping_add(*number));
                    }
                    self.take_in(&sums, totals);
                }
            },
        );
    }

    #[inline(always)]
    fn take_in(&self, sums: &[i32], totals: &mut [f64]) {
        let pairs = totals.iter_mut().zip(sums);
        pairs.for_each(|(total, sum)| *total += f64::from(*sum) * self.step);
    }
}

/// Whether it may be a step: a power of two that [`step`] can give.
fn is_step(number: f64) -> bool {
    let is_power_of_two = number.to_bits().trailing_zeros() >= f64::MANTISSA_DIGITS - 1;
    is_power_of_two && (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&number)
}

/// The power of two of which `largest` is at most 2^[`BITS`].
fn step(largest: f64) -> f64 {
    let mut step = 1.0;
    let limit = f64::from(1 << BITS);
    while largest > step * limit {
        step *= 2.0;
    }
    // No smaller than what numbers of the file can tell apart from 0.
    while step > f64::from(f32::MIN_POSITIVE) && largest <= step / 2.0 * limit {
        step /= 2.0;
    }
    step
}

#[allow(clippy::cast_possible_truncation, reason = "at most 2^25")]
fn nearest(number: f64) -> i32 {
    number.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "all of it is exact")]
    fn rows_are_added_in_every_width_however_many_they_are() {
        for width in [2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33, 64, 77, 150, 200] {
            let number = |row: usize, column: usize| {
                let (row, column) = (u16::try_from(row).unwrap(), u16::try_from(column).unwrap());
                (f32::from(row) - 50.0) * 0.125 + f32::from(column)
            };
            let cells = (0..100).flat_map(|row| (0..width).map(move |column| number(row, column)));
            let zeros = std::iter::repeat_n(0.0, room_behind(width));
            let rows = FixedRows::new(cells.chain(zeros).collect(), width);
            let positions: Vec<u32> = (0..100).chain([99, 99, 7]).collect();
            let mut totals = vec![1.0; width];
            rows.add(&positions, &mut totals);
            for (column, total) in totals.iter().enumerate() {
                let added = positions.iter().map(|row| f64::from(number(*row as usize, column)));
                assert_eq!(*total, 1.0 + added.sum::<f64>(), "{width}, {column}");
            }
            let (row, step) = rows.row(99).unwrap();
            assert_eq!(f64::from(row[1]) * step, f64::from(number(99, 1)));
            assert!(rows.row(100 + BLOCK).is_none());
        }
    }

    #[test]
    fn numbers_are_off_by_at_most_half_a_step() {
        for largest in [0.0, 1e-44, 1.5e-3, 1.0, 2.0, 6.02e23, 3.4e38] {
            let numbers = vec![largest, -largest, largest / 3.0, -largest / 7.0];
            let rows = FixedRows::new(numbers.clone(), 2);
            for (at, exact) in numbers.iter().enumerate() {
                let (row, step) = rows.row(at / 2).unwrap();
                let off = f64::from(row[at % 2]) * step - f64::from(*exact);
                let allowed = f64::max(f64::from(largest) / f64::from(1 << BITS), 1e-38);
                assert!(off.abs() <= allowed, "{largest}: {off}");
            }
        }
    }
}
