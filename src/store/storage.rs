//! Where versions are kept: what the repository asks of a folder and of a bucket alike.
//!
//! A name that gets here is checked, and a file that is given is a model. Every change is all or
//! nothing, also where the process dies or the place fails in between.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ModelName, Retention, Signature, Signer, StoreError, TrainingClaim, VersionInfo, Watch,
};

/// A place for the versions of models. Writers wait for each other as long as they are told to, then fail
/// with [`StoreError::Busy`].
pub(super) trait Storage: fmt::Debug + Send + Sync {
    /// What stands before the paths in errors.
    fn root(&self) -> &Path;

    /// Returns the models that have a version, and those that cannot be read, in ascending order.
    fn names(&self) -> Result<Vec<ModelName>, StoreError>;

    /// Returns the versions of a model in ascending order: none, where there is no such model.
    fn versions(&self, name: &ModelName) -> Result<Vec<VersionInfo>, StoreError>;

    /// Returns one version of a model.
    fn version(&self, name: &ModelName, version: u64) -> Result<VersionInfo, StoreError>;

    /// Returns the active version of a model, or `None` where there is none.
    fn active(&self, name: &ModelName) -> Result<Option<u64>, StoreError>;

    /// Reads the file of a version, and returns its path with it.
    fn read(
        &self,
        name: &ModelName,
        version: u64,
        part: Part,
    ) -> Result<(PathBuf, Vec<u8>), StoreError>;

    /// Reads the signature of a version, or returns `None` where there is none.
    fn signature(&self, name: &ModelName, version: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Stores a model file as the next version, and returns its number.
    fn publish(&self, name: &ModelName, new: &NewVersion<'_>) -> Result<u64, StoreError>;

    /// Signs a version, in place of a signature that it may have.
    fn sign(
        &self,
        name: &ModelName,
        version: u64,
        signature: Signature,
        wait: Duration,
    ) -> Result<(), StoreError>;

    /// Makes a version the active one, and returns which was before.
    fn activate(
        &self,
        name: &ModelName,
        version: u64,
        wait: Duration,
    ) -> Result<Option<u64>, StoreError>;

    /// Deletes a version that is not active.
    fn delete(&self, name: &ModelName, version: u64, wait: Duration) -> Result<(), StoreError>;

    /// Claims the right to train a model, or fails with [`StoreError::BeingTrained`].
    fn begin_training(&self, name: &ModelName) -> Result<TrainingClaim, StoreError>;

    /// Gives word of changes, or returns `None` where the place gives none.
    fn watch(&self, changed: Box<dyn Fn() + Send>) -> Result<Option<Watch>, StoreError>;
}

/// How much of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything.
    Whole,
    /// So many bytes, or all where it has fewer.
    First(usize),
}

/// A version to be.
#[derive(Debug)]
pub(super) struct NewVersion<'a> {
    pub(super) file: &'a [u8],
    pub(super) signer: Option<&'a Signer>,
    /// Which versions are kept when it is there.
    pub(super) retention: Retention,
    pub(super) wait: Duration,
}
