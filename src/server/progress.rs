//! How far a training is, told to its caller: every change of stage, otherwise ten times a second. Its trace
//! has the changes of stage.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::traces::CallTrace;
use crate::proto::{TrainingProgress, TrainingStage};
use crate::train::{Observer, Stage, examples};

/// From one message to the next of the same stage.
const PAUSE: Duration = Duration::from_millis(100);

/// Hears how far a training is, and tells the caller; ends it when the caller has left.
#[derive(Debug)]
pub(crate) struct Reporter {
    updates: mpsc::Sender<TrainingProgress>,
    caller_left: Arc<AtomicBool>,
    row_count: AtomicU64,
    last: Mutex<Option<(Stage, Instant)>>,
    trace: CallTrace,
}

impl Reporter {
    /// Tells `updates`, which may be slow: what it has no room for is left out. Made by a thread that works
    /// for the call.
    pub(crate) fn new(
        updates: mpsc::Sender<TrainingProgress>,
        caller_left: Arc<AtomicBool>,
    ) -> Self {
        let (row_count, last) = (AtomicU64::new(0), Mutex::new(None));
        Self { updates, caller_left, row_count, last, trace: CallTrace::current() }
    }

    /// Watches the reading.
    pub(crate) fn rows(&self, progress: examples::Progress) -> ControlFlow<()> {
        self.row_count.store(progress.row_count, Ordering::Relaxed);
        self.progress(Stage::Reading, 0.0);
        if self.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn is_due(&self, stage: Stage) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|(told, at)| told != stage || at.elapsed() >= PAUSE);
        if last.is_none_or(|(told, _)| told != stage) {
            self.trace.event(name(stage));
        }
        if is_due {
            *last = Some((stage, Instant::now()));
        }
        is_due
    }
}

impl Observer for Reporter {
    fn progress(&self, stage: Stage, fraction: f64) {
        if !self.is_due(stage) {
            return;
        }
        let stage = match stage {
            Stage::Reading => TrainingStage::Reading,
            Stage::Counting => TrainingStage::Counting,
            Stage::Selecting => TrainingStage::Selecting,
            Stage::Pooling => TrainingStage::Pooling,
            Stage::Storing => TrainingStage::Storing,
        };
        let row_count = self.row_count.load(Ordering::Relaxed);
        let update = TrainingProgress { stage: stage.into(), row_count, fraction };
        if self.updates.try_send(update).is_err() {
            tracing::trace!("no room for a progress message");
        }
    }

    fn is_cancelled(&self) -> bool {
        self.caller_left.load(Ordering::Relaxed)
    }
}

/// How a stage is called in a trace.
fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Reading => "reading",
        Stage::Counting => "counting",
        Stage::Selecting => "selecting",
        Stage::Pooling => "pooling",
        Stage::Storing => "storing",
    }
}
