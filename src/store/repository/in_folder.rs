//! Versions in a folder: on this machine, or on a mount that many share.
//!
//! ```text
//! ROOT/NAME/VERSION/model.safetensors
//! ROOT/NAME/VERSION/signature
//! ROOT/NAME/active
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::super::{
    ModelName, Retention, Signature, StoreError, TrainingClaim, VersionInfo, Watch,
    files::{Entry, Files, Kind},
    folder::{ModelFolder, Pointer},
    storage::{NewVersion, Part, Storage},
    training, watch,
    writer::{Writer, create_folders},
};

/// Longest model file in bytes; a longer one is refused before it is read.
const MAX_MODEL_BYTES: u64 = 16 << 30;

/// A folder of models.
#[derive(Debug, Clone)]
pub(super) struct InFolder {
    root: PathBuf,
    files: Arc<dyn Files>,
}

impl InFolder {
    /// Opens a folder by means of these file operations, and removes what dead writers left in it.
    pub(super) fn open(files: Arc<dyn Files>, root: PathBuf) -> Result<Self, StoreError> {
        let opened = Self { root, files };
        for name in opened.folders()? {
            if let Err(error) = opened.sweep(&name) {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(model = %name, error, "leftovers of a dead writer stay");
            }
        }
        Ok(opened)
    }

    fn folder<'a>(&'a self, name: &'a ModelName) -> ModelFolder<'a> {
        ModelFolder { files: &*self.files, name, path: self.root.join(name.as_str()) }
    }

    /// Locks the folder of a model that has this version, so that no lock is made where no model is.
    fn existing<'a>(
        &'a self,
        name: &'a ModelName,
        version: u64,
        wait: Duration,
    ) -> Result<Writer<'a>, StoreError> {
        let folder = self.folder(name);
        folder.model_file(version)?;
        Writer::acquire(folder, wait)
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
}

impl Storage for InFolder {
    fn root(&self) -> &Path {
        &self.root
    }

    fn names(&self) -> Result<Vec<ModelName>, StoreError> {
        let mut names = self.folders()?;
        names.retain(|name| !self.folder(name).versions().is_ok_and(|found| found.is_empty()));
        Ok(names)
    }

    fn versions(&self, name: &ModelName) -> Result<Vec<VersionInfo>, StoreError> {
        list(&self.folder(name))
    }

    fn version(&self, name: &ModelName, version: u64) -> Result<VersionInfo, StoreError> {
        let folder = self.folder(name);
        let (_, file) = folder.model_file(version)?;
        Ok(info(version, &file, folder.pointer()?))
    }

    fn active(&self, name: &ModelName) -> Result<Option<u64>, StoreError> {
        let folder = self.folder(name);
        match folder.check_plain() {
            Ok(()) => Ok(folder.pointer()?.map(|pointer| pointer.active)),
            Err(StoreError::UnknownModel { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn read(
        &self,
        name: &ModelName,
        version: u64,
        part: Part,
    ) -> Result<(PathBuf, Vec<u8>), StoreError> {
        let folder = self.folder(name);
        let (path, _) = folder.model_file(version)?;
        let read = match part {
            Part::Whole => self.files.read(&path, MAX_MODEL_BYTES),
            Part::First(n_bytes) => self.files.read_first(&path, n_bytes),
        };
        match read {
            Ok(bytes) => Ok((path, bytes)),
            // It was deleted since we looked.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(folder.unknown(version)?),
            Err(e) => Err(StoreError::io("read", &path)(e)),
        }
    }

    fn signature(&self, name: &ModelName, version: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let folder = self.folder(name);
        folder.model_file(version)?;
        folder.signature(version)
    }

    fn publish(&self, name: &ModelName, new: &NewVersion<'_>) -> Result<u64, StoreError> {
        let folder = self.folder(name);
        if folder.versions()?.is_empty() {
            create_folders(&*self.files, &folder.path)?;
        }
        let writer = Writer::acquire(folder, new.wait)?;
        let version = writer.publish(new.file, new.signer)?;
        if let Err(error) = retain(&writer, new.retention) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(model = %name, error, "old versions stay");
        }
        Ok(version)
    }

    fn sign(
        &self,
        name: &ModelName,
        version: u64,
        signature: Signature,
        wait: Duration,
    ) -> Result<(), StoreError> {
        self.existing(name, version, wait)?.sign(version, signature)
    }

    fn activate(
        &self,
        name: &ModelName,
        version: u64,
        wait: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.existing(name, version, wait)?.activate(version)
    }

    fn delete(&self, name: &ModelName, version: u64, wait: Duration) -> Result<(), StoreError> {
        self.existing(name, version, wait)?.delete(version)
    }

    fn begin_training(&self, name: &ModelName) -> Result<TrainingClaim, StoreError> {
        training::begin(self.folder(name), Arc::clone(&self.files))
    }

    fn watch(&self, changed: Box<dyn Fn() + Send>) -> Result<Option<Watch>, StoreError> {
        watch::begin(&self.root, changed).map(Some)
    }
}

fn retain(writer: &Writer<'_>, retention: Retention) -> Result<(), StoreError> {
    let previous = writer.folder.pointer()?.and_then(|pointer| pointer.previous);
    let versions = list(&writer.folder)?;
    for version in retention.surplus(&versions, previous, SystemTime::now()) {
        writer.delete(version)?;
    }
    Ok(())
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
