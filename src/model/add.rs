//! Adds up rows of numbers that stand one after the other: what scoring does most of.

/// Adds the rows of `stride` numbers each that stand at some positions to `totals`, one a column. For short rows:
/// up to 7 numbers their sums stay in registers.
pub(super) fn add_rows(numbers: &[f32], stride: usize, positions: &[u32], totals: &mut [f64]) {
    match stride {
        3 => add_short::<3>(numbers, positions, totals),
        4 => add_short::<4>(numbers, positions, totals),
        5 => add_short::<5>(numbers, positions, totals),
        6 => add_short::<6>(numbers, positions, totals),
        7 => add_short::<7>(numbers, positions, totals),
        _ => {
            for position in positions {
                let row = numbers.get(*position as usize * stride..).unwrap_or_default();
                let sums = totals.iter_mut().take(stride);
                sums.zip(row).for_each(|(total, number)| *total += f64::from(*number));
            }
        }
    }
}

fn add_short<const N: usize>(numbers: &[f32], positions: &[u32], totals: &mut [f64]) {
    let (rows, _) = numbers.as_chunks::<N>();
    let mut sums = [0.0; N];
    for position in positions {
        let Some(row) = rows.get(*position as usize) else { continue };
        for (sum, number) in sums.iter_mut().zip(row) {
            *sum += f64::from(*number);
        }
    }
    totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
}
