//! What there is of each model: looked at, remembered, changed.

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    super::{ModelName, StoreError},
    Bucket,
    client::{Found, Tag},
    manifest::Manifest,
};

/// How long what was seen is taken for what is.
const FRESH: Duration = Duration::from_secs(1);
/// First pause before a change is tried again; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// A manifest as it was when it was last looked at.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) manifest: Arc<Manifest>,
    tag: Tag,
    seen: Instant,
    /// Counts how often the manifest was remembered.
    round: u64,
}

/// What an edit of a manifest comes to.
pub(super) enum Edit<T> {
    /// Nothing is to be changed.
    Keep(T),
    /// The edited manifest is to be put.
    Put(T),
}

impl Bucket {
    /// Returns what there is of a model, as it was a moment ago, or as it was last seen if the store does not
    /// answer.
    pub(super) fn look(&self, name: &ModelName) -> Result<Option<Arc<Manifest>>, StoreError> {
        if let Some(known) = self.known().get(name)
            && known.seen.elapsed() < FRESH
        {
            return Ok(Some(Arc::clone(&known.manifest)));
        }
        if self.client.is_away()
            && let Some(seen) = self.last_seen(name)
        {
            return Ok(Some(seen));
        }
        match self.fetch(name) {
            Ok(found) => Ok(found.map(|known| known.manifest)),
            Err(error @ StoreError::Remote { .. }) => self.last_seen(name).map(Some).ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Returns what there is of a model now.
    pub(super) fn fetch(&self, name: &ModelName) -> Result<Option<Known>, StoreError> {
        let known = self.known().get(name).cloned();
        let found = self.client.get(&manifest_key(name), known.as_ref().map(|known| &known.tag))?;
        match (found, known) {
            (Found::Object(content, tag), known) => {
                let path = self.client.place().join(manifest_key(name));
                let corrupt = |problem| StoreError::Corrupt { path, problem };
                let manifest = Manifest::parse(&content).map_err(corrupt)?;
                let asked_in = known.map_or(0, |known| known.round);
                let newer = self.known().get(name).filter(|now| now.round > asked_in).cloned();
                // What this process has made of it since it asked must not be taken back.
                Ok(Some(newer.unwrap_or_else(|| self.remember(name, manifest, tag))))
            }
            (Found::Unchanged, Some(known)) => {
                if let Some(now) = self.known().get_mut(name)
                    && now.round == known.round
                {
                    now.seen = Instant::now();
                }
                Ok(Some(known))
            }
            (Found::Nothing | Found::Unchanged, None) => Ok(self.known().get(name).cloned()),
            (Found::Nothing, Some(_)) => {
                self.known().remove(name);
                self.cache.forget(name);
                Ok(None)
            }
        }
    }

    fn remember(&self, name: &ModelName, manifest: Manifest, tag: Tag) -> Known {
        self.cache.keep_manifest(name, &manifest);
        let mut all = self.known();
        let round = all.get(name).map_or(0, |known| known.round) + 1;
        let known = Known { manifest: Arc::new(manifest), tag, seen: Instant::now(), round };
        all.insert(name.clone(), known.clone());
        known
    }

    /// Returns what there was of a model when the store last answered.
    fn last_seen(&self, name: &ModelName) -> Option<Arc<Manifest>> {
        let known = self.known().get(name).map(|known| Arc::clone(&known.manifest));
        known.or_else(|| self.cache.manifest(name).map(Arc::new))
    }

    /// Changes what there is of a model, as one step among those of all writers. `edit` may be called several
    /// times; where it returns nothing, nothing is to be changed.
    pub(super) fn change<T>(
        &self,
        name: &ModelName,
        wait: Duration,
        mut edit: impl FnMut(&mut Manifest) -> Result<Edit<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let known = self.fetch(name)?;
            let mut manifest = known
                .as_ref()
                .map_or_else(Manifest::default, |known| Manifest::clone(&known.manifest));
            let done = match edit(&mut manifest)? {
                Edit::Keep(done) => return Ok(done),
                Edit::Put(done) => done,
            };
            let content = manifest.to_bytes().map_err(StoreError::Unstorable)?;
            let key = manifest_key(name);
            let put = match known {
                Some(Known { tag, .. }) => self.client.replace(&key, &content, &tag)?,
                None => self.client.create(&key, &content)?,
            };
            if let Some(tag) = put {
                self.remember(name, manifest, tag);
                return Ok(done);
            }
            if started.elapsed() >= wait {
                return Err(StoreError::Busy { name: name.clone() });
            }
            self.client.pause(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Returns the names of the manifests, or of those that were seen if the store does not answer.
    pub(super) fn list_names(&self) -> Result<Vec<ModelName>, StoreError> {
        let seen = || {
            let known: Vec<_> = self.known().keys().cloned().collect();
            [self.cache.names(), known].concat()
        };
        if self.client.is_away() && !seen().is_empty() {
            return Ok(seen());
        }
        let objects = match self.client.list("manifests") {
            Err(_) if !seen().is_empty() => return Ok(seen()),
            listed => listed?,
        };
        let mut names = Vec::new();
        for object in objects {
            let file = object.name.strip_suffix(".json");
            let Some(Ok(name)) = file.map(str::parse::<ModelName>) else { continue };
            // Nothing is asked of a manifest that is in the list as it is known.
            if let Some(known) = self.known().get_mut(&name)
                && known.tag == object.tag
            {
                known.seen = Instant::now();
            }
            names.push(name);
        }
        Ok(names)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ModelName, Known>> {
        // What a panic may leave behind is a missing entry.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn manifest_key(name: &ModelName) -> String {
    format!("manifests/{name}.json")
}
