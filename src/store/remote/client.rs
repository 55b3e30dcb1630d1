//! An object store as blocking calls that end: with `connect` all that names async and the stores' crate.
//!
//! The calls run on a thread of their own, so that they can be waited for wherever the repository is
//! used: blocking on the caller's runtime is an error there. Each has a limit on its time; whatever
//! the network does, the caller goes on.

use std::{
    fmt,
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant, SystemTime},
};

use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    Result, UpdateVersion, path::Path as Key,
};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt;

use super::{super::StoreError, connect};

/// Longest wait for a call that moves little.
const LIMIT: Duration = Duration::from_secs(8);
/// Slowest line that is waited for; a call that moves much may take that much longer.
const MIN_BYTES_PER_SECOND: u64 = 512 * 1024;
/// How long a store that did not answer is not asked again by those who only read.
const REST: Duration = Duration::from_secs(3);
/// Objects under one prefix. Keys are relative to it.
pub(super) struct Client {
    store: Arc<dyn ObjectStore>,
    /// What stands before every key; empty, or ended by `/`.
    prefix: String,
    place: PathBuf,
    /// Taken when this is dropped.
    runtime: Option<Runtime>,
    /// When the store last failed to answer, unless it has answered since.
    away: Mutex<Option<Instant>>,
}

/// Tells one content of an object from the others it has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(UpdateVersion);

/// What was found under a key.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// What has the tag that is known.
    Unchanged,
    /// This.
    Object(Vec<u8>, Tag),
}

/// An object in a list.
#[derive(Debug)]
pub(super) struct Listed {
    /// What follows the listed prefix in its key.
    pub(super) name: String,
    pub(super) tag: Tag,
    pub(super) modified: SystemTime,
}

impl Client {
    /// Prepares calls to `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`. Nothing is asked
    /// of the store yet. Credentials and the like are in the environment, as its crate documents.
    pub(super) fn connect(place: &Path) -> std::result::Result<Self, StoreError> {
        let url = place.to_str().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let store =
            connect::store(scheme, bucket).map_err(StoreError::remote("open", place.to_owned()))?;
        Self::over(store, prefix, place)
    }

    /// Calls to a store that is there.
    pub(super) fn over(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        place: &Path,
    ) -> std::result::Result<Self, StoreError> {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(1).thread_name("object-storage").enable_all();
        let runtime = threads.build().map_err(StoreError::io("start a thread for", place))?;
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let place = place.to_owned();
        Ok(Self { store, prefix, place, runtime: Some(runtime), away: Mutex::default() })
    }

    /// Where the objects are, for people.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Whether the store did not answer a moment ago.
    pub(super) fn is_away(&self) -> bool {
        self.away().is_some_and(|since| since.elapsed() < REST)
    }

    /// Returns the objects right under a prefix.
    pub(super) fn list(&self, prefix: &str) -> std::result::Result<Vec<Listed>, StoreError> {
        self.list_any(prefix, |store, folder| async move {
            Ok(store.list_with_delimiter(Some(&folder)).await?.objects)
        })
    }

    /// Returns the objects under a prefix, however deep.
    pub(super) fn list_deep(&self, prefix: &str) -> std::result::Result<Vec<Listed>, StoreError> {
        self.list_any(prefix, |store, folder| async move {
            store.list(Some(&folder)).collect::<Result<Vec<_>>>().await
        })
    }

    /// Reads an object, unless it still has this tag.
    pub(super) fn get(
        &self,
        key: &str,
        known: Option<&Tag>,
    ) -> std::result::Result<Found, StoreError> {
        let if_none_match = known.and_then(|tag| tag.0.e_tag.clone());
        let options = GetOptions { if_none_match, ..GetOptions::default() };
        let (store, at) = (Arc::clone(&self.store), self.key(key));
        let read = self.wait(LIMIT, async move {
            let found = store.get_opts(&at, options).await?;
            let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
            Ok((found.bytes().await?, Tag(UpdateVersion { e_tag, version })))
        });
        match read {
            Ok((bytes, tag)) => Ok(Found::Object(bytes.into(), tag)),
            Err(Error::NotModified { .. }) => Ok(Found::Unchanged),
            Err(Error::NotFound { .. }) => Ok(Found::Nothing),
            Err(error) => Err(self.error("read", key)(error)),
        }
    }

    /// Reads an object of a length that is known, or returns `None` where there is none. What is longer or
    /// shorter is read as far as it is of that length and one byte more.
    pub(super) fn get_large(
        &self,
        key: &str,
        n_bytes: u64,
    ) -> std::result::Result<Option<Vec<u8>>, StoreError> {
        let (store, at) = (Arc::clone(&self.store), self.key(key));
        let read = self.wait(limit(n_bytes), async move {
            let mut stream = store.get(&at).await?.into_stream();
            let mut content = Vec::new();
            let n_bytes = usize::try_from(n_bytes).unwrap_or(usize::MAX);
            // Fails where `with_capacity` would end the process.
            content.try_reserve_exact(n_bytes).map_err(generic)?;
            while let Some(bytes) = stream.next().await {
                content.extend_from_slice(&bytes?);
                if content.len() > n_bytes {
                    break;
                }
            }
            Ok(content)
        });
        self.found("read", key, read)
    }

    /// Reads the first bytes of an object, or returns `None` where there is none.
    pub(super) fn get_first(
        &self,
        key: &str,
        n_bytes: usize,
    ) -> std::result::Result<Option<Vec<u8>>, StoreError> {
        let range = GetRange::Bounded(0..n_bytes as u64);
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let (store, at) = (Arc::clone(&self.store), self.key(key));
        let read = self.wait(limit(n_bytes as u64), async move {
            Ok(store.get_opts(&at, options).await?.bytes().await?.into())
        });
        self.found("read", key, read)
    }

    /// Writes a new object, or returns `None` where there is one.
    pub(super) fn create(
        &self,
        key: &str,
        content: &[u8],
    ) -> std::result::Result<Option<Tag>, StoreError> {
        self.put(key, content, PutMode::Create)
    }

    /// Writes in place of an object that has this tag, or returns `None` where it has another by now.
    pub(super) fn replace(
        &self,
        key: &str,
        content: &[u8],
        tag: &Tag,
    ) -> std::result::Result<Option<Tag>, StoreError> {
        self.put(key, content, PutMode::Update(tag.0.clone()))
    }

    /// Removes an object, if it is there.
    pub(super) fn remove(&self, key: &str) -> std::result::Result<(), StoreError> {
        let (store, at) = (Arc::clone(&self.store), self.key(key));
        let removed = self.wait(LIMIT, async move { store.delete(&at).await });
        self.found("remove", key, removed).map(drop)
    }

    /// Waits.
    pub(super) fn pause(&self, time: Duration) {
        let paused = self.wait(time + LIMIT, async move {
            tokio::time::sleep(time).await;
            Ok(())
        });
        // A pause cannot fail; if the thread has gone, the next call says so.
        paused.ok();
    }

    fn put(
        &self,
        key: &str,
        content: &[u8],
        mode: PutMode,
    ) -> std::result::Result<Option<Tag>, StoreError> {
        let (store, at) = (Arc::clone(&self.store), self.key(key));
        let payload = PutPayload::from(content.to_vec());
        let put = self.wait(limit(content.len() as u64), async move {
            store.put_opts(&at, payload, PutOptions::from(mode)).await
        });
        match put {
            Ok(put) => Ok(Some(Tag(put.into()))),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(None),
            Err(error) => Err(self.error("write", key)(error)),
        }
    }

    fn list_any<F>(
        &self,
        prefix: &str,
        list: impl FnOnce(Arc<dyn ObjectStore>, Key) -> F,
    ) -> std::result::Result<Vec<Listed>, StoreError>
    where
        F: Future<Output = Result<Vec<object_store::ObjectMeta>>> + Send + 'static,
    {
        let folder = self.key(prefix);
        let objects = self.wait(LIMIT, list(Arc::clone(&self.store), folder.clone()));
        let objects = objects.map_err(self.error("list", prefix))?;
        let start = folder.as_ref().len() + 1;
        let listed = objects.into_iter().map(|object| Listed {
            name: object.location.as_ref().get(start..).unwrap_or_default().to_owned(),
            tag: Tag(UpdateVersion { e_tag: object.e_tag, version: object.version }),
            modified: object.last_modified.into(),
        });
        Ok(listed.collect())
    }

    fn found<T>(
        &self,
        action: &'static str,
        key: &str,
        result: Result<T>,
    ) -> std::result::Result<Option<T>, StoreError> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(action, key)(error)),
        }
    }

    fn key(&self, key: &str) -> Key {
        Key::from(format!("{}{key}", self.prefix))
    }

    fn error(&self, action: &'static str, key: &str) -> impl FnOnce(Error) -> StoreError {
        StoreError::remote(action, self.place.join(key))
    }

    /// Waits for the end of a call, or of the time it may take.
    fn wait<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, result) = mpsc::sync_channel(1);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                let done = tokio::time::timeout(limit, call).await;
                // Whoever waits for it waits to the end.
                sender.send(done.unwrap_or_else(|elapsed| Err(generic(elapsed)))).ok();
            });
        }
        let done = result.recv().unwrap_or_else(|ended| Err(generic(ended)));
        self.note(&done);
        done
    }

    /// Takes note of whether the store answers, and says so when that changes.
    fn note<T>(&self, done: &Result<T>) {
        let place = self.place.display();
        match done {
            Ok(_)
            | Err(
                Error::NotFound { .. }
                | Error::NotModified { .. }
                | Error::AlreadyExists { .. }
                | Error::Precondition { .. },
            ) => {
                if self.away().take().is_some() {
                    tracing::info!(%place, "the object storage answers again");
                }
            }
            Err(error) => {
                if self.away().replace(Instant::now()).is_none() {
                    let error: &dyn std::error::Error = error;
                    tracing::warn!(%place, error, "the object storage does not answer as it should");
                }
            }
        }
    }

    fn away(&self) -> MutexGuard<'_, Option<Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Where it is dropped may be a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store holds credentials.
        write!(f, "Client({})", self.place.display())
    }
}

/// How long a call may take that moves this much.
fn limit(n_bytes: u64) -> Duration {
    LIMIT + Duration::from_secs(n_bytes / MIN_BYTES_PER_SECOND)
}

fn generic(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "object storage", source: Box::new(error) }
}
