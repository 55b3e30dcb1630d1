//! TLS: certificates that are exchanged under running connections, and streams that begin with a handshake.
//!
//! - `files`: certificates and keys as they are read.
//! - `stream`: the bytes of a connection, encrypted or not.
//!
//! The files are read again every second. What has changed and fits together is used for connections from
//! then on; otherwise what was in use stays in use, and the log says why.

mod files;
mod stream;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::{Accept, TlsAcceptor};

use super::status::chain;
use crate::config::TlsConfig;
use files::Files;
pub use files::TlsError;
pub(crate) use stream::{Names, Stream};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What connections are accepted with.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    in_use: ArcSwap<ServerConfig>,
    /// Of the files as they were last looked at, good or bad.
    seen: ArcSwap<blake3::Hash>,
}

impl Tls {
    /// Reads the files; `None` where the settings name none.
    pub(crate) fn open(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let Some(files) = Files::read(config)? else { return Ok(None) };
        Ok(Some(Self {
            config: config.clone(),
            in_use: ArcSwap::from_pointee(files.server_config()?),
            seen: ArcSwap::from_pointee(files.digest()),
        }))
    }

    /// Begins a handshake.
    pub(crate) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        TlsAcceptor::from(self.in_use.load_full()).accept(stream)
    }

    /// Uses the files as they are now, if they have changed and are good.
    fn look(&self) {
        let files = match Files::read(&self.config) {
            Ok(Some(files)) => files,
            Ok(None) => return,
            Err(error) => {
                // They may be being replaced; said once, and again after a change.
                if **self.seen.load() != UNREADABLE {
                    self.seen.store(Arc::new(UNREADABLE));
                    tracing::warn!(error = chain(&error), "the certificate in use stays in use");
                }
                return;
            }
        };
        let digest = files.digest();
        if **self.seen.load() == digest {
            return;
        }
        self.seen.store(Arc::new(digest));
        match files.server_config() {
            Ok(config) => {
                self.in_use.store(Arc::new(config));
                tracing::info!("a new certificate is in use");
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the certificate in use stays in use");
            }
        }
    }
}

/// Stands for files that cannot be read.
const UNREADABLE: blake3::Hash = blake3::Hash::from_bytes([0; blake3::OUT_LEN]);

/// Looks after the certificate, where there is one.
pub(crate) async fn keep(tls: Option<Arc<Tls>>) -> Infallible {
    let Some(tls) = tls else { return std::future::pending().await };
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let tls = Arc::clone(&tls);
        if let Err(error) = spawn_blocking(move || tls.look()).await {
            tracing::error!(%error, "looking at the certificate");
        }
    }
}
