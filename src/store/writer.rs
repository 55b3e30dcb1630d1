//! The folder of one model, for writing, by one writer at a time.
//!
//! Every change is prepared under a temporary name, synced, and put in place by one rename, whose
//! folder is synced before the change counts as done. A writer that dies leaves the old state or the
//! new one, and at most temporary names, which the next writer removes.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    ModelName, StoreError,
    files::{Files, Kind, Lock},
    folder::{ACTIVE, LAST_DELETED, LOCK, MODEL_FILE, ModelFolder, Pointer, SIGNATURE, TEMPORARY},
    signature::{Signature, Signer, Subject},
};

/// First pause between two attempts to get the lock; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The folder of one model, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) folder: ModelFolder<'a>,
    _lock: Lock,
}

impl<'a> Writer<'a> {
    /// Waits for the lock, then brings the folder in order: what a dead writer had not finished is removed,
    /// what it had not synced is synced.
    pub(super) fn acquire(folder: ModelFolder<'a>, wait: Duration) -> Result<Self, StoreError> {
        folder.check_plain()?;
        let lock = lock(folder.files, folder.name, folder.path.join(LOCK), wait)?;
        let writer = Self { folder, _lock: lock };
        for leftover in writer.folder.leftovers()? {
            writer.remove(&leftover)?;
        }
        writer.sync(&writer.folder.path)?;
        Ok(writer)
    }

    /// Stores a model file as the next version, signed if there is a signer, and returns its number.
    pub(super) fn publish(&self, file: &[u8], signer: Option<&Signer>) -> Result<u64, StoreError> {
        let exhausted = || StoreError::Exhausted { name: self.folder.name.clone() };
        let version = self.folder.highest_number()?.checked_add(1).ok_or_else(exhausted)?;
        let temporary = self.temporary(&version.to_string());
        self.unless_failed(&temporary, || {
            let files = self.folder.files;
            files.create_folder(&temporary).map_err(StoreError::io("create", &temporary))?;
            let path = temporary.join(MODEL_FILE);
            files.write_synced(&path, file).map_err(StoreError::io("write", &path))?;
            if let Some(signer) = signer {
                let name = self.folder.name;
                let line = signer.sign(Subject { name, version, file }).to_line();
                let path = temporary.join(SIGNATURE);
                files
                    .write_synced(&path, line.as_bytes())
                    .map_err(StoreError::io("write", &path))?;
            }
            self.sync(&temporary)?;
            self.put_in_place(&temporary, &self.folder.version_path(version))
        })?;
        Ok(version)
    }

    /// Puts a signature beside the model file of a version, in place of the one that may be there.
    pub(super) fn sign(&self, version: u64, signature: Signature) -> Result<(), StoreError> {
        self.folder.model_file(version)?;
        let folder = self.folder.version_path(version);
        let temporary = self.temporary(SIGNATURE);
        self.unless_failed(&temporary, || {
            let line = signature.to_line();
            self.folder
                .files
                .write_synced(&temporary, line.as_bytes())
                .map_err(StoreError::io("write", &temporary))?;
            self.put_in_place(&temporary, &folder.join(SIGNATURE))?;
            self.sync(&folder)
        })
    }

    /// Makes a version the active one, and returns which was before.
    pub(super) fn activate(&self, version: u64) -> Result<Option<u64>, StoreError> {
        self.folder.model_file(version)?;
        let pointer = match self.folder.pointer() {
            Err(StoreError::Record { path }) => {
                tracing::warn!(path = %path.display(), "an unreadable pointer is replaced");
                None
            }
            other => other?,
        };
        let previous = match pointer {
            Some(Pointer { active, previous }) if active == version => previous,
            Some(Pointer { active, .. }) => Some(active),
            None => None,
        };
        self.record(ACTIVE, &[Some(version), previous])?;
        Ok(pointer.map(|pointer| pointer.active))
    }

    /// Deletes a version that is not active.
    pub(super) fn delete(&self, version: u64) -> Result<(), StoreError> {
        self.folder.model_file(version)?;
        let is_active = |pointer: Pointer| pointer.active == version;
        if self.folder.pointer()?.is_some_and(is_active) {
            return Err(StoreError::VersionIsActive { name: self.folder.name.clone(), version });
        }
        if self.folder.highest_number()? == version {
            self.record(LAST_DELETED, &[Some(version)])?;
        }
        let temporary = self.temporary(&version.to_string());
        self.put_in_place(&self.folder.version_path(version), &temporary)?;
        // The version is gone; what is left of it costs space only, until the next writer sweeps.
        if let Err(error) = self.remove(&temporary) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a deleted version takes space"
            );
        }
        Ok(())
    }

    /// Replaces a file of version numbers.
    fn record(&self, name: &str, versions: &[Option<u64>]) -> Result<(), StoreError> {
        let lines: String =
            versions.iter().flatten().map(|version| format!("{version}\n")).collect();
        let temporary = self.temporary(name);
        self.unless_failed(&temporary, || {
            let files = self.folder.files;
            files
                .write_synced(&temporary, lines.as_bytes())
                .map_err(StoreError::io("write", &temporary))?;
            self.put_in_place(&temporary, &self.folder.path.join(name))
        })
    }

    /// Does something that uses a temporary name, and gives its space back at once if it fails.
    fn unless_failed(
        &self,
        temporary: &Path,
        work: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let done = work();
        if done.is_err() {
            // The error to report is the first one; what stays is swept by the next writer.
            self.folder.files.remove(temporary).ok();
        }
        done
    }

    fn put_in_place(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.folder.files.rename(from, to).map_err(StoreError::io("rename to", to))?;
        self.sync(&self.folder.path)
    }

    fn sync(&self, folder: &Path) -> Result<(), StoreError> {
        self.folder.files.sync_folder(folder).map_err(StoreError::io("sync", folder))
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.folder.files.remove(path).map_err(StoreError::io("remove", path))
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.folder.path.join(format!("{TEMPORARY}{name}"))
    }
}

fn lock(
    files: &dyn Files,
    name: &ModelName,
    path: PathBuf,
    wait: Duration,
) -> Result<Lock, StoreError> {
    let entry = files.entry(&path).map_err(StoreError::io("look at", &path))?;
    if entry.is_some_and(|entry| entry.kind != Kind::File) {
        return Err(StoreError::NotPlain { path });
    }
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(lock) = files.try_lock(&path).map_err(StoreError::io("lock", &path))? {
            return Ok(lock);
        }
        if started.elapsed() >= wait {
            return Err(StoreError::Busy { name: name.clone() });
        }
        #[allow(clippy::disallowed_methods, reason = "a lock tells nobody when it becomes free")]
        thread::sleep(pause);
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Makes a folder with those above it, each synced before the next is made. A folder that exists may
/// be the work of a writer that died before it synced.
pub(super) fn create_folders(files: &dyn Files, folder: &Path) -> Result<(), StoreError> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let exists = files.entry(folder).map_err(StoreError::io("look at", folder))?.is_some();
    if !exists {
        create_folders(files, parent)?;
        match files.create_folder(folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(StoreError::io("create", folder))?,
        }
    }
    match files.sync_folder(parent) {
        // Where we may not even look, we made nothing.
        Err(e) if exists && e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other.map_err(StoreError::io("sync", parent)),
    }
}
