//! Classifying: a sentence at once on the thread that asks, many on a bounded pool.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::caller::Caller;
use super::error::CallError;
use super::metrics::Metrics;
use super::metrics::calls::Shed;
use super::metrics::figures::Level;
use crate::config::ServeConfig;
use crate::model::{Classification, Model, Options, Scorer};

/// Up to so many sentences, and so many bytes of them, are classified at once: about 100 µs.
const MAX_INLINE_SENTENCES: usize = 64;
const MAX_INLINE_BYTES: usize = 16 * 1024;
/// Sentences between two looks at whether anybody still waits for them.
const CHUNK_SENTENCES: usize = 64;

thread_local! {
    static SCORER: Cell<Option<Scorer>> = const { Cell::new(None) };
}

/// A sentence that panics, in builds for tests only: what then happens is part of what is promised.
#[cfg(debug_assertions)]
const PANIC: &str = "\u{1}panic\u{1}";

/// Classifies one sentence on this thread, and returns what is made of the answer.
pub(crate) fn classify<T>(
    model: &Model,
    sentence: &str,
    options: &Options,
    make: impl FnOnce(&Classification) -> T,
) -> T {
    #[cfg(debug_assertions)]
    assert_ne!(sentence, PANIC, "on purpose");
    // Taken out and put back, so that a panic leaves no half-used scorer behind.
    let mut scorer = SCORER.take().unwrap_or_default();
    let made = make(scorer.classify(model, sentence, options));
    SCORER.set(Some(scorer));
    made
}

/// The pool for what would hold up a request thread.
#[derive(Debug)]
pub(crate) struct Workers {
    pool: Arc<ThreadPool>,
    /// As many jobs as threads are in the pool; the others wait outside, where they can be dropped.
    slots: Arc<Semaphore>,
    waiting: Level,
    max_waiting: u64,
    metrics: Arc<Metrics>,
}

impl Workers {
    /// Starts the threads.
    pub(crate) fn start(
        config: &ServeConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ThreadPoolBuildError> {
        let n_threads = config.batch_threads;
        let pool = ThreadPoolBuilder::new()
            .num_threads(n_threads.get())
            .thread_name(|i| format!("dictum-batch-{i}"))
            .build()?;
        Ok(Self {
            pool: Arc::new(pool),
            slots: Arc::new(Semaphore::new(n_threads.get())),
            waiting: Level::default(),
            max_waiting: config.limits.max_waiting_batches.get().try_into().unwrap_or(u64::MAX),
            metrics,
        })
    }

    /// Makes something of each sentence, in order. Small jobs run at once; large ones end early when the caller
    /// stops waiting.
    pub(crate) async fn map<T: Send + 'static>(
        &self,
        sentences: Vec<String>,
        make: impl Fn(&str) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, CallError> {
        let n_bytes: usize = sentences.iter().map(String::len).sum();
        if sentences.len() <= MAX_INLINE_SENTENCES && n_bytes <= MAX_INLINE_BYTES {
            return Ok(sentences.iter().map(|sentence| make(sentence)).collect());
        }
        self.run(move |caller_left| {
            sentences
                .par_chunks(CHUNK_SENTENCES)
                .take_any_while(|_| !caller_left.load(Ordering::Relaxed))
                .flat_map_iter(|chunk| chunk.iter().map(|sentence| make(sentence)))
                .collect()
        })
        .await
    }

    /// Waits for a thread, unless too many do.
    async fn slot(&self) -> Result<OwnedSemaphorePermit, CallError> {
        let slots = Arc::clone(&self.slots);
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            return Ok(slot);
        }
        let place = Waiting(&self.waiting);
        if place.0.up() > self.max_waiting {
            self.metrics.calls.shed(Shed::Batches);
            return Err(CallError::TooManyBatches { limit: self.max_waiting });
        }
        let slot = slots.acquire_owned().await;
        slot.map_err(|_closed| CallError::Internal("the pool is closed"))
    }

    /// Runs a job on the pool. It is told when nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let slot = self.slot().await?;
        let caller = Caller::default();
        let caller_left = caller.left();
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            // Uncaught, a panic on the pool would end the process.
            let result = catch_unwind(AssertUnwindSafe(|| job(&caller_left)));
            drop(slot);
            if let Ok(result) = result
                && sender.send(result).is_err()
            {
                tracing::debug!("nobody waited for a batch");
            }
        });
        let result = receiver.await;
        drop(caller);
        result.map_err(|_panicked| CallError::Internal("a job on the pool panicked"))
    }
}

/// A job that waits for a thread, until it is dropped.
struct Waiting<'a>(&'a Level);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.down();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn wait_for(flag: &AtomicBool) {
        while !flag.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
    }

    fn workers() -> Workers {
        let mut config = ServeConfig::new(std::path::PathBuf::new());
        config.batch_threads = NonZeroUsize::MIN;
        config.limits.max_waiting_batches = NonZeroUsize::MIN;
        Workers::start(&config, Arc::default()).expect("one thread")
    }

    #[tokio::test]
    async fn a_panic_on_the_pool_is_an_error_and_the_pool_lives() {
        let workers = workers();
        let panicked: Result<(), _> = workers.run(|_| panic!("on purpose")).await;
        assert!(matches!(panicked, Err(CallError::Internal(_))));
        assert_eq!(workers.run(|_| 7).await.expect("the pool lives"), 7);
    }

    #[tokio::test]
    async fn a_job_that_would_wait_behind_too_many_is_refused() {
        let workers = Arc::new(workers());
        let run = || {
            let workers = Arc::clone(&workers);
            tokio::spawn(async move { workers.run(wait_for).await })
        };
        let (running, waiting) = (run(), run());
        while workers.waiting.get() == 0 {
            tokio::task::yield_now().await;
        }
        let refused = workers.run(|_| ()).await;
        assert!(matches!(refused, Err(CallError::TooManyBatches { limit: 1 })), "{refused:?}");
        running.abort();
        waiting.abort();
        while workers.run(|_| ()).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(workers.waiting.get(), 0);
    }

    #[tokio::test]
    async fn a_job_is_told_when_its_caller_leaves() {
        let workers = workers();
        let (started, mut has_started) = tokio::sync::mpsc::channel(1);
        let (ended, mut has_ended) = tokio::sync::mpsc::channel(1);
        let job = workers.run(move |caller_left| {
            started.blocking_send(()).expect("the test waits");
            wait_for(caller_left);
            ended.blocking_send(()).expect("the test waits");
        });
        tokio::select! {
            _ = job => panic!("the job ends only when its caller leaves"),
            _ = has_started.recv() => {}
        }
        assert_eq!(has_ended.recv().await, Some(()));
    }
}
