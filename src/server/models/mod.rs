//! The models that answer: which version of each is active, swapped under running requests.
//!
//! A request takes one [`ServedModel`] and keeps it to its end, so an answer is never a mix of two
//! versions. Changes are made one after another, under one lock, and end in a new snapshot. Methods
//! block on the file system unless they say otherwise; `service` calls them off the request threads.

mod recent;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::task::spawn_blocking;

use super::activation::Incumbent;
use super::error::CallError;
use super::request::{Target, Version};
use super::response;
use super::status::chain;
use crate::builtin;
use crate::config::ServeConfig;
use crate::model::{Model, Parts};
use crate::proto;
use crate::store::{ModelName, Repository, StoreError};
use recent::Recent;

/// How long a version that could not be loaded is not tried again.
const FAILURE_REST: Duration = Duration::from_secs(30);
/// Versions other than active ones that stay in memory.
const MAX_RECENT: usize = 4;
/// Versions whose summary stays in memory: a page of the list.
const MAX_SUMMARIES: usize = 1_000;

/// A model that answers, with the name and version it answers under.
#[derive(Debug)]
pub(crate) struct ServedModel {
    /// Name of the model.
    pub(crate) name: String,
    /// Its version; 0: built in.
    pub(crate) version: u64,
    /// The classifier.
    pub(crate) model: Arc<Model>,
}

type Active = HashMap<String, Arc<ServedModel>>;

/// All models that answer.
#[derive(Debug)]
pub(crate) struct Models {
    repository: Repository,
    default_name: String,
    /// `None` until the models are loaded.
    active: ArcSwap<Option<Active>>,
    changes: Mutex<Changes>,
}

/// What only changes touch, under their lock.
#[derive(Debug)]
struct Changes {
    recent: Recent<Version, Arc<ServedModel>>,
    failures: HashMap<ModelName, (u64, Instant)>,
    /// Swapped out. Kept until no request holds them, so that none has to free a model.
    retired: Vec<Arc<ServedModel>>,
    /// What lists say of versions.
    summaries: Recent<Version, proto::Model>,
    folder_is_readable: bool,
}

impl Models {
    /// Opens the folder; nothing is loaded yet.
    pub(crate) fn open(config: &ServeConfig) -> Result<Self, StoreError> {
        let name = config.default_model.as_ref().map_or(builtin::NAME, ModelName::as_str);
        Ok(Self {
            repository: Repository::open(&config.models)?,
            default_name: name.to_owned(),
            active: ArcSwap::default(),
            changes: Mutex::new(Changes {
                recent: Recent::new(MAX_RECENT),
                failures: HashMap::new(),
                retired: Vec::new(),
                summaries: Recent::new(MAX_SUMMARIES),
                folder_is_readable: true,
            }),
        })
    }

    /// The stored versions.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Begins to answer: with the built-in model, and the active version of every stored one. A broken one
    /// is logged and does not stop the others.
    pub(crate) fn start(&self, built_in: Arc<Model>) {
        let built_in = ServedModel {
            name: builtin::NAME.to_owned(),
            version: builtin::VERSION,
            model: built_in,
        };
        let active = Active::from([(built_in.name.clone(), Arc::new(built_in))]);
        let mut changes = self.changes();
        let loaded = self.load_changed(&mut changes, &active);
        self.active.store(Arc::new(Some(with(&active, &loaded))));
        drop(changes);
        if self.active_version(&self.default_name).is_none() {
            tracing::warn!(model = self.default_name, "the default model is not there");
        }
    }

    /// Looks for versions that other processes made active, and frees models nobody uses any more.
    ///
    /// A model whose pointer or folder has gone keeps answering: a folder that is away for a moment
    /// must not end the service.
    pub(crate) fn follow(&self) {
        let mut changes = self.changes();
        if let Some(active) = self.active.load_full().as_ref() {
            let loaded = self.load_changed(&mut changes, active);
            self.swap_in(&mut changes, &loaded);
        }
        changes.retired.retain(|model| Arc::strong_count(model) > 1);
    }

    /// The model meant. Does not block: what is not in memory is loaded elsewhere.
    pub(crate) async fn resolve(
        self: &Arc<Self>,
        target: &Target,
    ) -> Result<Arc<ServedModel>, CallError> {
        if let Some(served) = self.in_memory(target)? {
            return Ok(served);
        }
        let (models, target) = (Arc::clone(self), target.clone());
        spawn_blocking(move || models.load(&target)).await.map_err(|error| {
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
        let mut changes = self.changes();
        let served = self.version(&mut changes, version)?;
        let previous = self.repository.activate(&version.name, version.version)?;
        self.swap_in(&mut changes, slice::from_ref(&served));
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
        let version = self.repository.publish(name, parts)?;
        let served = ServedModel { name: name.to_string(), version, model: Arc::new(model) };
        let served = Arc::new(served);
        let mut changes = self.changes();
        if activate {
            self.repository.activate(name, version)?;
            self.swap_in(&mut changes, slice::from_ref(&served));
        } else {
            let key = Version { name: name.clone(), version };
            changes.keep(key, &served);
        }
        Ok(served)
    }

    /// What answers now under a name that is trained.
    pub(crate) fn incumbent(&self, name: &ModelName) -> Result<Incumbent, CallError> {
        match self.load(&Target { name: Some(name.clone()), version: 0 }) {
            Ok(served) => Ok(Incumbent::Version(served.version, Arc::clone(&served.model))),
            Err(CallError::Store(
                StoreError::UnknownModel { .. } | StoreError::NoActiveVersion { .. },
            )) => Ok(Incumbent::Nobody),
            Err(CallError::Damaged { .. } | CallError::Store(StoreError::Record { .. })) => {
                Ok(Incumbent::Unreadable)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a version that is not active.
    pub(crate) fn delete(&self, version: &Version) -> Result<(), CallError> {
        refuse_built_in(&version.name)?;
        let mut changes = self.changes();
        self.repository.delete(&version.name, version.version)?;
        changes.recent.remove(version);
        Ok(())
    }

    /// The version of a model that answers now.
    pub(crate) fn active_version(&self, name: &str) -> Option<u64> {
        self.active.load().as_ref().as_ref()?.get(name).map(|served| served.version)
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
        if let Some(summary) = self.changes().summaries.get(version) {
            return Some(summary.clone());
        }
        match self.read(version) {
            Ok(served) => {
                let summary = response::model(&served);
                self.changes().summaries.insert(version.clone(), summary.clone());
                Some(summary)
            }
            Err(error) => {
                let (model, number) = (&version.name, version.version);
                tracing::warn!(%model, version = number, error = chain(&error), "not described");
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
        let served = active.get(self.name_of(target));
        Ok(served.filter(|s| target.version == 0 || target.version == s.version).cloned())
    }

    /// Loads what is meant, unless that has just failed.
    fn load(&self, target: &Target) -> Result<Arc<ServedModel>, CallError> {
        let name: ModelName = self
            .name_of(target)
            .parse()
            .map_err(|_malformed| CallError::Internal("the default model has no proper name"))?;
        if name.as_str() == builtin::NAME {
            return Err(StoreError::UnknownVersion { name, version: target.version }.into());
        }
        let mut changes = self.changes();
        // Another request may have loaded it while this one waited.
        if let Some(served) = self.in_memory(target)? {
            return Ok(served);
        }
        if target.version > 0 {
            return self.version(&mut changes, &Version { name, version: target.version });
        }
        let Some(version) = self.repository.active(&name)? else {
            self.repository.versions(&name)?;
            return Err(StoreError::NoActiveVersion { name }.into());
        };
        let served = self.version(&mut changes, &Version { name, version })?;
        self.swap_in(&mut changes, slice::from_ref(&served));
        Ok(served)
    }

    /// Loads the versions that are active in the folder and not in the snapshot.
    fn load_changed(&self, changes: &mut Changes, active: &Active) -> Vec<Arc<ServedModel>> {
        let names = self.repository.names();
        if let Err(error) = &names
            && changes.folder_is_readable
        {
            tracing::error!(error = chain(error), "the models cannot be listed");
        }
        changes.folder_is_readable = names.is_ok();
        let mut loaded = Vec::new();
        for name in names.unwrap_or_default() {
            match self.changed_version(&name, active) {
                Ok(Some(version)) => loaded.extend(self.version(changes, &version).ok()),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(model = %name, error = chain(&error), "no active version");
                }
            }
        }
        loaded
    }

    fn changed_version(
        &self,
        name: &ModelName,
        active: &Active,
    ) -> Result<Option<Version>, StoreError> {
        if name.as_str() == builtin::NAME {
            return Ok(None);
        }
        let served = active.get(name.as_str()).map(|served| served.version);
        let changed = self.repository.active(name)?.filter(|version| Some(*version) != served);
        Ok(changed.map(|version| Version { name: name.clone(), version }))
    }

    /// One stored version, from memory or from its file.
    fn version(
        &self,
        changes: &mut Changes,
        version: &Version,
    ) -> Result<Arc<ServedModel>, CallError> {
        if let Some(served) = changes.recent.get(version) {
            return Ok(Arc::clone(served));
        }
        let Version { name, version: number } = version;
        let failed = changes.failures.get(name);
        if failed.is_some_and(|(n, at)| n == number && at.elapsed() < FAILURE_REST) {
            return Err(CallError::Damaged { name: name.clone(), version: *number });
        }
        match self.read(version) {
            Ok(served) => {
                changes.failures.remove(name);
                changes.keep(version.clone(), &served);
                Ok(served)
            }
            Err(error @ (StoreError::UnknownModel { .. } | StoreError::UnknownVersion { .. })) => {
                Err(error.into())
            }
            Err(error) => {
                tracing::error!(model = %name, version = number, error = chain(&error), "not loaded");
                changes.failures.insert(name.clone(), (*number, Instant::now()));
                Err(CallError::Damaged { name: name.clone(), version: *number })
            }
        }
    }

    fn read(&self, version: &Version) -> Result<Arc<ServedModel>, StoreError> {
        let Version { name, version } = version;
        let parts = self.repository.load(name, *version)?;
        let model = Model::try_new(&parts).map_err(|problem| StoreError::Corrupt {
            path: self.repository.root().join(name.as_str()).join(version.to_string()),
            problem: problem.into(),
        })?;
        Ok(Arc::new(ServedModel {
            name: name.to_string(),
            version: *version,
            model: Arc::new(model),
        }))
    }

    /// Lets these models answer from the next request on.
    fn swap_in(&self, changes: &mut Changes, served: &[Arc<ServedModel>]) {
        let before = self.active.load_full();
        let Some(before) = before.as_ref() else { return };
        if served.is_empty() {
            return;
        }
        self.active.store(Arc::new(Some(with(before, served))));
        for new in served {
            tracing::info!(model = new.name, version = new.version, "active");
            if let Some(old) = before.get(&new.name) {
                changes.retire(old);
            }
        }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        // What a panic may leave behind is a missing entry of a cache.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    /// Keeps a version in memory for a while.
    fn keep(&mut self, version: Version, served: &Arc<ServedModel>) {
        if let Some(evicted) = self.recent.insert(version, Arc::clone(served)) {
            self.retire(&evicted);
        }
    }

    fn retire(&mut self, model: &Arc<ServedModel>) {
        if !self.retired.iter().any(|retired| Arc::ptr_eq(retired, model)) {
            self.retired.push(Arc::clone(model));
        }
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
