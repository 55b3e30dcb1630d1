//! Hears how far a training is, and may end it.
//!
//! A training that was cancelled has to end within 50 ms. So every loop that may take longer asks, in pieces
//! of a few milliseconds: serial ones go over `wanted` items, those of the pool stop at `take_any_while`. What such a loop
//! gives from then on is worth nothing, and the next `check` between two steps ends it all.

use super::TrainError;

/// What a training is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reading and checking examples.
    Reading,
    /// Counting features.
    Counting,
    /// Choosing smoothing and weighting.
    Selecting,
    /// Weighing the views, calibrating, judging.
    Pooling,
    /// Writing the new version.
    Storing,
}

/// Hears how far a training is, and may end it.
pub trait Observer: Sync {
    /// Called now and then, with the estimated share of the whole training that is done, in [0, 1];
    /// never falls.
    fn progress(&self, stage: Stage, fraction: f64);
    /// Asked often, and for good once it says yes: the training then leaves out what work it can and ends
    /// with [`TrainError::Cancelled`].
    fn is_cancelled(&self) -> bool;
    /// Ends what was cancelled.
    ///
    /// # Errors
    ///
    /// [`TrainError::Cancelled`].
    fn check(&self) -> Result<(), TrainError> {
        if self.is_cancelled() { Err(TrainError::Cancelled) } else { Ok(()) }
    }
}

impl dyn Observer + '_ {
    /// The items, as long as nobody has cancelled.
    pub(super) fn wanted<I: IntoIterator>(&self, items: I) -> impl Iterator<Item = I::Item> {
        items.into_iter().take_while(|_| !self.is_cancelled())
    }
}

/// Hears nothing, ends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&self, _stage: Stage, _fraction: f64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}
