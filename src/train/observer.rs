//! Hears how far a training is, and may end it.
//!
//! A training that was cancelled has to end within 50 ms. So every loop that may take longer asks, in pieces
//! of a few milliseconds: serial ones go over `wanted` items, those of the pool stop at `take_any_while`. Long
//! lists of numbers take as long to fill as some loops, most of it for memory that is touched for the first time:
//! they are made by `gather` and `zeros`. What all these give from then on is worth nothing, and may be shorter than
//! it should; the next `check` between two steps ends it all.

use std::iter::repeat_n;

use super::TrainError;

/// Numbers between two looks at whether anybody still waits for them: a millisecond or a few, also in memory
/// that is touched for the first time.
pub(super) const BLOCK: usize = 1 << 15;

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

    /// The items in one piece of memory; the first of them once somebody has cancelled.
    pub(super) fn gather<T>(&self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut items = items.into_iter();
        let mut gathered = Vec::with_capacity(items.size_hint().0);
        loop {
            let n_before = gathered.len();
            gathered.extend(items.by_ref().take(BLOCK));
            if gathered.len() < n_before + BLOCK || self.is_cancelled() {
                return gathered;
            }
        }
    }

    /// So many zeros; the first of them once somebody has cancelled.
    pub(super) fn zeros<T: Clone + Default>(&self, n: usize) -> Vec<T> {
        self.gather(repeat_n(T::default(), n))
    }

    /// Does something to each item, until somebody cancels.
    pub(super) fn for_each<I: IntoIterator>(&self, items: I, act: impl FnMut(I::Item)) {
        // A list of nothing takes no memory.
        self.gather(items.into_iter().map(act));
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::train::examples::{Dataset, DatasetBuilder};
    use crate::train::{Settings, train};

    /// Cancels after so many looks.
    #[derive(Default)]
    struct Impatient {
        looks: AtomicUsize,
        patience: usize,
    }

    impl Observer for Impatient {
        fn progress(&self, _stage: Stage, _fraction: f64) {}
        fn is_cancelled(&self) -> bool {
            self.looks.fetch_add(1, Ordering::Relaxed) >= self.patience
        }
    }

    impl Impatient {
        fn after(patience: usize) -> Self {
            Self { patience, ..Self::default() }
        }

        fn as_dyn(&self) -> &dyn Observer {
            self
        }

        fn looks(&self) -> usize {
            self.looks.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn what_is_gathered_is_looked_at_block_by_block() {
        for n in [0, 1, BLOCK - 1, BLOCK, 5 * BLOCK + 1] {
            let patient = Impatient::after(usize::MAX);
            let numbers = patient.as_dyn().gather(0..n);
            assert!(numbers.iter().copied().eq(0..n));
            assert_eq!(patient.looks(), n / BLOCK);
        }
        let impatient = Impatient::after(2);
        assert_eq!(impatient.as_dyn().zeros::<u8>(5 * BLOCK).len(), 3 * BLOCK);
        let (impatient, mut n) = (Impatient::after(2), 0);
        impatient.as_dyn().for_each(0..5 * BLOCK, |_| n += 1);
        assert_eq!(n, 3 * BLOCK);
    }

    /// Enough examples for all steps of a training.
    fn dataset() -> Dataset {
        let mut builder = DatasetBuilder::default();
        for n in 0..600_u32 {
            let (topic, label) =
                [("sun", "weather"), ("goal", "sport"), ("tax", "money")][n as usize % 3];
            let text =
                format!("the {topic} of day {n} and word {} or {}. So it was.", n / 3 % 7, n % 11);
            builder.push(u64::from(n) + 2, &text, label).expect("within the limits");
        }
        builder.finish()
    }

    #[test]
    fn a_training_that_is_cancelled_at_any_time_ends_at_once() {
        const N_POINTS: usize = 40;
        // Looks that still come: one a loop or chunk that had begun, on each thread.
        const MOST_MORE: usize = 200;
        let dataset = dataset();
        let patient = Impatient::after(usize::MAX);
        train(&dataset, &Settings::default(), &patient).expect("a model");
        for point in 0..N_POINTS {
            let patience = patient.looks() * point / N_POINTS;
            let impatient = Impatient::after(patience);
            let ended = train(&dataset, &Settings::default(), &impatient);
            assert_eq!(ended.err(), Some(TrainError::Cancelled), "after {patience} looks");
            let n_more = impatient.looks() - patience;
            assert!(n_more <= MOST_MORE, "{n_more} more looks after {patience}");
        }
    }
}
