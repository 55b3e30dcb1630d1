//! The objects of a store as they were last seen, in a folder of this machine: a model is fetched once, and
//! a server starts while the store is away.
//!
//! ```text
//! FOLDER/manifests/NAME.json
//! FOLDER/models/NAME/VERSION-DIGEST.safetensors
//! ```
//!
//! Nothing here is needed: what is missing or differs by a bit from its digest is fetched again, and where
//! nothing can be written a warning says so. Several processes may use one folder.

use std::{
    fs::{self, DirEntry, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    super::ModelName,
    manifest::{Entry, Manifest},
};

/// Age of a file that nobody can be writing any more.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Digits of a digest in the name of a file.
const DIGEST_DIGITS: usize = 16;

/// A folder, if there is one.
#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The part of a folder that belongs to one place.
    pub(super) fn new(folder: Option<PathBuf>, place: &Path) -> Self {
        let digest = blake3::hash(place.as_os_str().as_encoded_bytes()).to_hex();
        let id: String = digest.chars().take(DIGEST_DIGITS).collect();
        Self { folder: folder.map(|folder| folder.join(id)) }
    }

    /// Returns the names of the models that were seen.
    pub(super) fn names(&self) -> Vec<ModelName> {
        let Some(folder) = self.manifests() else { return Vec::new() };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok());
        let mut names: Vec<ModelName> = names.collect();
        names.sort_unstable();
        names
    }

    /// Returns the manifest of a model as it was last seen.
    pub(super) fn manifest(&self, name: &ModelName) -> Option<Manifest> {
        let content = fs::read(self.manifests()?.join(format!("{name}.json"))).ok()?;
        Manifest::parse(&content).ok()
    }

    /// Keeps a manifest, and of the model's files those it names.
    pub(super) fn keep_manifest(&self, name: &ModelName, manifest: &Manifest) {
        let (Some(folder), Ok(content)) = (self.manifests(), manifest.to_bytes()) else { return };
        told(write(&folder, &format!("{name}.json"), &content));
        let Some(folder) = self.models(name) else { return };
        let kept: Vec<_> = manifest.versions.iter().map(file_name).collect();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_kept = kept.iter().any(|kept| name == **kept);
            if !is_kept && !is_being_written(&entry) {
                told(fs::remove_file(entry.path()));
            }
        }
    }

    /// Forgets a model that is no more.
    pub(super) fn forget(&self, name: &ModelName) {
        if let (Some(manifests), Some(models)) = (self.manifests(), self.models(name)) {
            // Not having been there is as good.
            fs::remove_file(manifests.join(format!("{name}.json"))).ok();
            fs::remove_dir_all(models).ok();
        }
    }

    /// Returns the file of a version, if it is here and is what it should be.
    pub(super) fn model(&self, name: &ModelName, entry: &Entry) -> Option<Vec<u8>> {
        let path = self.models(name)?.join(file_name(entry));
        let file = fs::read(&path).ok()?;
        if entry.fits(&file) {
            return Some(file);
        }
        tracing::warn!(path = %path.display(), "a cached model is damaged, and fetched again");
        None
    }

    /// Returns the first bytes of the file of a version as it is here, if it is.
    pub(super) fn first(&self, name: &ModelName, entry: &Entry, n_bytes: usize) -> Option<Vec<u8>> {
        let file = File::open(self.models(name)?.join(file_name(entry))).ok()?;
        let mut bytes = Vec::new();
        file.take(n_bytes as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Keeps the file of a version.
    pub(super) fn keep_model(&self, name: &ModelName, entry: &Entry, file: &[u8]) {
        let Some(folder) = self.models(name) else { return };
        told(write(&folder, &file_name(entry), file));
    }

    fn manifests(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join("manifests"))
    }

    fn models(&self, name: &ModelName) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join("models").join(name.as_str()))
    }
}

fn file_name(entry: &Entry) -> String {
    let digits: String = entry.blake3.chars().take(DIGEST_DIGITS).collect();
    format!("{}-{digits}.safetensors", entry.version)
}

/// Writes a file that a reader sees whole or not at all. It is not synced: what a loss of power leaves of it
/// does not fit its digest.
fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{}-{count}.tmp", process::id()));
    let written =
        fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, folder.join(name)));
    if written.is_err() {
        // The error to report is the first one.
        fs::remove_file(&temporary).ok();
    }
    written
}

/// Whether another process may be writing a file; one that is old is what a dead one left.
fn is_being_written(entry: &DirEntry) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
    entry.file_name().as_encoded_bytes().starts_with(b".") && age < LEFTOVER_AGE
}

fn told(result: io::Result<()>) {
    if let Err(error) = result
        // Several processes tidy up here.
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "the cache of models");
    }
}
