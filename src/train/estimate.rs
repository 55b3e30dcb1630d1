//! The published tables: one multinomial naive Bayes fit a label, by linfa-bayes.
//!
//! The only file that names linfa. A label's table depends on its summed counts alone, so one row
//! a label is exact. The row is short: features that never occurred under the label all have the
//! same probability, and one column with the count `α·(n - 1)` stands for `n` of them, since its smoothed count is
//! `α·n`. So the cost follows the features that occur, and linfa's normaliser is that of the
//! full row (`a_short_row_gives_what_the_full_row_gives` checks it).

use std::collections::HashMap;

use linfa::{DatasetBase, prelude::Fit};
use linfa_bayes::MultinomialNb;
use ndarray::{Array1, Array2};
use serde::Deserialize;

use super::TrainError;
use super::weigh::real;

/// Log probabilities of features given one label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LabelTable {
    /// One for each count that was given.
    pub(super) log_probabilities: Vec<f64>,
    /// That of a feature which never occurred under the label.
    pub(super) background: f64,
}

/// Fits the table of one label.
///
/// `sums` are the summed counts of the features that occur under the label, `n_features` is the number
/// of all features of the view, `alpha` the Lidstone smoothing.
pub(super) fn fit(sums: &[f64], n_features: usize, alpha: f64) -> Result<LabelTable, TrainError> {
    // At least one column, so that the normaliser can be read off it.
    let n_absent = n_features.saturating_sub(sums.len()).max(1);
    let mut row = sums.to_vec();
    if sums.len() < n_features || sums.is_empty() {
        row.push(alpha * real(n_absent - 1));
    }
    let log_probabilities = fit_row(row, alpha)?;
    let (present, absent) = log_probabilities.split_at(sums.len().min(log_probabilities.len()));
    let background = match (absent.first(), present.first(), sums.first()) {
        (Some(absent), _, _) => absent - real(n_absent).ln(),
        (None, Some(log_probability), Some(sum)) => log_probability - (sum / alpha).ln_1p(),
        _ => return Err(TrainError::Unusable("a label without features".to_owned())),
    };
    Ok(LabelTable { log_probabilities: present.to_vec(), background })
}

/// Fits linfa's estimator on one row of counts and reads its log probabilities.
fn fit_row(row: Vec<f64>, alpha: f64) -> Result<Vec<f64>, TrainError> {
    let unusable = |e: String| TrainError::Unusable(e);
    let records =
        Array2::from_shape_vec((1, row.len()), row).map_err(|e| unusable(e.to_string()))?;
    let dataset = DatasetBase::new(records, Array1::from_elem(1, 0usize));
    let fitted: MultinomialNb<f64, usize> =
        MultinomialNb::params().alpha(alpha).fit(&dataset).map_err(|e| unusable(e.to_string()))?;
    let bytes = postcard::to_allocvec(&fitted).map_err(|e| unusable(e.to_string()))?;
    let mut mirror: Mirror = postcard::from_bytes(&bytes).map_err(|e| unusable(e.to_string()))?;
    let class = mirror.class_info.remove(&0).ok_or_else(|| unusable("no table".to_owned()))?;
    Ok(class.feature_log_prob.to_vec())
}

/// `linfa_bayes::MultinomialNb` as it serialises: 0.7.1 offers no other way to its tables.
#[derive(Deserialize)]
struct Mirror {
    class_info: HashMap<usize, MirrorClass>,
}

/// The fields stand in linfa's order; the first three are read to get at the last.
#[derive(Deserialize)]
#[allow(dead_code, reason = "the layout of linfa's own struct")]
struct MirrorClass {
    class_count: usize,
    prior: f64,
    feature_count: Array1<f64>,
    feature_log_prob: Array1<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn closed_form(count: f64, total: f64, n_features: usize, alpha: f64) -> f64 {
        (count + alpha).ln() - (total + alpha * real(n_features)).ln()
    }

    proptest! {
        #[test]
        fn a_short_row_gives_what_the_full_row_gives(
            sums in prop::collection::vec(0.001f64..1e5, 0..30),
            n_absent in 0usize..50,
            alpha in 1e-6f64..1000.0,
        ) {
            prop_assume!(sums.len() + n_absent > 0);
            let n_features = sums.len() + n_absent;
            let table = fit(&sums, n_features, alpha).unwrap();
            let mut full_row = sums.clone();
            full_row.resize(n_features, 0.0);
            let full = fit_row(full_row, alpha).unwrap();
            let total: f64 = sums.iter().sum();
            for ((short, full), sum) in table.log_probabilities.iter().zip(&full).zip(&sums) {
                prop_assert!((short - full).abs() < 1e-9);
                prop_assert!((short - closed_form(*sum, total, n_features, alpha)).abs() < 1e-9);
            }
            for absent in full.iter().skip(sums.len()) {
                prop_assert!((table.background - absent).abs() < 1e-9);
            }
        }
    }
}
