//! Trainings and evaluations: each on a thread of its own, computing on a pool they share.
//!
//! They are kept apart from the threads that answer requests, they are limited in number, and a model is
//! trained by one call at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::CallError;
use crate::config::ServeConfig;
use crate::store::ModelName;

/// What runs, and how much more may.
#[derive(Debug)]
pub(crate) struct Jobs {
    pool: ThreadPool,
    limit: usize,
    slots: Arc<Semaphore>,
    in_training: Arc<InTraining>,
}

type InTraining = Mutex<HashSet<ModelName>>;

impl Jobs {
    /// Starts the pool.
    pub(crate) fn start(config: &ServeConfig) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.training_threads.get())
            .thread_name(|i| format!("dictum-train-{i}"))
            .build()?;
        let limit = config.limits.max_jobs.get();
        Ok(Self {
            pool,
            limit,
            slots: Arc::new(Semaphore::new(limit)),
            in_training: Arc::default(),
        })
    }

    /// Computes on the pool, while the calling thread waits.
    pub(crate) fn compute<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Room for one more job, or a refusal at once.
    pub(crate) fn slot(&self) -> Result<OwnedSemaphorePermit, CallError> {
        Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_none_left| CallError::TooManyJobs { limit: self.limit })
    }

    /// The right to train a model, for as long as it is held.
    pub(crate) fn claim(&self, name: &ModelName) -> Result<Claim, CallError> {
        if lock(&self.in_training).insert(name.clone()) {
            Ok(Claim { name: name.clone(), in_training: Arc::clone(&self.in_training) })
        } else {
            Err(CallError::TrainingRunning { name: name.clone() })
        }
    }
}

/// The right to train a model.
#[derive(Debug)]
pub(crate) struct Claim {
    name: ModelName,
    in_training: Arc<InTraining>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.in_training).remove(&self.name);
    }
}

fn lock(in_training: &InTraining) -> MutexGuard<'_, HashSet<ModelName>> {
    in_training.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a job on a thread of its own; its result comes through the channel, or the channel closes if it
/// panics.
pub(crate) fn spawn<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, CallError> + Send + 'static,
) -> Result<oneshot::Receiver<Result<T, CallError>>, CallError> {
    let (sender, receiver) = oneshot::channel();
    let body = move || {
        if sender.send(job()).is_err() {
            tracing::debug!("nobody waited for a job");
        }
    };
    match thread::Builder::new().name("dictum-job".to_owned()).spawn(body) {
        Ok(_detached) => Ok(receiver),
        Err(error) => {
            tracing::error!(%error, "no thread for a job");
            Err(CallError::Internal("no thread for a job"))
        }
    }
}
