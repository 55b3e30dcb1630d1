//! Versions from their files, each read once however many ask for it at the same time.

use std::collections::HashMap;
use std::slice;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::{Active, Models, ServedModel};
use crate::builtin;
use crate::server::error::CallError;
use crate::server::request::{Target, Version};
use crate::server::status::chain;
use crate::store::{ModelName, StoreError};

/// One lock for each version that is being read: who comes second waits for the first.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Version, Weak<Mutex<()>>>>);

impl Gates {
    fn of(&self, version: &Version) -> Arc<Mutex<()>> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(version).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::default();
        gates.insert(version.clone(), Arc::downgrade(&gate));
        gate
    }
}

/// The threads that read files, one a core. They are few and stay, so that what the allocator keeps for each
/// thread does not grow with the number of threads that ever loaded a model.
#[derive(Debug)]
pub(super) struct Loader(ThreadPool);

impl Loader {
    /// Starts the threads.
    pub(super) fn start() -> Result<Self, ThreadPoolBuildError> {
        let builder = ThreadPoolBuilder::new().num_threads(n_cores());
        Ok(Self(builder.thread_name(|i| format!("dictum-load-{i}")).build()?))
    }
}

fn n_cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Models {
    /// Loads what is meant, unless that has just failed.
    pub(super) fn load(&self, target: &Target) -> Result<Arc<ServedModel>, CallError> {
        let name: ModelName = self
            .name_of(target)
            .parse()
            .map_err(|_malformed| CallError::Internal("the default model has no proper name"))?;
        if name.as_str() == builtin::NAME {
            return Err(StoreError::UnknownVersion { name, version: target.version }.into());
        }
        if let Some(served) = self.in_memory(target)? {
            return Ok(served);
        }
        if target.version > 0 {
            return self.version(&Version { name, version: target.version });
        }
        let served = self.load_active(&name)?;
        self.catch_up(slice::from_ref(&served));
        Ok(served)
    }

    fn load_active(&self, name: &ModelName) -> Result<Arc<ServedModel>, CallError> {
        loop {
            let Some(version) = self.repository.active(name)? else {
                self.repository.versions(name)?;
                return Err(StoreError::NoActiveVersion { name: name.clone() }.into());
            };
            match self.version(&Version { name: name.clone(), version }) {
                // Another version became active and this one was deleted, all since we looked.
                Err(CallError::Store(StoreError::UnknownVersion { .. }))
                    if self.repository.active(name)? != Some(version) => {}
                loaded => return loaded,
            }
        }
    }

    /// Loads the versions that are active in the folder and not in the snapshot, in parallel.
    pub(super) fn load_changed(&self, active: &Active) -> Vec<Arc<ServedModel>> {
        let names = self.repository.names();
        let was_readable = self.folder_is_readable.swap(names.is_ok(), Ordering::Relaxed);
        if let Err(error) = &names
            && was_readable
        {
            tracing::error!(error = chain(error), "the models cannot be listed");
        }
        let changed = names.unwrap_or_default().into_iter().filter_map(|name| {
            self.changed_version(&name, active).unwrap_or_else(|error| {
                tracing::warn!(model = %name, error = chain(&error), "no active version");
                None
            })
        });
        self.load_all(changed.collect())
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

    /// Loads these versions, one a core at a time. What cannot be loaded is logged and left out.
    fn load_all(&self, versions: Vec<Version>) -> Vec<Arc<ServedModel>> {
        let n_threads = n_cores().min(versions.len());
        let left = Mutex::new(versions.into_iter());
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut loaded = Vec::new();
            while let Some(version) = next() {
                loaded.extend(self.version(&version).ok());
            }
            loaded
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
            // A thread that panicked has said so; what it had loaded is loaded by the next look.
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        })
    }

    /// One stored version, from memory or from its file.
    pub(super) fn version(&self, version: &Version) -> Result<Arc<ServedModel>, CallError> {
        if let Some(served) = self.memory.get(version)? {
            return Ok(served);
        }
        let gate = self.gates.of(version);
        let _first = gate.lock().unwrap_or_else(PoisonError::into_inner);
        // The first one through has read it by now.
        if let Some(served) = self.memory.get(version)? {
            return Ok(served);
        }
        let Version { name, version: number } = version;
        match self.read_and_keep(version) {
            Ok(served) => Ok(served),
            Err(
                // Nothing is wrong with the version, or there is none.
                error @ (StoreError::UnknownModel { .. }
                | StoreError::UnknownVersion { .. }
                | StoreError::Remote { .. }),
            ) => Err(error.into()),
            Err(error) => {
                tracing::error!(model = %name, version = number, error = chain(&error), "not loaded");
                Err(self.memory.keep_failure(version, &error))
            }
        }
    }

    fn read_and_keep(&self, version: &Version) -> Result<Arc<ServedModel>, StoreError> {
        let served = self.read(version)?;
        let n_bytes = self.repository.version(&version.name, version.version)?.size_bytes;
        self.memory.keep(version.clone(), &served, n_bytes);
        // Deleted between the two: whoever deletes forgets it afterwards, but may have been before us.
        if let Err(gone) = self.repository.version(&version.name, version.version) {
            self.memory.forget(version);
            return Err(gone);
        }
        Ok(served)
    }

    /// Reads a version from its file.
    pub(super) fn read(&self, version: &Version) -> Result<Arc<ServedModel>, StoreError> {
        self.loader.0.install(|| self.read_here(version))
    }

    fn read_here(&self, version: &Version) -> Result<Arc<ServedModel>, StoreError> {
        let Version { name, version } = version;
        let model = self.repository.load(name, *version)?;
        Ok(Arc::new(ServedModel::new(name.to_string(), *version, Arc::new(model))))
    }
}
