//! TLS: certificates that are exchanged under running connections, and streams that begin with a handshake.
//!
//! - `files`: certificates and keys as they are read.
//! - `stream`: the bytes of a connection, encrypted or not.
//!
//! What has changed in the files and fits together is used for connections from then on; otherwise what was
//! in use stays in use, and the log says why.

mod files;
mod stream;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::{Accept, TlsAcceptor};

use super::status::chain;
use crate::config::TlsConfig;
use files::Files;
pub use files::TlsError;
pub(crate) use stream::{Names, Stream};

/// What connections are accepted with.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    in_use: ArcSwap<ServerConfig>,
    /// Of the files as they were last looked at, good or bad; `None`: they could not be read.
    seen: ArcSwap<Option<blake3::Hash>>,
}

impl Tls {
    /// Reads the files; `None` where the settings name none.
    pub(crate) fn open(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let Some(files) = Files::read(config)? else { return Ok(None) };
        Ok(Some(Self {
            config: config.clone(),
            in_use: ArcSwap::from_pointee(files.server_config()?),
            seen: ArcSwap::from_pointee(Some(files.digest())),
        }))
    }

    /// Begins a handshake.
    pub(crate) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        TlsAcceptor::from(self.in_use.load_full()).accept(stream)
    }

    /// Uses the files as they are now, if they have changed and are good.
    pub(crate) fn look(&self) {
        let files = match Files::read(&self.config) {
            Ok(None) => return,
            Ok(Some(files)) => Ok(files),
            Err(error) => Err(error),
        };
        let seen = files.as_ref().ok().map(Files::digest);
        if **self.seen.load() == seen {
            return;
        }
        // Said once of each state: the files may be being replaced one after the other.
        self.seen.store(Arc::new(seen));
        match files.and_then(|files| files.server_config()) {
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
