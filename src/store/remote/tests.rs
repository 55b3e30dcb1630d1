//! The protocol, tried on a store in memory that can be told to fail. `tests/object_storage` does the same
//! over HTTP.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory, path::Path as Key,
};

use super::super::{Repository, Retention, Signer};
use super::*;
use crate::model::arbitrary;

type Result<T> = std::result::Result<T, object_store::Error>;
type Objects = futures_core::stream::BoxStream<'static, Result<ObjectMeta>>;

/// A store in memory with faults, shared by all clones.
#[derive(Debug, Clone, Default)]
struct Faulty {
    objects: Arc<InMemory>,
    is_away: Arc<AtomicBool>,
    /// After so many puts one is done and answered with an error; 0: none is.
    lost_answer: Arc<AtomicUsize>,
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

impl Faulty {
    fn check(&self) -> Result<()> {
        if self.is_away.load(Ordering::Relaxed) { Err(away()) } else { Ok(()) }
    }

    /// A repository of a process that keeps what it sees in this folder.
    fn repository(&self, cache: &Path) -> Repository {
        let place = Path::new("mem://bucket");
        let client = Client::over(Arc::new(self.clone()), "pre/fix", place).unwrap();
        Repository::over(Arc::new(Bucket::over(client, Some(cache.to_owned()))))
    }

    fn keys(&self) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let listed = runtime.block_on(async {
            use tokio_stream::StreamExt;
            self.objects.list(None).collect::<Result<Vec<_>>>().await.unwrap()
        });
        listed.iter().map(|object| object.location.to_string()).collect()
    }

    fn overwrite(&self, key: &str, content: &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let payload = PutPayload::from(content.to_vec());
        let (at, how) = (Key::from(key), PutOptions::default());
        runtime.block_on(self.objects.put_opts(&at, payload, how)).unwrap();
    }
}

fn away() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "it is away".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, at: &Key, payload: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.check()?;
        let put = self.objects.put_opts(at, payload, how).await?;
        let left = self.lost_answer.load(Ordering::Relaxed);
        if left > 0 && self.lost_answer.fetch_sub(1, Ordering::Relaxed) == 1 {
            return Err(away());
        }
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        at: &Key,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Key, how: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.objects.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        at: futures_core::stream::BoxStream<'static, Result<Key>>,
    ) -> futures_core::stream::BoxStream<'static, Result<Key>> {
        self.objects.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Key>) -> Objects {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.check()?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, how: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, how).await
    }
}

fn name() -> ModelName {
    "topics".parse().unwrap()
}

fn numbers(repository: &Repository) -> Vec<u64> {
    repository.versions(&name()).unwrap().into_iter().map(|v| v.version).collect()
}

#[test]
fn a_bucket_does_what_a_folder_does() {
    let (store, cache) = (Faulty::default(), tempfile::tempdir().unwrap());
    let repository = store.repository(cache.path());
    assert_eq!(repository.names().unwrap(), []);
    assert_eq!(repository.active(&name()).unwrap(), None);
    for result in [
        repository.load(&name(), 1).map(drop),
        repository.versions(&name()).map(drop),
        repository.activate(&name(), 1).map(drop),
        repository.delete(&name(), 1),
    ] {
        assert!(matches!(result, Err(StoreError::UnknownModel { .. })), "{result:?}");
    }
    for seed in 1..=3 {
        let version = repository.publish(&name(), &arbitrary::model(seed)).unwrap();
        assert_eq!(version, u64::from(seed));
    }
    assert_eq!(repository.activate(&name(), 2).unwrap(), None);
    assert_eq!(repository.activate(&name(), 3).unwrap(), Some(2));
    let deleted = repository.delete(&name(), 3);
    assert!(matches!(deleted, Err(StoreError::VersionIsActive { .. })), "{deleted:?}");
    repository.activate(&name(), 2).unwrap();
    repository.delete(&name(), 3).unwrap();
    // The number of a deleted version is not given to another.
    assert_eq!(repository.publish(&name(), &arbitrary::model(4)).unwrap(), 4);

    let other_cache = tempfile::tempdir().unwrap();
    let other = store.repository(other_cache.path());
    assert_eq!(other.names().unwrap(), [name()]);
    assert_eq!(numbers(&other), [1, 2, 4]);
    assert_eq!(other.load_active(&name()).unwrap(), (2, arbitrary::model(2)));
    assert!(other.describe(&name(), 1).is_ok());
    let gone = other.load(&name(), 3);
    assert!(matches!(gone, Err(StoreError::UnknownVersion { .. })), "{gone:?}");
    let keys = ["1", "2", "4"].map(|v| format!("pre/fix/models/topics/{v}/model.safetensors"));
    let manifest = "pre/fix/manifests/topics.json".to_owned();
    assert_eq!(store.keys(), [&[manifest][..], &keys].concat());
}

#[test]
fn retention_and_signatures_hold_in_a_bucket_too() {
    let (store, cache) = (Faulty::default(), tempfile::tempdir().unwrap());
    let retention = Retention { keep_versions: Some(1), keep_age: None };
    let repository = store.repository(cache.path()).with_retention(retention);
    let signer = Signer::from_pem(include_str!("../../../tests/keys/secret.pem")).unwrap();
    for seed in 1..=4 {
        repository.publish(&name(), &arbitrary::model(seed)).unwrap();
        repository.activate(&name(), 1).unwrap();
    }
    assert_eq!(numbers(&repository), [1, 4]);
    assert_eq!(store.keys().len(), 3, "{:?}", store.keys());
    assert_eq!(repository.checked_signature(&name(), 4).unwrap(), None);
    repository.sign(&name(), 4, &signer).unwrap();
    let signature = repository.checked_signature(&name(), 4).unwrap().unwrap();
    assert_eq!(signature.key, signer.key());
    // Retention leaves it in the manifest.
    repository.publish(&name(), &arbitrary::model(5)).unwrap();
    repository.activate(&name(), 5).unwrap();
    assert_eq!(numbers(&repository), [1, 5]);
}

#[test]
fn writers_that_race_all_get_numbers_of_their_own() {
    const WRITERS: u32 = 8;
    let store = Faulty::default();
    let caches: Vec<_> = (0..WRITERS).map(|_| tempfile::tempdir().unwrap()).collect();
    let given: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .zip(&caches)
            .map(|(seed, cache)| {
                let patient = Duration::from_secs(60);
                let repository = store.repository(cache.path()).with_lock_wait(patient);
                scope.spawn(move || {
                    let first = repository.publish(&name(), &arbitrary::model(seed)).unwrap();
                    repository.activate(&name(), first).unwrap();
                    (first, seed)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let repository = store.repository(caches[0].path());
    let distinct: BTreeSet<_> = given.iter().map(|(version, _)| *version).collect();
    assert_eq!(numbers(&repository), Vec::from_iter(distinct.clone()));
    assert_eq!(distinct.len(), given.len());
    for (version, seed) in given {
        assert_eq!(repository.load(&name(), version).unwrap(), arbitrary::model(seed));
    }
    assert!(repository.active(&name()).unwrap().is_some_and(|active| distinct.contains(&active)));
}

#[test]
fn a_writer_that_cannot_get_through_is_told() {
    let (store, cache) = (Faulty::default(), tempfile::tempdir().unwrap());
    let repository = store.repository(cache.path());
    repository.publish(&name(), &arbitrary::model(1)).unwrap();
    let bucket = Bucket::over(
        Client::over(Arc::new(store.clone()), "pre/fix", Path::new("mem://bucket")).unwrap(),
        None,
    );
    let mut n_tries = 0;
    let wait = Duration::from_millis(50);
    let busy = bucket.change(&name(), wait, |manifest| {
        // Another writer is always first.
        n_tries += 1;
        store.overwrite("pre/fix/manifests/topics.json", &touched(n_tries));
        manifest.highest += 1;
        Ok(Edit::Put(()))
    });
    assert!(matches!(busy, Err(StoreError::Busy { .. })), "{busy:?}");
    assert!(n_tries > 1, "it tries again before it gives up");
}

/// A manifest that differs from others by a number.
fn touched(number: u64) -> Vec<u8> {
    let mut manifest = Manifest::default();
    manifest.add(Entry::new(1, b"model", None), Retention::default());
    manifest.highest = 1_000 + number;
    manifest.to_bytes().unwrap()
}

#[test]
fn an_answer_that_is_lost_loses_nothing() {
    // Of the puts of a publication, the first is the file and the second names it.
    for lost in 1..=2 {
        let (store, cache) = (Faulty::default(), tempfile::tempdir().unwrap());
        let repository = store.repository(cache.path());
        repository.publish(&name(), &arbitrary::model(1)).unwrap();
        repository.activate(&name(), 1).unwrap();
        store.lost_answer.store(lost, Ordering::Relaxed);
        let failed = repository.publish(&name(), &arbitrary::model(2));
        assert!(matches!(failed, Err(StoreError::Remote { .. })), "{failed:?}");
        // It is there whole or not at all, and its number is nobody else's.
        for version in numbers(&repository) {
            let seed = u32::try_from(version).unwrap();
            assert_eq!(repository.load(&name(), version).unwrap(), arbitrary::model(seed));
        }
        assert_eq!(repository.publish(&name(), &arbitrary::model(3)).unwrap(), 3);
        assert_eq!(repository.active(&name()).unwrap(), Some(1));
    }
}

#[test]
fn a_number_that_was_used_and_given_up_is_not_used_again() {
    let (store, cache) = (Faulty::default(), tempfile::tempdir().unwrap());
    let repository = store.repository(cache.path());
    let client = || Client::over(Arc::new(store.clone()), "pre/fix", Path::new("mem://b")).unwrap();
    let slow = Bucket::over(client(), None);
    repository.publish(&name(), &arbitrary::model(1)).unwrap();
    // A slow writer chooses number 2, and before it puts its file, 2 comes and goes.
    assert_eq!(repository.publish(&name(), &arbitrary::model(2)).unwrap(), 2);
    repository.delete(&name(), 2).unwrap();
    assert!(client().create("models/topics/2/model.safetensors", b"slow").unwrap().is_some());
    let new = NewVersion {
        file: b"slow",
        signer: None,
        retention: Retention::default(),
        wait: Duration::from_secs(2),
    };
    assert_eq!(slow.name_version(&name(), 2, &new).unwrap(), None);
    assert_eq!(numbers(&repository), [1]);
}

#[test]
fn while_the_store_is_away_what_was_seen_is_known_and_changes_are_refused() {
    let (store, cache) = (Faulty::default(), tempfile::tempdir().unwrap());
    let repository = store.repository(cache.path());
    repository.publish(&name(), &arbitrary::model(1)).unwrap();
    repository.activate(&name(), 1).unwrap();
    store.is_away.store(true, Ordering::Relaxed);
    // This process, and one that starts now.
    for repository in [repository, store.repository(cache.path())] {
        assert_eq!(repository.names().unwrap(), [name()]);
        assert_eq!(repository.load_active(&name()).unwrap(), (1, arbitrary::model(1)));
        for refused in [
            repository.publish(&name(), &arbitrary::model(2)).map(drop),
            repository.activate(&name(), 1).map(drop),
            repository.delete(&name(), 1),
        ] {
            assert!(matches!(refused, Err(StoreError::Remote { .. })), "{refused:?}");
        }
    }
    // One that has seen nothing says so.
    let nothing = tempfile::tempdir().unwrap();
    let names = store.repository(nothing.path()).names();
    assert!(matches!(names, Err(StoreError::Remote { .. })), "{names:?}");
    store.is_away.store(false, Ordering::Relaxed);
    let back = store.repository(nothing.path());
    assert_eq!(back.names().unwrap(), [name()]);
}

#[test]
fn a_damaged_object_is_refused_and_a_damaged_cache_is_fetched_again() {
    let (store, cache) = (Faulty::default(), tempfile::tempdir().unwrap());
    let repository = store.repository(cache.path());
    repository.publish(&name(), &arbitrary::model(1)).unwrap();
    let id = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    let cached = std::fs::read_dir(id.join("models/topics")).unwrap().next().unwrap();
    let cached = cached.unwrap().path();
    let whole = std::fs::read(&cached).unwrap();
    let mut file = whole.clone();
    file[100] ^= 1;
    std::fs::write(&cached, &file).unwrap();
    assert_eq!(repository.load(&name(), 1).unwrap(), arbitrary::model(1), "fetched again");
    assert_eq!(std::fs::read(&cached).unwrap(), whole, "and cached again");

    store.overwrite("pre/fix/models/topics/1/model.safetensors", &file);
    let other = tempfile::tempdir().unwrap();
    let damaged = store.repository(other.path()).load(&name(), 1);
    assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{damaged:?}");
    store.overwrite("pre/fix/manifests/topics.json", b"nonsense");
    let other = store.repository(other.path());
    assert_eq!(other.names().unwrap(), [name()], "its trouble is to show");
    let damaged = other.active(&name());
    assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{damaged:?}");
}
