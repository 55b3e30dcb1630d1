//! How long calls wait for a thread, and which of them have waited too long ("controlled delay").

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::server::metrics::figures::Level;

/// A queue that has not been empty for so many times its limit is overload and no burst. Until then calls
/// may wait that long.
const STANDING: u32 = 10;

/// The calls that have arrived and not begun. They stand in the runtime's own queue; here is what is known
/// of it.
#[derive(Debug)]
pub(super) struct Queue {
    limit: Duration,
    began: Instant,
    waiting: Level,
    /// When it was empty last, in microseconds since `began`.
    empty_at: AtomicU64,
}

impl Queue {
    /// A queue in which a call waits at most `limit` while it does not drain.
    pub(super) fn new(limit: Duration) -> Self {
        let (waiting, empty_at) = (Level::default(), AtomicU64::new(0));
        Self { limit, began: Instant::now(), waiting, empty_at }
    }

    /// A call arrives.
    pub(super) fn enter(&self, now: Instant) {
        if self.waiting.up() == 1 {
            self.is_empty(now);
        }
    }

    /// A call that arrived then begins; whether it still should.
    pub(super) fn leave(&self, arrived: Instant, now: Instant) -> bool {
        if self.waiting.down() == 0 {
            self.is_empty(now);
        }
        let waited = now.duration_since(arrived);
        if waited <= self.limit {
            return true;
        }
        let long = self.limit * STANDING;
        let empty_at = Duration::from_micros(self.empty_at.load(Ordering::Relaxed));
        let is_standing = now.duration_since(self.began).saturating_sub(empty_at) > long;
        !is_standing && waited <= long
    }

    fn is_empty(&self, now: Instant) {
        let micros = now.duration_since(self.began).as_micros();
        self.empty_at.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(10);

    #[test]
    fn a_burst_waits_and_a_standing_queue_is_cut() {
        let queue = Queue::new(LIMIT);
        let at = |millis| queue.began + Duration::from_millis(millis);
        queue.enter(at(1_000));
        queue.enter(at(1_000));
        queue.enter(at(1_000));
        assert!(queue.leave(at(1_000), at(1_005)), "within the limit");
        assert!(queue.leave(at(1_000), at(1_090)), "a burst");
        queue.enter(at(1_095));
        queue.enter(at(1_095));
        assert!(!queue.leave(at(1_000), at(1_101)), "longer than any burst");
        assert!(queue.leave(at(1_095), at(1_104)), "short, though the queue stands");
        queue.enter(at(1_104));
        assert!(!queue.leave(at(1_095), at(1_106)), "the queue stands");
        assert!(queue.leave(at(1_104), at(1_110)));
        queue.enter(at(2_000));
        assert!(queue.leave(at(2_000), at(2_050)), "it was empty in between");
    }
}
