//! What may change while the server runs: certificates, tokens, and what a settings file says of them.
//!
//! The files are looked at every second, and at once when the settings are read again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::auth::Authority;
use super::tls::Tls;
use crate::config::ServeConfig;

/// How often files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a server is told, and will be told while it runs: then roles of clients are taken over, and all
/// else waits for the next start.
#[derive(Debug)]
pub struct LiveConfig(watch::Receiver<ServeConfig>);

impl From<watch::Receiver<ServeConfig>> for LiveConfig {
    fn from(config: watch::Receiver<ServeConfig>) -> Self {
        Self(config)
    }
}

impl From<ServeConfig> for LiveConfig {
    /// It stays as it is.
    fn from(config: ServeConfig) -> Self {
        Self(watch::channel(config).1)
    }
}

impl LiveConfig {
    /// What the server is told now.
    pub(crate) fn now(&self) -> ServeConfig {
        self.0.borrow().clone()
    }

    /// Waits until it is told something else.
    async fn change(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Takes changes over as they come.
pub(crate) async fn keep(
    mut config: LiveConfig,
    tls: Option<Arc<Tls>>,
    authority: Arc<Authority>,
) -> Infallible {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = config.change() => {}
        }
        let (tls, authority, config) = (tls.clone(), Arc::clone(&authority), config.now());
        let look = spawn_blocking(move || {
            authority.look(&config);
            if let Some(tls) = tls {
                tls.look();
            }
        });
        if let Err(error) = look.await {
            tracing::error!(%error, "looking at files that may have changed");
        }
    }
}
