//! Versions in object storage: in a bucket that many processes use, with no folder, no rename and no lock.
//!
//! ```text
//! PREFIX/manifests/NAME.json                      what there is of the model, and which version is active
//! PREFIX/models/NAME/VERSION/model.safetensors    the file of a version, never written twice
//! ```
//!
//! Every change of a model is one conditional put of its manifest: it takes effect as a whole, if the manifest
//! is still the one it was made from, and is made anew from the new one otherwise. So all changes stand
//! one behind the other without a lock, and a writer that dies leaves the old state or the new one. A
//! new version's file is put first, under the first number that was never used; that put fails where
//! something stands, so a number has one file. What a dead writer put and never named in the manifest
//! is nobody's version, and is removed after a day by the next one who publishes.
//!
//! What was seen is kept in a `cache` on this machine, and is what is known while the store does not
//! answer: versions are served on, and every change is refused. Calls to the store have an end, see
//! `client`.

mod cache;
mod client;
mod connect;
mod manifest;
mod seen;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    FormatError, ModelName, Signature, StoreError, TrainingClaim, VersionInfo, Watch,
    signature::Subject,
    storage::{NewVersion, Part, Storage},
};
use cache::Cache;
use client::Client;
use directories::ProjectDirs;
use manifest::{Entry, Manifest};
use seen::{Edit, Known};

/// How many numbers in a row may be taken by others before a writer gives up.
const MAX_CLAIMS: u64 = 64;
/// Age of a file that no writer can be about to name any more.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// What is read of a file at least, so that its header is had at one go.
const MIN_FIRST_BYTES: usize = 64 * 1024;

/// Models under one prefix of a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    client: Client,
    cache: Cache,
    known: Mutex<HashMap<ModelName, Known>>,
    /// The first bytes of the file that was last looked into.
    first: Mutex<Option<(ModelName, u64, Vec<u8>)>>,
}

impl Bucket {
    /// Prepares the use of `s3://BUCKET/PREFIX` and the like. What is seen is kept in the user's cache folder.
    pub(super) fn open(url: &Path) -> Result<Self, StoreError> {
        let cache = ProjectDirs::from("", "", "dictum").map(|dirs| dirs.cache_dir().join("models"));
        Ok(Self::over(Client::connect(url)?, cache))
    }

    fn over(client: Client, cache: Option<PathBuf>) -> Self {
        if cache.is_none() {
            tracing::warn!(
                "there is no folder to keep models in: nothing starts without the store"
            );
        }
        Self {
            cache: Cache::new(cache, client.place()),
            client,
            known: Mutex::default(),
            first: Mutex::default(),
        }
    }

    /// Puts a file under the first number that seems free, and returns the number.
    fn claim(&self, name: &ModelName, file: &[u8]) -> Result<u64, StoreError> {
        let highest = self.fetch(name)?.map_or(0, |known| known.manifest.highest);
        for number in 1..=MAX_CLAIMS {
            let exhausted = || StoreError::Exhausted { name: name.clone() };
            let version = highest.checked_add(number).ok_or_else(exhausted)?;
            if self.client.create(&model_key(name, version), file)?.is_some() {
                return Ok(version);
            }
        }
        Err(StoreError::Busy { name: name.clone() })
    }

    /// Names a file that was put as a version, unless its number had been used before it was put.
    fn name_version(
        &self,
        name: &ModelName,
        version: u64,
        new: &NewVersion<'_>,
    ) -> Result<Option<Entry>, StoreError> {
        let subject = Subject { name, version, file: new.file };
        let signature = new.signer.map(|signer| signer.sign(subject).to_line());
        let entry = Entry::new(version, new.file, signature);
        let mut is_ours = false;
        self.change(name, new.wait, |manifest| {
            if is_ours && manifest.entry(version) == Some(&entry) {
                // The store did what it seemed not to have done.
                return Ok(Edit::Keep(Some(entry.clone())));
            }
            // Once the file stands there nobody else gets the number; before, somebody may have had it.
            if !is_ours && manifest.highest >= version {
                return Ok(Edit::Keep(None));
            }
            is_ours = true;
            manifest.add(entry.clone(), new.retention);
            Ok(Edit::Put(Some(entry.clone())))
        })
    }

    /// Removes the files of a model that are no version's, and that nobody is about to name. It is no harm if
    /// that fails.
    fn sweep(&self, name: &ModelName, before: &Manifest) {
        let swept = || {
            let Some(now) = self.look(name)? else { return Ok(()) };
            let is_version = |version| now.entry(version).is_some();
            let folder = format!("models/{name}");
            for object in self.client.list_deep(&folder)? {
                let Some(version) = version_of(&object.name) else { continue };
                let age = SystemTime::now().duration_since(object.modified).unwrap_or_default();
                let is_given_up = before.entry(version).is_some() || age > LEFTOVER_AGE;
                if !is_version(version) && is_given_up {
                    self.client.remove(&format!("{folder}/{}", object.name))?;
                }
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = swept() {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(model = %name, error, "files of deleted versions stay");
        }
    }

    fn entry(&self, name: &ModelName, version: u64) -> Result<(Arc<Manifest>, Entry), StoreError> {
        let manifest = self.look(name)?.filter(|manifest| !manifest.versions.is_empty());
        let manifest = manifest.ok_or_else(|| StoreError::UnknownModel { name: name.clone() })?;
        let entry = existing(&manifest, name, version)?.clone();
        Ok((manifest, entry))
    }

    fn read_whole(&self, name: &ModelName, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        if let Some(file) = self.cache.model(name, entry) {
            return Ok(file);
        }
        let key = model_key(name, entry.version);
        let path = self.client.place().join(&key);
        let corrupt = |problem| StoreError::Corrupt { path, problem };
        match self.client.get_large(&key, entry.size_bytes)? {
            Some(file) if entry.fits(&file) => {
                self.cache.keep_model(name, entry, &file);
                Ok(file)
            }
            Some(_) => Err(corrupt(FormatError::Digest)),
            None => Err(self.gone(name, entry.version, corrupt)),
        }
    }

    fn read_first(
        &self,
        name: &ModelName,
        entry: &Entry,
        n_bytes: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let version = entry.version;
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, number, bytes)) = first.as_ref()
            && (of, *number) == (name, version)
            && bytes.len() >= n_bytes
        {
            return Ok(bytes.get(..n_bytes).unwrap_or_default().to_vec());
        }
        let key = model_key(name, version);
        let n_read = n_bytes.max(MIN_FIRST_BYTES);
        let read = match self.cache.first(name, entry, n_read) {
            Some(bytes) => Some(bytes),
            None => self.client.get_first(&key, n_read)?,
        };
        let path = self.client.place().join(&key);
        let corrupt = |problem| StoreError::Corrupt { path, problem };
        let bytes = read.ok_or_else(|| self.gone(name, version, corrupt))?;
        let wanted = bytes.get(..n_bytes).unwrap_or(&bytes).to_vec();
        *first = Some((name.clone(), version, bytes));
        Ok(wanted)
    }

    /// What to say of a version whose file is not there: it was deleted since we looked, or is lost.
    fn gone(
        &self,
        name: &ModelName,
        version: u64,
        corrupt: impl FnOnce(FormatError) -> StoreError,
    ) -> StoreError {
        match self.fetch(name) {
            Ok(Some(known)) if known.manifest.entry(version).is_some() => {
                corrupt(FormatError::Container("the file is not there".to_owned()))
            }
            Ok(_) => StoreError::UnknownVersion { name: name.clone(), version },
            Err(error) => error,
        }
    }
}

impl Storage for Bucket {
    fn root(&self) -> &Path {
        self.client.place()
    }

    fn names(&self) -> Result<Vec<ModelName>, StoreError> {
        let mut names = self.list_names()?;
        names.sort_unstable();
        names.dedup();
        let is_empty = |found: Option<Arc<Manifest>>| found.is_none_or(|m| m.versions.is_empty());
        // One that cannot be read is named, so that its trouble shows when it is asked for.
        names.retain(|name| !self.look(name).is_ok_and(is_empty));
        Ok(names)
    }

    fn versions(&self, name: &ModelName) -> Result<Vec<VersionInfo>, StoreError> {
        Ok(self.look(name)?.map(|manifest| manifest.infos()).unwrap_or_default())
    }

    fn version(&self, name: &ModelName, version: u64) -> Result<VersionInfo, StoreError> {
        let (manifest, entry) = self.entry(name, version)?;
        Ok(manifest.info(&entry))
    }

    fn active(&self, name: &ModelName) -> Result<Option<u64>, StoreError> {
        Ok(self.look(name)?.and_then(|manifest| manifest.active))
    }

    fn read(
        &self,
        name: &ModelName,
        version: u64,
        part: Part,
    ) -> Result<(PathBuf, Vec<u8>), StoreError> {
        let (_, entry) = self.entry(name, version)?;
        let bytes = match part {
            Part::Whole => self.read_whole(name, &entry)?,
            Part::First(n_bytes) => self.read_first(name, &entry, n_bytes)?,
        };
        Ok((self.client.place().join(model_key(name, version)), bytes))
    }

    fn signature(&self, name: &ModelName, version: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let (_, entry) = self.entry(name, version)?;
        Ok(entry.signature.map(String::into_bytes))
    }

    fn publish(&self, name: &ModelName, new: &NewVersion<'_>) -> Result<u64, StoreError> {
        let before = self.fetch(name)?.map_or_else(Arc::default, |known| known.manifest);
        for _ in 0..MAX_CLAIMS {
            let version = self.claim(name, new.file)?;
            let Some(entry) = self.name_version(name, version, new)? else {
                self.client.remove(&model_key(name, version))?;
                continue;
            };
            self.cache.keep_model(name, &entry, new.file);
            self.sweep(name, &before);
            return Ok(version);
        }
        Err(StoreError::Busy { name: name.clone() })
    }

    fn sign(
        &self,
        name: &ModelName,
        version: u64,
        signature: Signature,
        wait: Duration,
    ) -> Result<(), StoreError> {
        self.change(name, wait, |manifest| {
            existing(manifest, name, version)?;
            manifest.sign(version, signature.to_line());
            Ok(Edit::Put(()))
        })
    }

    fn activate(
        &self,
        name: &ModelName,
        version: u64,
        wait: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.change(name, wait, |manifest| {
            existing(manifest, name, version)?;
            Ok(Edit::Put(manifest.activate(version)))
        })
    }

    fn delete(&self, name: &ModelName, version: u64, wait: Duration) -> Result<(), StoreError> {
        let mut was_there = false;
        self.change(name, wait, |manifest| {
            if was_there && manifest.entry(version).is_none() {
                // The store did what it seemed not to have done, or somebody else did.
                return Ok(Edit::Keep(()));
            }
            existing(manifest, name, version)?;
            if manifest.active == Some(version) {
                return Err(StoreError::VersionIsActive { name: name.clone(), version });
            }
            was_there = true;
            manifest.remove(version);
            Ok(Edit::Put(()))
        })?;
        // The version is gone; what is left of it costs space only, until somebody sweeps.
        if let Err(error) = self.client.remove(&model_key(name, version)) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(model = %name, version, error, "a deleted version takes space");
        }
        Ok(())
    }

    /// Nobody is held off: who trains beside another gets a number of its own, and the last to activate is
    /// active, as if they had trained one after the other.
    fn begin_training(&self, name: &ModelName) -> Result<TrainingClaim, StoreError> {
        // A store that is away is known before the work, not after it.
        self.fetch(name)?;
        Ok(TrainingClaim::of_many())
    }

    fn watch(&self, _changed: Box<dyn Fn() + Send>) -> Result<Option<Watch>, StoreError> {
        Ok(None)
    }
}

fn existing<'a>(
    manifest: &'a Manifest,
    name: &ModelName,
    version: u64,
) -> Result<&'a Entry, StoreError> {
    let name = || name.clone();
    if manifest.versions.is_empty() {
        return Err(StoreError::UnknownModel { name: name() });
    }
    manifest.entry(version).ok_or_else(|| StoreError::UnknownVersion { name: name(), version })
}

fn model_key(name: &ModelName, version: u64) -> String {
    format!("models/{name}/{version}/model.safetensors")
}

/// Returns the version whose file has this key under the folder of its model.
fn version_of(key: &str) -> Option<u64> {
    key.strip_suffix("/model.safetensors")?.parse().ok()
}
