//! Trainings and evaluations: each on a thread of its own, computing on a pool they share.
//!
//! They are kept apart from the threads that answer requests, they are limited in number, and a model is
//! trained by one call at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::CallError;
use super::metrics::Metrics;
use super::metrics::calls::Shed;
use super::metrics::jobs::{Job, JobEnd};
use crate::config::ServeConfig;
use crate::store::ModelName;
use crate::train::examples::Dataset;
use crate::train::stream::Collector;
use crate::train::{Collecting, Observer, TrainError, collect};

/// What runs, and how much more may.
#[derive(Debug)]
pub(crate) struct Jobs {
    pool: ThreadPool,
    limit: usize,
    slots: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    in_training: Arc<InTraining>,
}

type InTraining = Mutex<HashSet<ModelName>>;

impl Jobs {
    /// Starts the pool.
    pub(crate) fn start(
        config: &ServeConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.training_threads.get())
            .thread_name(|i| format!("dictum-train-{i}"))
            .build()?;
        let limit = config.limits.max_jobs.get();
        Ok(Self {
            pool,
            limit,
            slots: Arc::new(Semaphore::new(limit)),
            metrics,
            in_training: Arc::default(),
        })
    }

    /// Computes on the pool, while the calling thread waits.
    pub(crate) fn compute<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Collects the rows that `read` takes in, on this thread, while the pool counts them.
    pub(crate) fn collect<E>(
        &self,
        collecting: &Collecting,
        observer: &dyn Observer,
        read: impl FnOnce(&mut Collector) -> Result<(), E>,
    ) -> Result<Dataset, E> {
        collect(collecting, &self.pool, observer, read)
    }

    /// Room for one more job, or a refusal at once.
    pub(crate) fn slot(&self, job: Job) -> Result<Slot, CallError> {
        let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() else {
            self.metrics.calls.shed(Shed::Jobs);
            return Err(CallError::TooManyJobs { limit: self.limit });
        };
        self.metrics.jobs.begin();
        Ok(Slot {
            _permit: permit,
            job,
            began: Instant::now(),
            // A job that panics says nothing else.
            end: JobEnd::Failed,
            metrics: Arc::clone(&self.metrics),
        })
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

/// Room for a job, which is counted when it is given back.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    job: Job,
    began: Instant,
    end: JobEnd,
    metrics: Arc<Metrics>,
}

impl Slot {
    /// Does the job.
    pub(crate) fn run<T>(
        mut self,
        work: impl FnOnce() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let result = work();
        self.end = match &result {
            Ok(_) => JobEnd::Done,
            Err(CallError::Train(TrainError::Cancelled)) => JobEnd::Cancelled,
            Err(_) => JobEnd::Failed,
        };
        result
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.jobs.end(self.job, self.end, self.began.elapsed());
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
