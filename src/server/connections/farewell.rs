//! The last of a connection, for the client to read before the socket closes.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, copy, sink};
use tokio::time::timeout;

/// How long a client has to take what was sent, and to close its side.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most that is read of what it says meanwhile.
const MAX_READ_BYTES: u64 = 64 * 1024;

/// Reads what still comes, to nobody's use, until the client has closed its side. A socket that is closed while
/// its client goes on sending is reset, and with it may go what the client has not read.
pub(super) async fn linger(stream: impl AsyncRead + Unpin) {
    // A client that does not close has to do without.
    timeout(PATIENCE, copy(&mut stream.take(MAX_READ_BYTES), &mut sink())).await.ok();
}
