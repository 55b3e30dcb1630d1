use std::{fs, thread};

use super::*;
use crate::{model::arbitrary, store::FormatError};

/// A repository in a folder that disappears with the first of the two.
fn temporary() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::open(folder.path().join("models")).unwrap();
    (folder, repository)
}

fn name() -> ModelName {
    "topics".parse().unwrap()
}

fn publish(repository: &Repository, seeds: std::ops::RangeInclusive<u32>) {
    for seed in seeds {
        repository.publish(&name(), &arbitrary::model(seed)).unwrap();
    }
}

fn numbers(repository: &Repository) -> Vec<u64> {
    repository.versions(&name()).unwrap().into_iter().map(|v| v.version).collect()
}

#[test]
fn a_published_version_is_loaded_as_it_was() {
    let (_folder, repository) = temporary();
    assert_eq!(repository.publish(&name(), &arbitrary::model(1)).unwrap(), 1);
    assert_eq!(repository.publish(&name(), &arbitrary::model(2)).unwrap(), 2);
    let reopened = Repository::open(repository.root()).unwrap();
    assert_eq!(reopened.names().unwrap(), [name()]);
    for version in 1..=2_u32 {
        let loaded = reopened.load(&name(), version.into()).unwrap();
        assert_eq!(loaded, arbitrary::model(version));
    }
}

#[test]
fn versions_are_described() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=11);
    repository.activate(&name(), 9).unwrap();
    assert_eq!(numbers(&repository), (1..=11).collect::<Vec<_>>(), "by number, not by text");
    for info in repository.versions(&name()).unwrap() {
        assert_eq!(info.active, info.version == 9);
        let path = repository.root().join(format!("topics/{}/model.safetensors", info.version));
        assert_eq!(info.size_bytes, fs::metadata(path).unwrap().len());
        assert!(info.created.elapsed().unwrap() < Duration::from_secs(600));
    }
}

#[test]
fn a_missing_folder_is_an_empty_repository_and_is_not_made_by_reading() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("not/there");
    let repository = Repository::open(&root).unwrap();
    assert_eq!(repository.names().unwrap(), []);
    assert_eq!(repository.active(&name()).unwrap(), None);
    for result in [
        repository.load(&name(), 1).map(|_| ()),
        repository.load_active(&name()).map(|_| ()),
        repository.versions(&name()).map(|_| ()),
        repository.activate(&name(), 1).map(|_| ()),
        repository.delete(&name(), 1),
    ] {
        assert!(matches!(result, Err(StoreError::UnknownModel { .. })), "{result:?}");
    }
    assert!(!folder.path().join("not").exists());
    assert_eq!(repository.publish(&name(), &arbitrary::model(1)).unwrap(), 1);
    assert!(root.join("topics/1/model.safetensors").is_file());
}

#[test]
fn a_root_that_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let opened = Repository::open(file.path());
    assert!(matches!(opened, Err(StoreError::Io { .. })), "{opened:?}");
}

#[test]
fn what_is_not_of_the_store_is_passed_over_and_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    for folder in ["news/0", "news/01", "news/x", "news/7", "Not A Name", "empty", ".git"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["README.md", "news/train.csv", "news/3", "Not A Name/1"] {
        fs::write(root.join(file), "x").unwrap();
    }
    let repository = Repository::open(root).unwrap();
    assert_eq!(repository.names().unwrap(), []);
    let news = "news".parse().unwrap();
    let activated = repository.activate(&news, 7);
    assert!(matches!(activated, Err(StoreError::UnknownModel { .. })), "{activated:?}");
    assert!(!root.join("news/.lock").exists(), "no lock where there is no model");
    assert_eq!(repository.publish(&news, &arbitrary::model(1)).unwrap(), 8, "7 is taken");
    assert_eq!(repository.names().unwrap(), [news]);
    assert!(root.join("news/train.csv").exists());
}

#[test]
fn activating_tells_what_was_active_and_leads_back() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=2);
    let loaded = repository.load_active(&name());
    assert!(matches!(loaded, Err(StoreError::NoActiveVersion { .. })), "{loaded:?}");
    assert_eq!(repository.activate(&name(), 1).unwrap(), None);
    assert_eq!(repository.activate(&name(), 2).unwrap(), Some(1));
    assert_eq!(repository.activate(&name(), 1).unwrap(), Some(2));
    assert_eq!(repository.active(&name()).unwrap(), Some(1));
    assert_eq!(repository.load_active(&name()).unwrap(), (1, arbitrary::model(1)));
    let pointer = fs::read_to_string(repository.root().join("topics/active")).unwrap();
    assert_eq!(pointer, "1\n2\n");
}

#[test]
fn only_versions_that_exist_can_be_named() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=1);
    for version in [0, 2, u64::MAX] {
        for result in [
            repository.load(&name(), version).map(|_| ()),
            repository.activate(&name(), version).map(|_| ()),
            repository.delete(&name(), version),
        ] {
            assert!(matches!(result, Err(StoreError::UnknownVersion { .. })), "{result:?}");
        }
    }
    assert_eq!(repository.active(&name()).unwrap(), None);
}

#[test]
fn the_active_version_cannot_be_deleted() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=2);
    repository.activate(&name(), 2).unwrap();
    let deleted = repository.delete(&name(), 2);
    assert!(matches!(deleted, Err(StoreError::VersionIsActive { version: 2, .. })), "{deleted:?}");
    repository.delete(&name(), 1).unwrap();
    assert_eq!(numbers(&repository), [2]);
}

#[test]
fn a_number_is_never_used_twice() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=3);
    for version in [3, 1, 2] {
        repository.delete(&name(), version).unwrap();
    }
    assert_eq!(repository.names().unwrap(), []);
    assert_eq!(repository.publish(&name(), &arbitrary::model(4)).unwrap(), 4);
}

#[test]
fn numbers_that_are_used_up_are_told() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=1);
    fs::create_dir(repository.root().join(format!("topics/{}", u64::MAX))).unwrap();
    let published = repository.publish(&name(), &arbitrary::model(2));
    assert!(matches!(published, Err(StoreError::Exhausted { .. })), "{published:?}");
}

#[test]
fn retention_spares_the_active_and_the_previously_active_version() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=4);
    repository.activate(&name(), 1).unwrap();
    repository.activate(&name(), 3).unwrap();
    let retention = Retention { keep_versions: Some(2), keep_age: None };
    let repository = repository.with_retention(retention);
    repository.publish(&name(), &arbitrary::model(5)).unwrap();
    assert_eq!(numbers(&repository), [1, 3, 4, 5]);
    repository.publish(&name(), &arbitrary::model(6)).unwrap();
    assert_eq!(numbers(&repository), [1, 3, 5, 6]);
}

#[test]
fn a_second_writer_is_told_that_the_model_is_busy() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=1);
    let other = Repository::open(repository.root()).unwrap();
    let other = other.with_lock_wait(Duration::from_millis(20));
    let name = name();
    let lock = OsFiles.try_lock(&repository.root().join("topics/.lock")).unwrap();
    let published = other.publish(&name, &arbitrary::model(2));
    assert!(matches!(published, Err(StoreError::Busy { .. })), "{published:?}");
    assert_eq!(other.load(&name, 1).unwrap(), arbitrary::model(1), "readers need no lock");
    let another: ModelName = "another".parse().unwrap();
    assert_eq!(other.publish(&another, &arbitrary::model(1)).unwrap(), 1, "one lock a model");
    drop(lock.expect("nobody else writes"));
    assert_eq!(other.publish(&name, &arbitrary::model(2)).unwrap(), 2);
}

#[test]
fn leftovers_are_swept_unless_their_writer_lives() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=1);
    let leftover = repository.root().join("topics/.dictum-tmp-2");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("model.safetensors"), "half").unwrap();
    let name = name();
    let lock = OsFiles.try_lock(&repository.root().join("topics/.lock")).unwrap();
    Repository::open(repository.root()).unwrap();
    assert!(leftover.exists(), "its writer lives");
    drop(lock);
    Repository::open(repository.root()).unwrap();
    assert!(!leftover.exists());
    assert_eq!(repository.load(&name, 1).unwrap(), arbitrary::model(1));
}

#[test]
fn writers_in_parallel_get_a_number_each() {
    let (_folder, repository) = temporary();
    let repository = repository.with_lock_wait(Duration::from_secs(60));
    let write = &|seed| repository.publish(&name(), &arbitrary::model(seed)).unwrap();
    let mut versions: Vec<u64> = thread::scope(|scope| {
        let writers: Vec<_> = (0..12).map(|seed| scope.spawn(move || write(seed))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    versions.sort_unstable();
    assert_eq!(versions, (1..=12).collect::<Vec<_>>());
    assert_eq!(numbers(&repository), versions);
}

#[test]
fn a_reader_sees_a_whole_active_version_while_others_come_and_go() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=1);
    repository.activate(&name(), 1).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for seed in 2..40 {
                let version = repository.publish(&name(), &arbitrary::model(seed)).unwrap();
                let old = repository.activate(&name(), version).unwrap().unwrap();
                repository.delete(&name(), old).unwrap();
            }
        });
        while !writer.is_finished() {
            let (version, model) = repository.load_active(&name()).unwrap();
            assert_eq!(model, arbitrary::model(u32::try_from(version).unwrap()));
        }
    });
}

#[test]
fn a_list_holds_the_active_version_while_others_come_and_go() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=1);
    repository.activate(&name(), 1).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for seed in 2..60 {
                let version = repository.publish(&name(), &arbitrary::model(seed)).unwrap();
                let old = repository.activate(&name(), version).unwrap().unwrap();
                repository.delete(&name(), old).unwrap();
            }
        });
        while !writer.is_finished() {
            let versions = repository.versions(&name()).unwrap();
            assert_eq!(versions.iter().filter(|v| v.active).count(), 1, "{versions:?}");
            assert_eq!(repository.names().unwrap(), [name()]);
        }
    });
}

#[test]
fn a_version_is_described_by_the_header_of_its_file_alone() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=1);
    let whole = arbitrary::model(1);
    let metadata = whole.metadata().clone();
    let wanted = Description { n_features: whole.n_features(), metadata };
    assert_eq!(repository.describe(&name(), 1).unwrap(), wanted);
    let path = repository.root().join("topics/1/model.safetensors");
    let file = fs::read(&path).unwrap();
    let end = format::header_end(&file).unwrap();
    fs::write(&path, &file[..end]).unwrap();
    assert_eq!(repository.describe(&name(), 1).unwrap(), wanted);
    for damaged in [&file[..end - 1], &file[..7], &[0xff; 20]] {
        fs::write(&path, damaged).unwrap();
        let described = repository.describe(&name(), 1);
        assert!(matches!(described, Err(StoreError::Corrupt { .. })), "{described:?}");
    }
    let missing = repository.describe(&name(), 2);
    assert!(matches!(missing, Err(StoreError::UnknownVersion { .. })), "{missing:?}");
}

#[test]
fn a_damaged_file_is_named_and_the_others_are_served() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=2);
    let path = repository.root().join("topics/2/model.safetensors");
    let mut file = fs::read(&path).unwrap();
    *file.last_mut().unwrap() ^= 1;
    fs::write(&path, file).unwrap();
    let Err(StoreError::Corrupt { path: named, problem }) = repository.load(&name(), 2) else {
        panic!("a damaged file was loaded");
    };
    assert_eq!((named, problem), (path, FormatError::Digest));
    assert!(repository.load(&name(), 1).is_ok());
}

#[test]
fn an_unreadable_pointer_is_named_and_can_be_set_anew() {
    let (_folder, repository) = temporary();
    publish(&repository, 1..=2);
    let path = repository.root().join("topics/active");
    for content in ["", "1", "x\n", "0\n", "1\n2\n3\n"] {
        fs::write(&path, content).unwrap();
        for result in [
            repository.active(&name()).map(|_| ()),
            repository.versions(&name()).map(|_| ()),
            repository.delete(&name(), 1),
        ] {
            assert!(matches!(result, Err(StoreError::Record { .. })), "{content:?}: {result:?}");
        }
    }
    assert_eq!(repository.activate(&name(), 2).unwrap(), None);
    assert_eq!(repository.active(&name()).unwrap(), Some(2));
    fs::write(&path, "1\n").unwrap();
    assert_eq!(repository.active(&name()).unwrap(), Some(1), "one line, as a person writes it");
}

#[cfg(unix)]
#[test]
fn links_are_refused_wherever_they_stand() {
    use std::os::unix::fs::symlink;
    let (folder, repository) = temporary();
    publish(&repository, 1..=2);
    let (root, outside) = (repository.root(), folder.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::rename(root.join("topics/2"), outside.join("2")).unwrap();
    let model = |name: &str| name.parse::<ModelName>().unwrap();

    symlink(root.join("topics"), root.join("linked-name")).unwrap();
    symlink(outside.join("2"), root.join("topics/2")).unwrap();
    fs::create_dir(root.join("topics/3")).unwrap();
    symlink(outside.join("2/model.safetensors"), root.join("topics/3/model.safetensors")).unwrap();
    for (name, version) in [("linked-name", 1), ("topics", 2), ("topics", 3)] {
        let loaded = repository.load(&model(name), version);
        assert!(matches!(loaded, Err(StoreError::NotPlain { .. })), "{name} {version}");
        let activated = repository.activate(&model(name), version);
        assert!(matches!(activated, Err(StoreError::NotPlain { .. })), "{name} {version}");
    }
    let published = repository.publish(&model("linked-name"), &arbitrary::model(1));
    assert!(matches!(published, Err(StoreError::NotPlain { .. })), "{published:?}");
    assert_eq!(repository.names().unwrap(), [name()]);
    assert_eq!(numbers(&repository), [1]);

    for linked in ["active", ".lock"] {
        let path = root.join("topics").join(linked);
        fs::remove_file(&path).ok();
        symlink(outside.join("made-through-a-link"), &path).unwrap();
        let activated = repository.activate(&name(), 1);
        assert!(matches!(activated, Err(StoreError::NotPlain { .. })), "{linked}: {activated:?}");
        fs::remove_file(&path).unwrap();
    }
    assert!(!outside.join("made-through-a-link").exists());
    assert!(outside.join("2/model.safetensors").exists());
}

#[test]
fn a_model_that_cannot_be_written_leaves_nothing_behind() {
    let (_folder, repository) = temporary();
    let published = repository.publish(&name(), &arbitrary::unstorable());
    assert!(matches!(published, Err(StoreError::Unstorable(_))), "{published:?}");
    assert!(!repository.root().exists());
}
