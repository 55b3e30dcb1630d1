//! What is kept in memory of versions that are not active: models used lately, what lists say of versions,
//! what could not be loaded, and what is swapped out but still held by a request.
//!
//! Everything has a bound, and nothing here waits for anything but this lock, which is held for moments.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ServedModel;
use super::recent::Recent;
use crate::proto;
use crate::server::error::CallError;
use crate::server::request::Version;
use crate::store::{SignatureError, StoreError};

/// How long a version that could not be loaded is not tried again.
const FAILURE_REST: Duration = Duration::from_secs(30);
/// Versions other than active ones that stay in memory, the one used last in any case.
const MAX_MODELS: usize = 8;
/// Length of their files together.
const MAX_MODELS_BYTES: u64 = 1 << 30;
/// Versions whose summary stays in memory: a page of the list.
const MAX_SUMMARIES: usize = 1_000;
/// Versions of which it is known that they could not be loaded.
const MAX_FAILURES: usize = 1_000;

/// What is kept.
#[derive(Debug)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    models: Recent<Version, Arc<ServedModel>>,
    /// When they were tried, and what is wrong with their signature if that is why.
    failures: Recent<Version, (Instant, Option<SignatureError>)>,
    /// Swapped out. Kept until no request holds them, so that none has to free a model.
    retired: Vec<Arc<ServedModel>>,
    summaries: Recent<Version, proto::Model>,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            models: Recent::new(MAX_MODELS).with_max_bytes(MAX_MODELS_BYTES),
            failures: Recent::new(MAX_FAILURES),
            retired: Vec::new(),
            summaries: Recent::new(MAX_SUMMARIES),
        }))
    }
}

impl Memory {
    /// A version, if it is in memory; an error if it could not be loaded a moment ago.
    pub(super) fn get(&self, version: &Version) -> Result<Option<Arc<ServedModel>>, CallError> {
        let mut kept = self.kept();
        if let Some(served) = kept.models.get(version) {
            return Ok(Some(Arc::clone(served)));
        }
        match kept.failures.get(version) {
            Some((at, problem)) if at.elapsed() < FAILURE_REST => Err(refusal(version, *problem)),
            _ => Ok(None),
        }
    }

    /// Keeps a version whose file has this length.
    pub(super) fn keep(&self, version: Version, served: &Arc<ServedModel>, n_bytes: u64) {
        let mut kept = self.kept();
        kept.failures.remove(&version);
        for evicted in kept.models.insert_sized(version, Arc::clone(served), n_bytes) {
            kept.retire(&evicted);
        }
    }

    /// Forgets a version that is no more.
    pub(super) fn forget(&self, version: &Version) {
        let mut kept = self.kept();
        kept.failures.remove(version);
        kept.summaries.remove(version);
        if let Some(forgotten) = kept.models.remove(version) {
            kept.retire(&forgotten);
        }
    }

    /// The versions that are kept.
    pub(super) fn versions(&self) -> Vec<Version> {
        self.kept().models.keys().cloned().collect()
    }

    /// Takes note that a version cannot be loaded, and returns what to say of it.
    pub(super) fn keep_failure(&self, version: &Version, error: &StoreError) -> CallError {
        let untrusted =
            if let StoreError::Untrusted { problem, .. } = error { Some(*problem) } else { None };
        self.kept().failures.insert(version.clone(), (Instant::now(), untrusted));
        refusal(version, untrusted)
    }

    /// Lets a version be tried again at once.
    pub(super) fn forget_failure(&self, version: &Version) {
        self.kept().failures.remove(version);
    }

    /// What a list says of a version, if that is known.
    pub(super) fn summary(&self, version: &Version) -> Option<proto::Model> {
        self.kept().summaries.get(version).cloned()
    }

    /// Keeps what a list says of a version.
    pub(super) fn keep_summary(&self, version: &Version, summary: &proto::Model) {
        self.kept().summaries.insert(version.clone(), summary.clone());
    }

    /// Takes a model that does not answer any more.
    pub(super) fn retire(&self, model: &Arc<ServedModel>) {
        self.kept().retire(model);
    }

    /// Frees, on this thread, the models that nobody uses any more.
    pub(super) fn free(&self) {
        let is_unused = |model: &mut Arc<ServedModel>| Arc::strong_count(model) == 1;
        let unused: Vec<_> = self.kept().retired.extract_if(.., is_unused).collect();
        // Dropped here, after the lock.
        drop(unused);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What a panic may leave behind is a missing entry of a cache.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(version: &Version, untrusted: Option<SignatureError>) -> CallError {
    let Version { name, version } = version.clone();
    match untrusted {
        Some(problem) => StoreError::Untrusted { name, version, problem }.into(),
        None => CallError::Damaged { name, version },
    }
}

impl Kept {
    fn retire(&mut self, model: &Arc<ServedModel>) {
        if !self.retired.iter().any(|retired| Arc::ptr_eq(retired, model)) {
            self.retired.push(Arc::clone(model));
        }
    }
}
