//! Word of changes in a folder of models, from the operating system, as soon as they are made.
//!
//! Only a help: not every file system gives word, so whoever must know looks as well.

use std::{
    io,
    path::{Path, absolute},
};

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{StoreError, folder::ACTIVE};

/// Gives word until it is dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Begins to watch a folder of models; see [`Repository::watch`](super::Repository::watch).
pub(super) fn begin(
    folder: &Path,
    changed: impl Fn() + Send + 'static,
) -> Result<Watch, StoreError> {
    let root = absolute(folder).map_err(StoreError::io("watch", folder))?;
    let refused = |error: notify::Error| StoreError::io("watch", folder)(cause(error));
    let watched = root.clone();
    let hear = move |event: notify::Result<Event>| {
        // An error means that something was missed.
        if event.map_or(true, |event| matters(&event, &watched)) {
            changed();
        }
    };
    let mut watcher = RecommendedWatcher::new(hear, Config::default()).map_err(refused)?;
    watcher.watch(&root, RecursiveMode::Recursive).map_err(refused)?;
    Ok(Watch { _watcher: watcher })
}

/// Whether a pointer may have moved, or a model's folder come. Reading, which whoever hears of it does,
/// must not count.
fn matters(event: &Event, root: &Path) -> bool {
    let concerns = |path: &Path| {
        path.file_name().is_some_and(|name| name == ACTIVE) || path.parent() == Some(root)
    };
    let is_change = !matches!(event.kind, EventKind::Access(_));
    event.need_rescan() || is_change && event.paths.iter().any(|path| concerns(path))
}

fn cause(error: notify::Error) -> io::Error {
    if let notify::ErrorKind::Io(error) = error.kind {
        error
    } else if matches!(error.kind, notify::ErrorKind::PathNotFound) {
        io::ErrorKind::NotFound.into()
    } else {
        io::Error::other(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::{model::arbitrary, store::Repository};

    const PATIENCE: Duration = Duration::from_secs(60);
    /// Longer than an event takes.
    const QUIET: Duration = Duration::from_millis(300);

    #[test]
    fn a_moved_pointer_gives_word_and_reading_gives_none() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::open(folder.path()).unwrap();
        let name = "topics".parse().unwrap();
        let (sender, heard) = mpsc::channel();
        let watch = repository.watch(move || sender.send(()).unwrap()).unwrap();
        repository.publish(&name, &arbitrary::model(1)).unwrap();
        heard.recv_timeout(PATIENCE).expect("a model has come");
        while heard.recv_timeout(QUIET).is_ok() {}

        repository.activate(&name, 1).unwrap();
        heard.recv_timeout(PATIENCE).expect("a pointer has moved");
        while heard.recv_timeout(QUIET).is_ok() {}

        repository.load_active(&name).unwrap();
        repository.versions(&name).unwrap();
        assert!(heard.recv_timeout(QUIET).is_err(), "nothing has changed");
        drop(watch);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::open(folder.path().join("none")).unwrap();
        let watched = repository.watch(|| ()).expect_err("no folder");
        let StoreError::Io { source, .. } = watched else { panic!("{watched:?}") };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
    }
}
