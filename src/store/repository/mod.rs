//! Numbered, immutable versions of named models in one folder, and which version of each is active.
//!
//! ```text
//! ROOT/NAME/VERSION/model.safetensors
//! ROOT/NAME/VERSION/signature
//! ROOT/NAME/active
//! ```
//!
//! Many processes may use one folder. Calls block on the file system; the heavy ones are
//! [`Repository::load`] and [`Repository::publish`].

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    ModelName, Retention, Signature, SignatureError, Signatures, Signer, StoreError,
    files::{Entry, Files, Kind, OsFiles},
    folder::{ModelFolder, Pointer},
    format::{self, Description},
    signature::Subject,
    writer::{Writer, create_folders},
};
use crate::model::Parts;

/// How long a writer waits for another one.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Longest model file in bytes; a longer one is refused before it is read.
const MAX_MODEL_BYTES: u64 = 16 << 30;

/// A folder of models.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    files: Arc<dyn Files>,
    retention: Retention,
    lock_wait: Duration,
    signatures: Signatures,
}

/// One version of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its number, from 1.
    pub version: u64,
    /// Whether it is the one that answers.
    pub active: bool,
    /// Length of its file.
    pub size_bytes: u64,
    /// When its file was written.
    pub created: SystemTime,
}

impl Repository {
    /// Opens a folder of models and removes what dead writers left in it. A folder that does not exist is an
    /// empty repository; it is made when the first model is published.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if `root` cannot be listed, or is no folder. Leftovers that cannot be removed are
    /// logged only: they are in nobody's way but the next writer's.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::open_with(Arc::new(OsFiles), root.into())
    }

    /// Opens a folder of models by means of these file operations.
    pub(super) fn open_with(files: Arc<dyn Files>, root: PathBuf) -> Result<Self, StoreError> {
        let repository = Self {
            root,
            files,
            retention: Retention::default(),
            lock_wait: LOCK_WAIT,
            signatures: Signatures::default(),
        };
        for name in repository.folders()? {
            if let Err(error) = repository.sweep(&name) {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(model = %name, error, "leftovers of a dead writer stay");
            }
        }
        Ok(repository)
    }

    /// Sets which versions are kept when another is published; all of them, unless set.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Sets how long a writer waits for another one; two seconds, unless set.
    #[must_use]
    pub fn with_lock_wait(self, lock_wait: Duration) -> Self {
        Self { lock_wait, ..self }
    }

    /// Sets whose signatures are asked for, and who signs what is published; nobody, unless set.
    #[must_use]
    pub fn with_signatures(self, signatures: Signatures) -> Self {
        Self { signatures, ..self }
    }

    /// Whose signatures are asked for, and who signs what is published.
    #[must_use]
    pub fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the models that have a version, in ascending order. One whose folder cannot be read is
    /// among them, so that its trouble shows when it is asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<ModelName>, StoreError> {
        let mut names = self.folders()?;
        names.retain(|name| !self.folder(name).versions().is_ok_and(|found| found.is_empty()));
        Ok(names)
    }

    /// Returns the versions of a model, in ascending order.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`] if it has none; [`StoreError::Record`] if the pointer to the
    /// active version is unreadable; [`StoreError::Io`].
    pub fn versions(&self, name: &ModelName) -> Result<Vec<VersionInfo>, StoreError> {
        let versions = list(&self.folder(name))?;
        if versions.is_empty() {
            return Err(StoreError::UnknownModel { name: name.clone() });
        }
        Ok(versions)
    }

    /// Returns what the folder shows of one version.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`], [`StoreError::UnknownVersion`]; [`StoreError::Record`] if the pointer to
    /// the active version is unreadable; [`StoreError::NotPlain`], [`StoreError::Io`].
    pub fn version(&self, name: &ModelName, version: u64) -> Result<VersionInfo, StoreError> {
        let folder = self.folder(name);
        let (_, file) = folder.model_file(version)?;
        Ok(info(version, &file, folder.pointer()?))
    }

    /// Returns the active version of a model, or `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Record`] if the pointer is unreadable; [`StoreError::Io`].
    pub fn active(&self, name: &ModelName) -> Result<Option<u64>, StoreError> {
        let folder = self.folder(name);
        match folder.check_plain() {
            Ok(()) => Ok(folder.pointer()?.map(|pointer| pointer.active)),
            Err(StoreError::UnknownModel { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Reads one version of a model.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`], [`StoreError::UnknownVersion`]; [`StoreError::Corrupt`] if the file is not
    /// what was written; [`StoreError::Untrusted`] if the signature that is asked for is not there or does not
    /// fit; [`StoreError::NotPlain`], [`StoreError::Io`].
    pub fn load(&self, name: &ModelName, version: u64) -> Result<Parts, StoreError> {
        let (path, file) = self.read_whole(name, version)?;
        self.check_trust(Subject { name, version, file: &file })?;
        format::decode(&file).map_err(|problem| StoreError::Corrupt { path, problem })
    }

    /// Reads what the file of a version says of itself: its header, in a time that does not depend on the
    /// size of its tables. Nothing is known thereby of the state of the rest; see [`Self::load`].
    ///
    /// # Errors
    ///
    /// Those of [`Self::load`].
    pub fn describe(&self, name: &ModelName, version: u64) -> Result<Description, StoreError> {
        let read = |n_bytes| move |path: &Path| self.files.read_first(path, n_bytes);
        let (path, first) = self.read(name, version, read(format::LENGTH_BYTES))?;
        let corrupt = |problem| StoreError::Corrupt { path, problem };
        let n_bytes = match format::header_end(&first) {
            Ok(n_bytes) => n_bytes,
            Err(problem) => return Err(corrupt(problem)),
        };
        let (_, start) = self.read(name, version, read(n_bytes))?;
        format::describe(&start).map_err(corrupt)
    }

    /// Returns the signature of a version, or `None` where it has none. Whether it fits is not looked at; that
    /// is for [`Self::load`].
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`], [`StoreError::UnknownVersion`]; [`StoreError::Untrusted`] if what stands
    /// there is no signature; [`StoreError::NotPlain`], [`StoreError::Io`].
    pub fn signature(
        &self,
        name: &ModelName,
        version: u64,
    ) -> Result<Option<Signature>, StoreError> {
        let folder = self.folder(name);
        folder.model_file(version)?;
        let content = folder.signature(version)?;
        let untrusted = |problem| untrusted(name, version, problem);
        content.map(|content| Signature::parse(&content).map_err(untrusted)).transpose()
    }

    /// Returns the signature of a version after checking that its key, whichever that is, signed the version as
    /// it is; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Self::signature`]; [`StoreError::Untrusted`] if the signature does not fit.
    pub fn checked_signature(
        &self,
        name: &ModelName,
        version: u64,
    ) -> Result<Option<Signature>, StoreError> {
        let Some(signature) = self.signature(name, version)? else { return Ok(None) };
        let (_, file) = self.read_whole(name, version)?;
        let fits = signature.check(Subject { name, version, file: &file });
        fits.map_err(|problem| untrusted(name, version, problem))?;
        Ok(Some(signature))
    }

    /// Signs a version, in place of a signature that it may have.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`], [`StoreError::UnknownVersion`]; [`StoreError::Corrupt`] if the file is not
    /// what was written: it is not signed then; [`StoreError::Busy`] if another writer did not finish in time;
    /// [`StoreError::NotPlain`], [`StoreError::Io`].
    pub fn sign(&self, name: &ModelName, version: u64, signer: &Signer) -> Result<(), StoreError> {
        let writer = self.existing(name, version)?;
        let (path, file) = self.read_whole(name, version)?;
        format::decode(&file).map_err(|problem| StoreError::Corrupt { path, problem })?;
        writer.sign(version, signer.sign(Subject { name, version, file: &file }))
    }

    /// Reads the active version of a model, and returns its number with it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::load`]; [`StoreError::NoActiveVersion`] if it has versions, but none is active.
    pub fn load_active(&self, name: &ModelName) -> Result<(u64, Parts), StoreError> {
        loop {
            let Some(active) = self.active(name)? else {
                self.versions(name)?;
                return Err(StoreError::NoActiveVersion { name: name.clone() });
            };
            match self.load(name, active) {
                // Another version became active and this one was deleted, all since we looked.
                Err(StoreError::UnknownVersion { .. } | StoreError::UnknownModel { .. })
                    if self.active(name)? != Some(active) => {}
                loaded => return Ok((active, loaded?)),
            }
        }
    }

    /// Stores a model as the next version, and returns its number: one more than the highest that any
    /// version of it has or had. It does not become active. Then deletes what
    /// [`Self::with_retention`] lets go; if that fails it is logged, and done after the next one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if another writer did not finish in time; [`StoreError::Unstorable`],
    /// [`StoreError::Exhausted`], [`StoreError::NotPlain`], [`StoreError::Record`], [`StoreError::Io`].
    /// In a few of the last kind the version is there all the same, whole.
    pub fn publish(&self, name: &ModelName, parts: &Parts) -> Result<u64, StoreError> {
        let file = format::encode(parts).map_err(StoreError::Unstorable)?;
        let folder = self.folder(name);
        if folder.versions()?.is_empty() {
            create_folders(&*self.files, &folder.path)?;
        }
        let writer = Writer::acquire(folder, self.lock_wait)?;
        let version = writer.publish(&file, self.signatures.signer())?;
        if let Err(error) = self.retain(&writer) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(model = %name, error, "old versions stay");
        }
        Ok(version)
    }

    /// Makes a version the active one, and returns the version that was active until now. Any version
    /// that is kept may be chosen, so this is also the way back.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`], [`StoreError::UnknownVersion`]; [`StoreError::Busy`] if another writer did
    /// not finish in time; [`StoreError::NotPlain`], [`StoreError::Io`].
    pub fn activate(&self, name: &ModelName, version: u64) -> Result<Option<u64>, StoreError> {
        self.existing(name, version)?.activate(version)
    }

    /// Deletes a version.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionIsActive`] for the active one; [`StoreError::UnknownModel`],
    /// [`StoreError::UnknownVersion`]; [`StoreError::Busy`] if another writer did not finish in time;
    /// [`StoreError::NotPlain`], [`StoreError::Record`], [`StoreError::Io`].
    pub fn delete(&self, name: &ModelName, version: u64) -> Result<(), StoreError> {
        self.existing(name, version)?.delete(version)
    }

    /// Locks the folder of a model that has this version, so that no lock is made where no model is.
    fn existing<'a>(&'a self, name: &'a ModelName, version: u64) -> Result<Writer<'a>, StoreError> {
        let folder = self.folder(name);
        folder.model_file(version)?;
        Writer::acquire(folder, self.lock_wait)
    }

    /// Reads bytes of the file of a version, and returns its path with them.
    fn read(
        &self,
        name: &ModelName,
        version: u64,
        read: impl FnOnce(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<(PathBuf, Vec<u8>), StoreError> {
        let folder = self.folder(name);
        let (path, _) = folder.model_file(version)?;
        match read(&path) {
            Ok(bytes) => Ok((path, bytes)),
            // It was deleted since we looked.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(folder.unknown(version)?),
            Err(e) => Err(StoreError::io("read", &path)(e)),
        }
    }

    fn read_whole(&self, name: &ModelName, version: u64) -> Result<(PathBuf, Vec<u8>), StoreError> {
        self.read(name, version, |path| self.files.read(path, MAX_MODEL_BYTES))
    }

    /// Refuses a version that none of the trusted keys signed, where there are such keys.
    fn check_trust(&self, subject: Subject<'_>) -> Result<(), StoreError> {
        let Some(trusted) = self.signatures.trusted() else { return Ok(()) };
        let Subject { name, version, .. } = subject;
        let signature = self.signature(name, version)?.ok_or(SignatureError::Missing);
        let checked = signature.and_then(|signature| trusted.check(&signature, subject));
        checked.map_err(|problem| untrusted(name, version, problem))
    }

    pub(super) fn files(&self) -> Arc<dyn Files> {
        Arc::clone(&self.files)
    }

    pub(super) fn folder<'a>(&'a self, name: &'a ModelName) -> ModelFolder<'a> {
        ModelFolder { files: &*self.files, name, path: self.root.join(name.as_str()) }
    }

    /// Returns the names of the folders that could be a model's, in ascending order.
    fn folders(&self) -> Result<Vec<ModelName>, StoreError> {
        let names = match self.files.list(&self.root) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(StoreError::io("list", &self.root)(e)),
        };
        let mut folders = Vec::new();
        for name in names {
            let Some(Ok(name)) = name.to_str().map(str::parse::<ModelName>) else { continue };
            let folder = self.folder(&name);
            if let Some(Entry { kind: Kind::Folder, .. }) = folder.entry(&folder.path)? {
                folders.push(name);
            }
        }
        folders.sort_unstable();
        Ok(folders)
    }

    /// Removes what dead writers left; a living one is left alone.
    fn sweep(&self, name: &ModelName) -> Result<(), StoreError> {
        let folder = self.folder(name);
        if folder.leftovers()?.is_empty() {
            return Ok(());
        }
        match Writer::acquire(folder, Duration::ZERO) {
            Ok(_) | Err(StoreError::Busy { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn retain(&self, writer: &Writer<'_>) -> Result<(), StoreError> {
        let previous = writer.folder.pointer()?.and_then(|pointer| pointer.previous);
        let versions = list(&writer.folder)?;
        for version in self.retention.surplus(&versions, previous, SystemTime::now()) {
            writer.delete(version)?;
        }
        Ok(())
    }
}

fn untrusted(name: &ModelName, version: u64, problem: SignatureError) -> StoreError {
    StoreError::Untrusted { name: name.clone(), version, problem }
}

/// Returns the versions of a model, in ascending order.
fn list(folder: &ModelFolder<'_>) -> Result<Vec<VersionInfo>, StoreError> {
    let mut versions = folder.versions()?;
    loop {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let pointer = folder.pointer()?;
        if pointer.is_none_or(|p| versions.iter().any(|(version, _)| *version == p.active)) {
            return Ok(versions.iter().map(|(v, file)| info(*v, file, pointer)).collect());
        }
        // The active version was published after we listed, or there is none of that number.
        let seen = std::mem::replace(&mut versions, folder.versions()?);
        if versions == seen {
            return Ok(versions.iter().map(|(v, file)| info(*v, file, pointer)).collect());
        }
    }
}

fn info(version: u64, file: &Entry, pointer: Option<Pointer>) -> VersionInfo {
    VersionInfo {
        version,
        active: pointer.is_some_and(|pointer| pointer.active == version),
        size_bytes: file.len,
        created: file.modified,
    }
}

#[cfg(test)]
mod tests;
