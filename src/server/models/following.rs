//! What other processes make active: heard of by file events, and looked for every few seconds, since
//! network and Kubernetes mounts miss events.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Models, ServedModel};
use crate::server::status::chain;
use crate::store::{StoreError, Watch};

/// From a file event to looking: what is done at one go is seen at one go.
const SETTLING: Duration = Duration::from_millis(20);

/// Follows for ever, looking at least this often.
pub(crate) async fn follow(models: &Arc<Models>, every: Duration) -> Infallible {
    let changed = Arc::new(Notify::new());
    let mut watch = Watching::default();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = changed.notified() => sleep(SETTLING).await,
        }
        let (models, changed) = (Arc::clone(models), Arc::clone(&changed));
        let look = move || {
            // Before looking, or what changes between the two is missed.
            let watch = watch.kept_up(&models, &changed);
            models.follow();
            watch
        };
        watch = spawn_blocking(look).await.unwrap_or_else(|error| {
            tracing::error!(%error, "following the active versions");
            Watching::default()
        });
    }
}

/// The watch, if there is one.
#[derive(Debug, Default)]
struct Watching {
    watch: Option<Watch>,
    is_told: bool,
}

impl Watching {
    /// Begins to watch where it has not, or ends where the folder has gone.
    fn kept_up(self, models: &Models, changed: &Arc<Notify>) -> Self {
        let root = models.repository.root();
        if self.watch.is_some() {
            let watch = self.watch.filter(|_| root.is_dir());
            return Self { watch, ..self };
        }
        let changed = Arc::clone(changed);
        match models.repository.watch(move || changed.notify_one()) {
            Ok(watch) => Self { watch, is_told: false },
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => self,
            Err(error) => {
                if !self.is_told {
                    let error = chain(&error);
                    tracing::warn!(error, "no file events: changes are seen by looking only");
                }
                Self { watch: None, is_told: true }
            }
        }
    }
}

impl Models {
    /// Looks for versions that other processes made active or deleted, and frees models nobody uses any
    /// more.
    ///
    /// A model whose pointer or folder has gone keeps answering: a folder that is away for a moment
    /// must not end the service.
    pub(crate) fn follow(&self) {
        if let Some(active) = self.active.load_full().as_ref() {
            let loaded = self.load_changed(active);
            self.catch_up(&loaded);
        }
        for version in self.memory.versions() {
            let found = self.repository.version(&version.name, version.version);
            if matches!(found, Err(StoreError::UnknownVersion { .. })) {
                self.memory.forget(&version);
            }
        }
        self.memory.free();
    }

    /// Lets those of these models answer that are active in the folder still, unless they do already: what
    /// was published here may have been read here too, between its pointer and its turn.
    pub(super) fn catch_up(&self, loaded: &[Arc<ServedModel>]) {
        if loaded.is_empty() {
            return;
        }
        let turn = self.turn();
        let is_active = |served: &&Arc<ServedModel>| {
            let name = served.name.parse().ok();
            let active = name.and_then(|name| self.repository.active(&name).ok());
            active.flatten() == Some(served.version)
                && self.active_version(&served.name) != Some(served.version)
        };
        let served: Vec<_> = loaded.iter().filter(is_active).cloned().collect();
        self.swap_in(&turn, &served);
    }
}
