//! Tells systemd how the server is (`Type=notify`), and that it lives (`WatchdogSec=`). Where it was not
//! started by systemd, nothing is told.

use std::convert::Infallible;
use std::io;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// The server answers.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

/// The shutdown has begun.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says that the server lives, as often as it is asked for, on the runtime that answers calls: when
/// that is stuck, so is this.
pub(crate) async fn keep_alive() -> Infallible {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    // As systemd advises: twice within the limit.
    let mut ticks = interval(limit / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    let told: io::Result<()> = sd_notify::notify(&[state]);
    if let Err(error) = told {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
