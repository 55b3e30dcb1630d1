//! Numbered, immutable versions of named models in one place, and which version of each is active.
//!
//! What a model is, who vouches for it and how long it is kept is decided here; how versions are kept
//! is for the place: `in_folder`, or `remote` for object storage. Many processes may use
//! one place. Calls block; the heavy ones are [`Repository::load`] and [`Repository::publish`].

mod in_folder;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    ModelName, Retention, Signature, SignatureError, Signatures, Signer, StoreError, TrainingClaim,
    Watch,
    files::{Files, OsFiles},
    format::{self, Description},
    signature::Subject,
    storage::{NewVersion, Part, Storage},
};
use crate::model::Model;
use in_folder::InFolder;

/// What is wrong with a place that begins otherwise.
const UNKNOWN_SCHEME: &str = "expected a folder, s3://, gs://, az:// or file://";

/// How long a writer waits for another one.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The models in one place.
#[derive(Debug, Clone)]
pub struct Repository {
    storage: Arc<dyn Storage>,
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
    /// Opens a folder of models, and removes what dead writers left in it, or a bucket, given as
    /// `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`; `file:///FOLDER` is a folder too. A
    /// place that does not exist is an empty repository. A folder is made when the first model is published, a
    /// bucket is not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if a folder cannot be listed, or is none. Leftovers that cannot be removed are
    /// logged only: they are in nobody's way but the next writer's. [`StoreError::UnknownPlace`] for other
    /// schemes, and for a bucket if this program was built without the feature `object-storage`;
    /// [`StoreError::Remote`] if what the environment says of the bucket cannot be right. The bucket itself is
    /// not asked yet. What is seen of it is kept in the user's cache folder.
    pub fn open(place: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let place = place.into();
        match place.to_str().and_then(|text| text.split_once("://")) {
            None => Self::open_with(Arc::new(OsFiles), place),
            Some(("file", folder)) => Self::open_with(Arc::new(OsFiles), folder.into()),
            Some(("s3" | "gs" | "az", _)) => Self::open_bucket(&place),
            Some(_) => Err(StoreError::UnknownPlace { place, problem: UNKNOWN_SCHEME }),
        }
    }

    /// Opens a folder of models by means of these file operations.
    pub(super) fn open_with(files: Arc<dyn Files>, root: PathBuf) -> Result<Self, StoreError> {
        Ok(Self::over(Arc::new(InFolder::open(files, root)?)))
    }

    #[cfg(feature = "object-storage")]
    fn open_bucket(place: &Path) -> Result<Self, StoreError> {
        Ok(Self::over(Arc::new(super::remote::Bucket::open(place)?)))
    }

    #[cfg(not(feature = "object-storage"))]
    fn open_bucket(place: &Path) -> Result<Self, StoreError> {
        let problem = "this program was built without the feature object-storage";
        Err(StoreError::UnknownPlace { place: place.to_owned(), problem })
    }

    /// The models that are kept there.
    pub(super) fn over(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            retention: Retention::default(),
            lock_wait: LOCK_WAIT,
            signatures: Signatures::default(),
        }
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

    /// The folder, or the URL of the bucket: what stands before the paths in errors.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.storage.root()
    }

    /// Returns the models that have a version, in ascending order. One whose folder cannot be read is
    /// among them, so that its trouble shows when it is asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the folder cannot be listed, [`StoreError::Remote`] if the bucket cannot.
    pub fn names(&self) -> Result<Vec<ModelName>, StoreError> {
        self.storage.names()
    }

    /// Returns the versions of a model, in ascending order.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`] if it has none; [`StoreError::Record`] if the pointer to the
    /// active version is unreadable; [`StoreError::Io`].
    pub fn versions(&self, name: &ModelName) -> Result<Vec<VersionInfo>, StoreError> {
        let versions = self.storage.versions(name)?;
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
        self.storage.version(name, version)
    }

    /// Returns the active version of a model, or `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Record`] if the pointer is unreadable; [`StoreError::Io`].
    pub fn active(&self, name: &ModelName) -> Result<Option<u64>, StoreError> {
        self.storage.active(name)
    }

    /// Reads one version of a model.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`], [`StoreError::UnknownVersion`]; [`StoreError::Corrupt`] if the file is not
    /// what was written; [`StoreError::Untrusted`] if the signature that is asked for is not there or does not
    /// fit; [`StoreError::NotPlain`], [`StoreError::Io`].
    pub fn load(&self, name: &ModelName, version: u64) -> Result<Model, StoreError> {
        let (path, file) = self.storage.read(name, version, Part::Whole)?;
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
        let read = |n_bytes| self.storage.read(name, version, Part::First(n_bytes));
        let (path, first) = read(format::LENGTH_BYTES)?;
        let corrupt = |problem| StoreError::Corrupt { path, problem };
        let n_bytes = match format::header_end(&first) {
            Ok(n_bytes) => n_bytes,
            Err(problem) => return Err(corrupt(problem)),
        };
        let (_, start) = read(n_bytes)?;
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
        let content = self.storage.signature(name, version)?;
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
        let (_, file) = self.storage.read(name, version, Part::Whole)?;
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
        let (path, file) = self.storage.read(name, version, Part::Whole)?;
        format::decode(&file).map_err(|problem| StoreError::Corrupt { path, problem })?;
        let signature = signer.sign(Subject { name, version, file: &file });
        self.storage.sign(name, version, signature, self.lock_wait)
    }

    /// Reads the active version of a model, and returns its number with it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::load`]; [`StoreError::NoActiveVersion`] if it has versions, but none is active.
    pub fn load_active(&self, name: &ModelName) -> Result<(u64, Model), StoreError> {
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
    /// In a few of the last kind, and of [`StoreError::Remote`], the version is there all the same, whole.
    pub fn publish(&self, name: &ModelName, model: &Model) -> Result<u64, StoreError> {
        let file = format::encode(model).map_err(StoreError::Unstorable)?;
        let new = NewVersion {
            file: &file,
            signer: self.signatures.signer(),
            retention: self.retention,
            wait: self.lock_wait,
        };
        self.storage.publish(name, &new)
    }

    /// Makes a version the active one, and returns the version that was active until now. Any version
    /// that is kept may be chosen, so this is also the way back.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownModel`], [`StoreError::UnknownVersion`]; [`StoreError::Busy`] if another writer did
    /// not finish in time; [`StoreError::NotPlain`], [`StoreError::Io`].
    pub fn activate(&self, name: &ModelName, version: u64) -> Result<Option<u64>, StoreError> {
        self.storage.activate(name, version, self.lock_wait)
    }

    /// Deletes a version.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionIsActive`] for the active one; [`StoreError::UnknownModel`],
    /// [`StoreError::UnknownVersion`]; [`StoreError::Busy`] if another writer did not finish in time;
    /// [`StoreError::NotPlain`], [`StoreError::Record`], [`StoreError::Io`].
    pub fn delete(&self, name: &ModelName, version: u64) -> Result<(), StoreError> {
        self.storage.delete(name, version, self.lock_wait)
    }

    /// Claims the right to train a model. Makes its folder, if it is to have one and there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::BeingTrained`] if another one has it; [`StoreError::NotPlain`] for a link;
    /// [`StoreError::Io`] where nothing can be written, so that this too is known before the work.
    pub fn begin_training(&self, name: &ModelName) -> Result<TrainingClaim, StoreError> {
        self.storage.begin_training(name)
    }

    /// Calls `changed`, on a thread of its own, when a pointer may have moved or a model may have come. One
    /// change may give several calls. Returns `None` where the place gives no word of changes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the folder is not there (kind `NotFound`), or the operating system cannot watch it.
    pub fn watch(&self, changed: impl Fn() + Send + 'static) -> Result<Option<Watch>, StoreError> {
        self.storage.watch(Box::new(changed))
    }

    /// Refuses a version that none of the trusted keys signed, where there are such keys.
    fn check_trust(&self, subject: Subject<'_>) -> Result<(), StoreError> {
        let Some(trusted) = self.signatures.trusted() else { return Ok(()) };
        let Subject { name, version, .. } = subject;
        let signature = self.signature(name, version)?.ok_or(SignatureError::Missing);
        let checked = signature.and_then(|signature| trusted.check(&signature, subject));
        checked.map_err(|problem| untrusted(name, version, problem))
    }
}

fn untrusted(name: &ModelName, version: u64, problem: SignatureError) -> StoreError {
    StoreError::Untrusted { name: name.clone(), version, problem }
}

#[cfg(test)]
mod tests;
