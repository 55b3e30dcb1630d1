//! The end of a server, in steps of bounded length.
//!
//! 1. Health says `NOT_SERVING` and ends its watches. For a pause, which load balancers need to see it,
//!    all else goes on as before. Then nothing is accepted any more; connections are told to go
//!    away (`GOAWAY`); silent ones are closed. Calls go on.
//! 2. After the grace period, calls that still run end with `UNAVAILABLE`.
//! 3. Shortly after, connections are closed, whatever they wait for.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::service_manager;
use crate::config::Timeouts;

/// From ending calls until connections are closed: time for the statuses to get out.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// From closing connections until the server is given up as it is.
const LAST_BREATH: Duration = Duration::from_millis(200);

/// Which steps have begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phases {
    /// Step 1.
    pub(crate) draining: CancellationToken,
    /// Step 2.
    pub(crate) aborting: CancellationToken,
    /// Step 3.
    pub(crate) closing: CancellationToken,
}

impl Phases {
    /// Goes through the steps once `signal` is there. `stop_health` begins the first.
    pub(crate) async fn conduct(
        &self,
        signal: impl Future<Output = ()>,
        stop_health: impl FnOnce(),
        timeouts: &Timeouts,
    ) {
        signal.await;
        let grace = timeouts.shutdown_grace;
        tracing::info!(grace_ms = u64::try_from(grace.as_millis()).ok(), "stopping");
        service_manager::stopping();
        stop_health();
        sleep(timeouts.shutdown_pause).await;
        self.draining.cancel();
        sleep(grace).await;
        tracing::warn!("the grace period is over, ending the calls that still run");
        self.aborting.cancel();
        sleep(LAST_WORDS).await;
        self.closing.cancel();
        sleep(LAST_BREATH).await;
    }
}
