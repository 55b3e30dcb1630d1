//! What a feature's occurrence in an example is worth, and the sums of that by label.

use std::iter::repeat_n;
use std::ops::Range;

use rayon::prelude::*;

use super::Observer;
use super::counts::Matrix;
use super::observer::BLOCK;
use super::stream::CountedView;
use crate::model::Weighting;

/// Features whose labels are found together: as many as stay in the processor's cache.
const PART_FEATURES: u32 = 1 << 17;

/// A view's matrix under one weighting.
#[derive(Debug)]
pub(super) struct Weighed<'a> {
    pub(super) matrix: &'a Matrix,
    /// `n_features`: inverse document frequency, or 1.
    pub(super) factors: Vec<f64>,
    /// One a cell: count · factor / length of the example.
    pub(super) values: Vec<f32>,
    /// One an example: its length by its length without the features that are not known out of fold.
    scales: Vec<f32>,
}

impl<'a> Weighed<'a> {
    /// Weighs all cells.
    ///
    /// With [`Weighting::Idf`] a feature that occurs in `df` of `n` examples gets
    /// `ln((1 + n) / (1 + df)) + 1`, as in scikit-learn's `TfidfTransformer(smooth_idf=True)`, and an
    /// example is divided by the root of its summed `square · factor²`.
    pub(super) fn new(matrix: &'a Matrix, weighting: Weighting, observer: &dyn Observer) -> Self {
        let n_features = matrix.n_features();
        let blocks = observer.wanted(matrix.cells.chunks(BLOCK));
        if weighting == Weighting::Presence {
            let mut values = Vec::with_capacity(matrix.cells.len());
            blocks.for_each(|cells| values.extend(cells.iter().map(|cell| cell.count)));
            let scales = vec![1.0; matrix.starts.len().saturating_sub(1)];
            let factors = observer.gather(repeat_n(1.0, n_features));
            return Self { matrix, factors, values, scales };
        }
        let mut frequencies: Vec<u32> = observer.zeros(n_features);
        for cell in blocks.flatten() {
            if let Some(frequency) = frequencies.get_mut(cell.feature as usize) {
                *frequency += 1;
            }
        }
        let n = real(matrix.starts.len().saturating_sub(1));
        let factor = |df: u32| ((1.0 + n) / (1.0 + f64::from(df))).ln() + 1.0;
        let factors: Vec<f64> = observer.gather(frequencies.into_iter().map(factor));
        let n_examples = matrix.starts.len().saturating_sub(1);
        let values = matrix.per_cell(observer, |example| weighed_row(matrix, &factors, example));
        let scales = (0..n_examples)
            .into_par_iter()
            .take_any_while(|_| !observer.is_cancelled())
            .map(|example| scale_of_known(matrix, &factors, example))
            .collect();
        Self { matrix, factors, values, scales }
    }

    /// The cells of one example as (feature, value), those that are known out of fold and with the
    /// length that the example has then.
    pub(super) fn known_row(&self, example: usize) -> impl Iterator<Item = (usize, f32)> {
        let start = self.matrix.starts.get(example).copied().unwrap_or_default();
        let cells = self.matrix.row(example);
        let range = start..start + cells.len();
        let values = self.values.get(range.clone()).unwrap_or_default();
        let known = self.matrix.known.get(range).unwrap_or_default();
        let scale = self.scales.get(example).copied().unwrap_or(1.0);
        let cells = cells.iter().zip(values).zip(known).filter(|(_, known)| **known);
        cells.map(move |((cell, value), _)| (cell.feature as usize, scale * value))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "values are kept in single precision")]
fn weighed_row<'a>(
    matrix: &'a Matrix,
    factors: &'a [f64],
    example: usize,
) -> impl Iterator<Item = f32> + 'a {
    let factor = |feature: u32| factors.get(feature as usize).copied().unwrap_or(1.0);
    let row = matrix.row(example);
    let squared: f64 =
        row.iter().map(|cell| f64::from(cell.square) * factor(cell.feature).powi(2)).sum();
    let scale = if squared > 0.0 { squared.sqrt().recip() } else { 1.0 };
    row.iter().map(move |cell| (f64::from(cell.count) * factor(cell.feature) * scale) as f32)
}

/// Returns the length of an example by the length of what is known of it out of fold.
#[allow(clippy::cast_possible_truncation, reason = "values are kept in single precision")]
fn scale_of_known(matrix: &Matrix, factors: &[f64], example: usize) -> f32 {
    let start = matrix.starts.get(example).copied().unwrap_or_default();
    let row = matrix.row(example);
    let known = matrix.known.get(start..start + row.len()).unwrap_or_default();
    let (mut squared, mut squared_known) = (0.0, 0.0);
    for (cell, known) in row.iter().zip(known) {
        let factor = factors.get(cell.feature as usize).copied().unwrap_or(1.0);
        let square = f64::from(cell.square) * factor.powi(2);
        squared += square;
        squared_known += if *known { square } else { 0.0 };
    }
    if squared_known > 0.0 { (squared / squared_known).sqrt() as f32 } else { 1.0 }
}

/// Returns a number of things as a real number; exact below 2^53.
#[allow(clippy::cast_precision_loss, reason = "numbers of examples and features stay below 2^53")]
pub(super) fn real(n: usize) -> f64 {
    n as f64
}

/// Which labels each feature occurs under, and which of these pairs each cell belongs to.
#[derive(Debug)]
pub(super) struct Pattern {
    /// `n_features + 1`: where each feature's entries begin.
    pub(super) starts: Vec<u32>,
    /// `n_entries`: the entries' labels, ascending within a feature.
    pub(super) labels: Vec<u16>,
    /// One a cell: its feature and its example's label as an entry.
    pub(super) entry_of_cell: Vec<u32>,
    /// What all rows sum up to, where the examples are a sample of them.
    pub(super) whole: Option<Whole>,
}

/// The sums of all rows, of which the examples are a sample.
#[derive(Debug)]
pub(super) struct Whole {
    /// `n_entries`.
    pub(super) sums: Vec<f64>,
    /// `n_labels`: sums of these over all features, also those that are not in the sample.
    pub(super) totals: Vec<f64>,
    /// Number of features, also of those that are not in the sample.
    pub(super) n_features: usize,
    /// One a feature: its position among all features.
    pub(super) positions: Vec<u32>,
}

impl Pattern {
    /// Finds the pairs of feature and label that occur.
    pub(super) fn new(matrix: &Matrix, labels: &[u16], observer: &dyn Observer) -> Self {
        let mut by_label: Vec<usize> = (0..labels.len()).collect();
        by_label.sort_by_key(|example| labels.get(*example));
        let n_features = u32::try_from(matrix.n_features()).unwrap_or(u32::MAX);
        let pairs: Vec<Vec<u64>> = (0..n_features.div_ceil(PART_FEATURES))
            .into_par_iter()
            .take_any_while(|_| !observer.is_cancelled())
            .map(|part| {
                let start = part * PART_FEATURES;
                let features = start..n_features.min(start.saturating_add(PART_FEATURES));
                pairs_of(features, matrix, (labels, &by_label), observer)
            })
            .collect();
        let mut all = Vec::with_capacity(pairs.iter().map(Vec::len).sum());
        observer.wanted(pairs).for_each(|pairs| all.extend(pairs));
        Self::of_pairs(&all, matrix, labels, observer)
    }

    /// The pattern of a sample: features occur under the labels under which they occur in the whole.
    pub(super) fn of_sample(
        (matrix, labels): (&Matrix, &[u16]),
        counted: &CountedView,
        n_labels: usize,
        observer: &dyn Observer,
    ) -> Self {
        let positions = counted.positions(&matrix.hashes);
        let (mut pairs, mut sums) = (Vec::new(), Vec::new());
        for (feature, position) in observer.wanted((0u32..).zip(&positions)) {
            let row = counted.row(*position as usize);
            let of_labels = counted.labels.get(row.clone()).unwrap_or_default();
            pairs.extend(of_labels.iter().map(|label| pair(feature, *label)));
            sums.extend(counted.sums.get(row).unwrap_or_default().iter().map(|n| f64::from(*n)));
        }
        let mut totals = vec![0.0; n_labels];
        observer.for_each(counted.labels.iter().zip(&counted.sums), |(label, sum)| {
            if let Some(total) = totals.get_mut(usize::from(*label)) {
                *total += f64::from(*sum);
            }
        });
        let whole = Whole { sums, totals, n_features: counted.hashes.len(), positions };
        Self { whole: Some(whole), ..Self::of_pairs(&pairs, matrix, labels, observer) }
    }

    /// The pattern of ascending pairs.
    fn of_pairs(pairs: &[u64], matrix: &Matrix, labels: &[u16], observer: &dyn Observer) -> Self {
        let mut starts: Vec<u32> = observer.zeros(matrix.n_features() + 1);
        for pair in observer.wanted(pairs.chunks(BLOCK)).flatten() {
            if let Some(count) = starts.get_mut(feature_of(*pair) + 1) {
                *count += 1;
            }
        }
        let mut end = 0;
        observer.for_each(&mut starts, |start| {
            end += *start;
            *start = end;
        });
        let position = |pair: u64| {
            let feature = feature_of(pair);
            let start = starts.get(feature).map_or(0, |s| *s as usize);
            let end = starts.get(feature + 1).map_or(0, |s| *s as usize);
            let row = pairs.get(start..end).unwrap_or_default();
            u32::try_from(start + row.partition_point(|p| *p < pair)).unwrap_or(u32::MAX)
        };
        let entry_of_cell = matrix.per_cell(observer, |example| {
            let label = labels.get(example).copied().unwrap_or_default();
            matrix.row(example).iter().map(move |cell| position(pair(cell.feature, label)))
        });
        let labels = observer.gather(pairs.iter().map(|pair| label_of(*pair)));
        Self { starts, labels, entry_of_cell, whole: None }
    }

    /// Number of entries.
    pub(super) fn n_entries(&self) -> usize {
        self.labels.len()
    }

    /// The entries of a feature, as a range.
    #[inline]
    pub(super) fn row(&self, feature: usize) -> std::ops::Range<usize> {
        let start = self.starts.get(feature).copied().unwrap_or_default();
        let end = self.starts.get(feature + 1).copied().unwrap_or_default();
        start as usize..end as usize
    }

    /// Adds up a view's values by entry over some examples.
    pub(super) fn sums(
        &self,
        view: &Weighed<'_>,
        examples: impl Iterator<Item = usize>,
        observer: &dyn Observer,
    ) -> Vec<f64> {
        let mut sums = observer.zeros(self.n_entries());
        for example in observer.wanted(examples) {
            for (entry, value) in self.cells_of(view, example) {
                if let Some(sum) = sums.get_mut(entry) {
                    *sum += f64::from(value);
                }
            }
        }
        sums
    }

    /// The cells of one example as (entry, value).
    pub(super) fn cells_of(
        &self,
        view: &Weighed<'_>,
        example: usize,
    ) -> impl Iterator<Item = (usize, f32)> {
        let starts = &view.matrix.starts;
        let range = match (starts.get(example), starts.get(example + 1)) {
            (Some(start), Some(end)) => *start..*end,
            _ => 0..0,
        };
        let entries = self.entry_of_cell.get(range.clone()).unwrap_or_default();
        let values = view.values.get(range).unwrap_or_default();
        entries.iter().map(|entry| *entry as usize).zip(values.iter().copied())
    }

    /// Adds up entries by label.
    pub(super) fn label_totals(
        &self,
        sums: &[f64],
        n_labels: usize,
        observer: &dyn Observer,
    ) -> Vec<f64> {
        let mut totals = vec![0.0; n_labels];
        observer.for_each(self.labels.iter().zip(sums), |(label, sum)| {
            if let Some(total) = totals.get_mut(usize::from(*label)) {
                *total += sum;
            }
        });
        totals
    }
}

/// The pairs of some features and the labels they occur under, ascending. The examples are taken label by
/// label, so that a feature's last label tells whether a pair is new.
fn pairs_of(
    features: Range<u32>,
    matrix: &Matrix,
    (labels, by_label): (&[u16], &[usize]),
    observer: &dyn Observer,
) -> Vec<u64> {
    let mut last: Vec<Option<u16>> = observer.zeros(features.len());
    let mut pairs = Vec::new();
    for example in observer.wanted(by_label) {
        let label = labels.get(*example).copied();
        let row = matrix.row(*example);
        let start = row.partition_point(|cell| cell.feature < features.start);
        let cells = row.iter().skip(start).take_while(|cell| cell.feature < features.end);
        for cell in cells {
            let at = (cell.feature - features.start) as usize;
            if let Some(last) = last.get_mut(at).filter(|last| **last != label) {
                *last = label;
                pairs.push(pair(cell.feature, label.unwrap_or_default()));
            }
        }
    }
    pairs.sort_unstable();
    pairs
}

/// Feature and label as one sortable number.
fn pair(feature: u32, label: u16) -> u64 {
    u64::from(feature) << 16 | u64::from(label)
}

fn feature_of(pair: u64) -> usize {
    usize::try_from(pair >> 16).unwrap_or(usize::MAX)
}

#[allow(clippy::cast_possible_truncation, reason = "the lower 16 bits")]
fn label_of(pair: u64) -> u16 {
    pair as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::features::View;
    use crate::train::Unobserved;
    use crate::train::examples::DatasetBuilder;

    proptest! {
        #[test]
        fn counts_of_any_parts_in_any_order_add_up_to_those_of_the_whole(
            texts in prop::collection::vec("[abc .]{1,12}", 2..20),
            parts in prop::collection::vec(0usize..4, 20),
            order in Just([0usize, 1, 2, 3]).prop_shuffle(),
        ) {
            let mut builder = DatasetBuilder::default();
            for (line, text) in (1u16..).zip(&texts) {
                // The line makes each text differ from the others.
                builder.push(line.into(), &format!("{text} {line}"), ["x", "y"][usize::from(line % 2)]).unwrap();
            }
            let dataset = builder.finish();
            let labels: Vec<u16> =
                dataset.examples.iter().map(|e| u16::try_from(e.label).unwrap()).collect();
            for view in View::ALL {
                let matrix = Matrix::count(&dataset, view, &Unobserved);
                let weighed = Weighed::new(&matrix, Weighting::Presence, &Unobserved);
                let pattern = Pattern::new(&matrix, &labels, &Unobserved);
                let whole = pattern.sums(&weighed, 0..labels.len(), &Unobserved);
                let mut merged = vec![0.0; whole.len()];
                for part in order {
                    let members = (0..labels.len()).filter(|e| parts[*e] == part);
                    let sums = pattern.sums(&weighed, members, &Unobserved);
                    merged.iter_mut().zip(sums).for_each(|(m, s)| *m += s);
                }
                prop_assert_eq!(merged, whole);
            }
        }
    }
}
