//! What can go wrong with stored models, by what a caller can do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{ModelName, SignatureError};
use crate::model::PartsError;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no model of that name.
    #[error("no model {name}")]
    UnknownModel {
        /// The name asked for.
        name: ModelName,
    },
    /// The model has no such version.
    #[error("model {name} has no version {version}")]
    UnknownVersion {
        /// The model.
        name: ModelName,
        /// The version asked for.
        version: u64,
    },
    /// The model has versions, but none is active.
    #[error("model {name} has no active version")]
    NoActiveVersion {
        /// The model.
        name: ModelName,
    },
    /// Another process trains the model.
    #[error("model {name} is being trained by another process")]
    BeingTrained {
        /// The model.
        name: ModelName,
    },
    /// The active version cannot be deleted.
    #[error("version {version} of model {name} is active")]
    VersionIsActive {
        /// The model.
        name: ModelName,
        /// The version.
        version: u64,
    },
    /// Another process or thread is writing to this model.
    #[error("model {name} is being written by another process")]
    Busy {
        /// The model.
        name: ModelName,
    },
    /// The model's version numbers are used up.
    #[error("model {name} has used the highest version number there is")]
    Exhausted {
        /// The model.
        name: ModelName,
    },
    /// Something stands where only a plain file or folder may; links are not followed, since they
    /// could lead out of the repository.
    #[error("{path} is a link, or not the plain file or folder it should be")]
    NotPlain {
        /// What stands there.
        path: PathBuf,
    },
    /// A file that holds version numbers holds something else.
    #[error("{path} does not hold a version number and a line end")]
    Record {
        /// The file.
        path: PathBuf,
    },
    /// The parts given to be published do not make a model file.
    #[error("the model cannot be stored: {0}")]
    Unstorable(FormatError),
    /// The file is not a model this program can read.
    #[error("{path}: {problem}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: FormatError,
    },
    /// Nobody whose word is taken vouches for the version.
    #[error("version {version} of model {name} is refused: {problem}")]
    Untrusted {
        /// The model.
        name: ModelName,
        /// The version.
        version: u64,
        /// What is wrong with its signature.
        problem: SignatureError,
    },
    /// There are no such places for models.
    #[error("{place}: {problem}")]
    UnknownPlace {
        /// What was given as one.
        place: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The object storage did not answer, or refused.
    #[error("the object storage did not {action} {place}")]
    Remote {
        /// What was to be done, as a verb.
        action: &'static str,
        /// The object or prefix, as a URL.
        place: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system refused.
    #[error("{action} {path}")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StoreError {
    /// Returns what makes an error of the operating system one of the store.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Returns what makes an error of an object store one of the store.
    #[cfg(feature = "object-storage")]
    pub(super) fn remote<E>(action: &'static str, place: PathBuf) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Remote { action, place, source: Box::new(source) }
    }
}

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not a safetensors container, or a damaged one.
    #[error("not a model file: {0}")]
    Container(String),
    /// Made by a program with another format.
    #[error("format version {found}, this program reads up to version {supported}")]
    Version {
        /// The file's version.
        found: String,
        /// The newest version this program reads.
        supported: u32,
    },
    /// A tensor is missing, or has another type or shape than it should.
    #[error("tensor {name}: {problem}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The metadata is missing or not what it should be.
    #[error("metadata: {0}")]
    Metadata(String),
    /// The content is not what was written.
    #[error("the digest does not match the content")]
    Digest,
    /// The parts do not make a model.
    #[error(transparent)]
    Parts(#[from] PartsError),
}
