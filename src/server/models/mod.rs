//! The models that answer: which version of each is active, swapped under running requests.
//!
//! A request takes one [`ServedModel`] and keeps it to its end, so an answer is never a mix of two
//! versions. Pointers are moved and followed one after another, and each move ends in a new snapshot; files
//! are read beside that, so a long load holds nobody up. Methods block on the file system unless they
//! say otherwise; `service` calls them off the request threads.
//!
//! - `loading`: versions from their files, each read once however many ask for it.
//! - `memory`: what is kept of versions that are not active, within bounds.
//! - `following`: what other processes make active, by file events and by looking.

mod following;
mod loading;
mod memory;
mod recent;
pub(crate) mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::slice;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::ServeError;
use super::activation::Incumbent;
use super::error::CallError;
use super::metrics::figures::Count;
use super::request::{Target, Version};
use super::response;
use super::status::chain;
use crate::builtin;
use crate::config::ServeConfig;
use crate::model::{Model, Parts};
use crate::proto;
use crate::store::{ModelName, Repository, Signature, StoreError};
pub(crate) use following::follow;
use loading::{Gates, Loader};
use memory::Memory;
use tally::Tally;

/// Requests that may load a version at the same time; further ones wait, without a thread.
const MAX_LOADS: usize = 4;

/// A model that answers, with the name and version it answers under.
#[derive(Debug)]
pub(crate) struct ServedModel {
    /// Name of the model.
    pub(crate) name: String,
    /// Its version; 0: built in.
    pub(crate) version: u64,
    /// The classifier.
    pub(crate) model: Arc<Model>,
    /// What it has answered.
    pub(crate) tally: Tally,
}

impl ServedModel {
    /// A model that is about to answer.
    pub(crate) fn new(name: String, version: u64, model: Arc<Model>) -> Self {
        let tally = Tally::new(model.labels().len());
        Self { name, version, model, tally }
    }
}

/// What reading a version anew showed.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is whole, and its signature fits, if it has one.
    Good(Option<Signature>),
    /// What is wrong with it.
    Bad(String),
}

type Active = HashMap<String, Arc<ServedModel>>;

/// All models that answer.
#[derive(Debug)]
pub(crate) struct Models {
    repository: Repository,
    default_name: String,
    /// `None` until the models are loaded.
    active: ArcSwap<Option<Active>>,
    turns: Mutex<()>,
    memory: Memory,
    gates: Gates,
    loads: Arc<Semaphore>,
    loader: Loader,
    /// Whether the folder could be listed when it was last looked at.
    folder_is_readable: AtomicBool,
    swaps: Count,
}

/// The right to move pointers and to swap what answers. While it is held a pointer that was read stays what
/// this process last made it, so that the snapshot never falls behind a change that was acknowledged.
#[derive(Debug)]
struct Turn<'a>(#[allow(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

impl Models {
    /// Opens the folder; nothing is loaded yet.
    pub(crate) fn open(config: &ServeConfig) -> Result<Self, ServeError> {
        let name = config.default_model.as_ref().map_or(builtin::NAME, ModelName::as_str);
        Ok(Self {
            repository: Repository::open(&config.models)?
                .with_retention(config.retention)
                .with_signatures(config.signatures.clone()),
            default_name: name.to_owned(),
            active: ArcSwap::default(),
            turns: Mutex::default(),
            memory: Memory::default(),
            gates: Gates::default(),
            loads: Arc::new(Semaphore::new(MAX_LOADS)),
            loader: Loader::start()?,
            folder_is_readable: AtomicBool::new(true),
            swaps: Count::default(),
        })
    }

    /// The stored versions.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Begins to answer: with the built-in model, and the active version of every stored one, read in
    /// parallel. A broken one is logged and does not stop the others.
    pub(crate) fn start(&self, built_in: Arc<Model>) {
        let built_in = ServedModel::new(builtin::NAME.to_owned(), builtin::VERSION, built_in);
        let active = Active::from([(built_in.name.clone(), Arc::new(built_in))]);
        let loaded = self.load_changed(&active);
        self.active.store(Arc::new(Some(with(&active, &loaded))));
        for served in self.answering() {
            tracing::info!(model = served.name, version = served.version, "active");
        }
        if self.active_version(&self.default_name).is_none() {
            tracing::warn!(model = self.default_name, "the default model is not there");
        }
    }

    /// Every model with the version of it that answers now, by name. Does not block; to be read for
    /// metrics too.
    pub(crate) fn answering(&self) -> Vec<Arc<ServedModel>> {
        let active = self.active.load();
        let mut answering: Vec<_> = active.iter().flat_map(HashMap::values).cloned().collect();
        answering.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        answering
    }

    /// How often another version of a model began to answer.
    pub(crate) fn swaps(&self) -> u64 {
        self.swaps.get()
    }

    /// The version of a model that answers now. Does not block.
    pub(crate) fn active_version(&self, name: &str) -> Option<u64> {
        self.active.load().as_ref().as_ref()?.get(name).map(|served| served.version)
    }

    /// The model meant. Does not block: what is not in memory is loaded elsewhere.
    pub(crate) async fn resolve(
        self: &Arc<Self>,
        target: &Target,
    ) -> Result<Arc<ServedModel>, CallError> {
        if let Some(served) = self.in_memory(target)? {
            return Ok(served);
        }
        // Held to the end of the load, not of the request.
        let permit = Arc::clone(&self.loads).acquire_owned().await;
        // Another request may have loaded it while this one waited.
        if let Some(served) = self.in_memory(target)? {
            return Ok(served);
        }
        let (models, target) = (Arc::clone(self), target.clone());
        let load = move || {
            let _permit = permit;
            models.load(&target)
        };
        spawn_blocking(load).await.map_err(|error| {
            tracing::error!(%error, "loading a model");
            CallError::Internal("loading a model ended early")
        })?
    }

    /// Makes a version active, and returns it with the version that was active before. The model is
    /// loaded first, so that a broken one never becomes active.
    pub(crate) fn activate(
        &self,
        version: &Version,
    ) -> Result<(Arc<ServedModel>, Option<u64>), CallError> {
        refuse_built_in(&version.name)?;
        // What was wrong a moment ago may be put right now, a missing signature for one.
        self.memory.forget_failure(version);
        let served = self.version(version)?;
        let turn = self.turn();
        let previous = self.repository.activate(&version.name, version.version)?;
        self.swap_in(&turn, slice::from_ref(&served));
        Ok((served, previous))
    }

    /// Stores a model as a new version and, if wanted, makes it active.
    pub(crate) fn publish(
        &self,
        name: &ModelName,
        parts: &Parts,
        activate: bool,
    ) -> Result<Arc<ServedModel>, CallError> {
        let model = Model::try_new(parts).map_err(|error| {
            tracing::error!(%error, "a trained model is unusable");
            CallError::Internal("a trained model is unusable")
        })?;
        let version = self.repository.publish(name, &model)?;
        let served = Arc::new(ServedModel::new(name.to_string(), version, Arc::new(model)));
        if activate {
            let turn = self.turn();
            self.repository.activate(name, version)?;
            self.swap_in(&turn, slice::from_ref(&served));
        } else if self.repository.signatures().accept_own() {
            let n_bytes = self.repository.version(name, version)?.size_bytes;
            self.memory.keep(Version { name: name.clone(), version }, &served, n_bytes);
        }
        Ok(served)
    }

    /// Refuses to make a version active that would be refused when it is loaded.
    pub(crate) fn check_activates_own(&self) -> Result<(), CallError> {
        if self.repository.signatures().accept_own() {
            Ok(())
        } else {
            Err(CallError::NoSigningKey)
        }
    }

    /// What answers now under a name that is trained.
    pub(crate) fn incumbent(&self, name: &ModelName) -> Result<Incumbent, CallError> {
        match self.load(&Target { name: Some(name.clone()), version: 0 }) {
            Ok(served) => Ok(Incumbent::Version(served.version, Arc::clone(&served.model))),
            Err(CallError::Store(
                StoreError::UnknownModel { .. } | StoreError::NoActiveVersion { .. },
            )) => Ok(Incumbent::Nobody),
            Err(
                CallError::Damaged { .. }
                | CallError::Store(StoreError::Record { .. } | StoreError::Untrusted { .. }),
            ) => Ok(Incumbent::Unreadable),
            Err(error) => Err(error),
        }
    }

    /// Deletes a version that is not active.
    pub(crate) fn delete(&self, version: &Version) -> Result<(), CallError> {
        refuse_built_in(&version.name)?;
        let _turn = self.turn();
        self.repository.delete(&version.name, version.version)?;
        self.memory.forget(version);
        self.memory.free();
        Ok(())
    }

    /// Reads the file of a version anew, every byte of it, and returns whose signature fits it, or what is
    /// wrong with it.
    pub(crate) fn verify(&self, version: &Version) -> Result<Verdict, CallError> {
        refuse_built_in(&version.name)?;
        let Version { name, version: number } = version;
        let signature =
            self.read(version).and_then(|_| self.repository.checked_signature(name, *number));
        match signature {
            Ok(signature) => Ok(Verdict::Good(signature)),
            Err(StoreError::Corrupt { problem, .. }) => Ok(Verdict::Bad(problem.to_string())),
            Err(StoreError::Untrusted { problem, .. }) => Ok(Verdict::Bad(problem.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// What is known of a version without its evaluation; of the built-in one where none is given.
    ///
    /// A version never changes, so what was read once is kept.
    pub(crate) fn summary(&self, name: &str, version: Option<&Version>) -> Option<proto::Model> {
        if let Some(served) = self.active.load().as_ref().as_ref()?.get(name)
            && served.version == version.map_or(builtin::VERSION, |v| v.version)
        {
            return Some(response::model(served));
        }
        let version = version?;
        if let Some(summary) = self.memory.summary(version) {
            return Some(summary);
        }
        let Version { name, version: number } = version;
        match self.repository.describe(name, *number) {
            Ok(description) => {
                let summary = response::described(version, &description);
                self.memory.keep_summary(version, &summary);
                Some(summary)
            }
            Err(error) => {
                tracing::warn!(model = %name, version = number, error = chain(&error), "not described");
                None
            }
        }
    }

    /// The name meant, as it answers.
    pub(crate) fn name_of<'a>(&'a self, target: &'a Target) -> &'a str {
        target.name.as_ref().map_or(&self.default_name, ModelName::as_str)
    }

    fn in_memory(&self, target: &Target) -> Result<Option<Arc<ServedModel>>, CallError> {
        let active = self.active.load();
        let active = active.as_ref().as_ref().ok_or(CallError::Starting)?;
        let name = self.name_of(target);
        match active.get(name) {
            Some(served) if target.version == 0 || target.version == served.version => {
                Ok(Some(Arc::clone(served)))
            }
            _ if target.version == 0 => Ok(None),
            _ => match name.parse() {
                Ok(name) => self.memory.get(&Version { name, version: target.version }),
                Err(_not_a_stored_one) => Ok(None),
            },
        }
    }

    fn turn(&self) -> Turn<'_> {
        // What a panic may leave behind is a snapshot that is behind; the next one catches up.
        Turn(self.turns.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets these models answer from the next request on.
    fn swap_in(&self, _turn: &Turn<'_>, served: &[Arc<ServedModel>]) {
        let before = self.active.load_full();
        let Some(active) = before.as_ref() else { return };
        if !served.is_empty() {
            self.active.store(Arc::new(Some(with(active, served))));
        }
        for new in served {
            self.swaps.add(1);
            tracing::info!(model = new.name, version = new.version, "active");
            if let Some(old) = active.get(&new.name) {
                self.memory.retire(old);
            }
        }
        drop(before);
        self.memory.free();
    }
}

fn with(active: &Active, served: &[Arc<ServedModel>]) -> Active {
    let mut active = active.clone();
    active.extend(served.iter().map(|served| (served.name.clone(), Arc::clone(served))));
    active
}

fn refuse_built_in(name: &ModelName) -> Result<(), CallError> {
    if name.as_str() == builtin::NAME {
        return Err(CallError::BuiltInFixed { name: name.clone() });
    }
    Ok(())
}
