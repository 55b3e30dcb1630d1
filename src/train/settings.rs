//! What may be told to a training, and the check of it.

use std::num::NonZeroUsize;

use super::examples::Limits;
use super::{Collecting, Threshold, TrainError};
use crate::features::View;
use crate::model::Weighting;

/// What may be set; everything else is found from the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Lidstone smoothing values to choose from, each in [1e-6, 1000], 1 to 16 of them.
    pub alphas: Vec<f64>,
    /// How features are weighted; `None`: chosen.
    pub weighting: Option<Weighting>,
    /// Views to use, at least one.
    pub views: Vec<View>,
    /// Number of folds, in [2, 50]; with fewer examples than folds, one example a fold.
    pub folds: u32,
    /// Seed of the fold assignment.
    pub seed: u64,
    /// Rows beyond this number are only counted: what is left to choose is chosen, and the model
    /// judged, on so many. `None`: on all rows that fit into memory, and if there are more, on 20,000.
    pub sample_rows: Option<NonZeroUsize>,
    /// Whether features may get weights of their own, where that lowers the log loss.
    pub refinement: bool,
    /// When the model gives no label.
    pub threshold: Threshold,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            alphas: vec![1.0, 0.3, 0.1, 0.03, 0.01],
            weighting: None,
            views: View::ALL.to_vec(),
            folds: 10,
            seed: 1,
            sample_rows: None,
            refinement: true,
            threshold: Threshold::default(),
        }
    }
}

impl Settings {
    /// How rows are collected for a training with these settings.
    #[must_use]
    pub fn collecting(&self, limits: Limits) -> Collecting {
        Collecting {
            limits,
            views: self.views.clone(),
            sample_rows: self.sample_rows,
            seed: self.seed,
        }
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`TrainError::BadSetting`] for the first that is outside.
    pub fn check(&self) -> Result<(), TrainError> {
        let bad = |setting, problem: String| Err(TrainError::BadSetting { setting, problem });
        if self.alphas.is_empty() || self.alphas.len() > 16 {
            return bad("alphas", format!("{} values, allowed are 1 to 16", self.alphas.len()));
        }
        if let Some(alpha) = self.alphas.iter().find(|a| !(1e-6..=1000.0).contains(*a)) {
            return bad("alphas", format!("{alpha} is outside [0.000001, 1000]"));
        }
        if self.views.is_empty() {
            return bad("views", "at least one is needed".to_owned());
        }
        if !(2..=50).contains(&self.folds) {
            return bad("folds", format!("{} is outside [2, 50]", self.folds));
        }
        match self.threshold {
            Threshold::Probability(p) if !(0.0..=1.0).contains(&p) => {
                bad("min_probability", format!("{p} is outside [0, 1]"))
            }
            Threshold::TargetAccuracy(share) if !(share > 0.0 && share <= 1.0) => {
                bad("target_accuracy", format!("{share} is outside (0, 1]"))
            }
            Threshold::Probability(_) | Threshold::TargetAccuracy(_) => Ok(()),
        }
    }
}
