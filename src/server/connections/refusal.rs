//! What a client is told whose connection is not taken.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::farewell::linger;

/// How long a client has to take what it is told.
const PATIENCE: Duration = Duration::from_millis(500);
/// Clients that are told at the same time; further ones are told nothing.
const AT_ONCE: usize = 64;

/// Tells clients that there are too many.
#[derive(Debug)]
pub(super) struct Refusals {
    text: Arc<[u8]>,
    room: Arc<Semaphore>,
}

impl Refusals {
    /// Names this limit.
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        Self { text: too_many(limit).into(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Tells why, and closes.
    pub(super) fn tell(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else { return };
        let text = Arc::clone(&self.text);
        let telling = async move {
            stream.write_all(&text).await?;
            stream.shutdown().await?;
            linger(stream).await;
            Ok::<_, io::Error>(())
        };
        tokio::spawn(async move {
            // A client that does not listen has gone, or is not worth waiting for.
            timeout(PATIENCE, telling).await.ok();
            drop(permit);
        });
    }
}

/// HTTP/2's empty SETTINGS, then GOAWAY with `ENHANCE_YOUR_CALM` and a text, which clients show.
fn too_many(limit: NonZeroUsize) -> Vec<u8> {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const GOAWAY: &[u8] = b"\x07\0\0\0\0\0";
    const NO_STREAM_AND_CALM: &[u8] = b"\0\0\0\0\0\0\0\x0b";
    let text = format!("too many connections: {limit} are open (max_connections)");
    let length = u8::try_from(NO_STREAM_AND_CALM.len() + text.len()).unwrap_or_default();
    [SETTINGS, &[0, 0, length], GOAWAY, NO_STREAM_AND_CALM, text.as_bytes()].concat()
}
