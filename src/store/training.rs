//! One trainer at a time to a model, whatever process it is in: a second one is told before it works, and not
//! when it comes to publish.
//!
//! Only a courtesy: what keeps a model whole is the lock of its writer.

use std::path::PathBuf;
use std::sync::Arc;

use super::{
    StoreError,
    files::{Files, Kind, Lock},
    folder::{ModelFolder, TRAINING},
    writer::create_folders,
};

/// The right to train a model, until it is dropped or its process ends, in whatever way.
#[derive(Debug)]
pub struct TrainingClaim {
    #[allow(dead_code, reason = "held, not read")]
    held: Option<Held>,
}

impl TrainingClaim {
    /// A claim that holds nobody off, where trainers do not get in each other's way.
    #[cfg(feature = "object-storage")]
    pub(super) fn of_many() -> Self {
        Self { held: None }
    }
}

#[derive(Debug)]
struct Held {
    folder: PathBuf,
    files: Arc<dyn Files>,
    /// `Some` until it is dropped.
    lock: Option<Lock>,
}

/// Claims the right to train a model in a folder; see [`Repository::begin_training`](super::Repository).
pub(super) fn begin(
    folder: ModelFolder<'_>,
    files: Arc<dyn Files>,
) -> Result<TrainingClaim, StoreError> {
    if folder.entry(&folder.path)?.is_none() {
        create_folders(folder.files, &folder.path)?;
    }
    folder.check_plain()?;
    let path = folder.path.join(TRAINING);
    if folder.entry(&path)?.is_some_and(|entry| entry.kind != Kind::File) {
        return Err(StoreError::NotPlain { path });
    }
    match folder.files.try_lock(&path).map_err(StoreError::io("lock", &path))? {
        Some(lock) => {
            let held = Held { folder: folder.path, files, lock: Some(lock) };
            Ok(TrainingClaim { held: Some(held) })
        }
        None => Err(StoreError::BeingTrained { name: folder.name.clone() }),
    }
}

impl Drop for Held {
    /// Removes the lock's file, and the folder where the training gave it nothing: a training that fails
    /// leaves everything as it was.
    fn drop(&mut self) {
        // Before the lock is freed, so that nobody holds a lock on a file that is there no more, but whoever
        // has opened it already: such a one trains beside another, and both are published in turns.
        self.files.remove(&self.folder.join(TRAINING)).ok();
        self.lock.take();
        self.files.remove_empty_folder(&self.folder).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::arbitrary, store::Repository};

    #[test]
    fn a_second_trainer_is_told_and_a_failed_training_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let repository = Repository::open(root.path()).unwrap();
        let name = "topics".parse().unwrap();
        let claim = repository.begin_training(&name).unwrap();
        let second = Repository::open(root.path()).unwrap().begin_training(&name);
        assert!(matches!(second, Err(StoreError::BeingTrained { .. })), "{second:?}");
        assert!(repository.begin_training(&"others".parse().unwrap()).is_ok(), "one a model");
        drop(claim);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "as it was");

        let claim = repository.begin_training(&name).unwrap();
        assert_eq!(repository.publish(&name, &arbitrary::model(1)).unwrap(), 1);
        drop(claim);
        assert_eq!(repository.load(&name, 1).unwrap(), arbitrary::model(1));
        assert!(!root.path().join("topics").join(TRAINING).exists());
    }
}
