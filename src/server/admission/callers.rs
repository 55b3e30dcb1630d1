//! How many calls each caller has running.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::Request;

use crate::server::auth::Identity;
use crate::server::connections::Peer;
use crate::server::metrics::figures::Level;

/// Callers that are remembered before those that have left are forgotten.
const FEW: usize = 1_024;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// Who proved it.
    Known(Identity),
    /// Whoever is at this address.
    At(IpAddr),
}

impl Caller {
    /// Who sent a request, and who was the last to do so on its connection.
    pub(super) fn of<I>(request: &Request<I>) -> Option<(Self, &LastCaller)> {
        let peer = request.extensions().get::<Peer>()?;
        let caller = match request.extensions().get::<Identity>() {
            Some(identity) => Self::Known(identity.clone()),
            None => Self::At(peer.address.ip()),
        };
        Some((caller, &peer.connection.last_caller))
    }
}

/// The caller of a connection's last call with what it has running: mostly that of the next call too, so that
/// connections do not wait for each other to look it up.
#[derive(Debug, Default)]
pub(crate) struct LastCaller(Mutex<Option<(Caller, Arc<Level>)>>);

/// What each caller has running.
#[derive(Debug, Default)]
pub(super) struct Callers {
    running: Mutex<HashMap<Caller, Weak<Level>>>,
}

impl Callers {
    /// Counts one more call of a caller, unless it has as many as it may.
    pub(super) fn share(&self, caller: Caller, last: &LastCaller, limit: u64) -> Option<Share> {
        let share = Share(self.level_of(caller, last));
        (share.0.up() <= limit).then_some(share)
    }

    fn level_of(&self, caller: Caller, last: &LastCaller) -> Arc<Level> {
        let mut last = last.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, level)) = &*last
            && *known == caller
        {
            return Arc::clone(level);
        }
        let level = self.level(caller.clone());
        *last = Some((caller, Arc::clone(&level)));
        level
    }

    fn level(&self, caller: Caller) -> Arc<Level> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(level) = running.get(&caller).and_then(Weak::upgrade) {
            return level;
        }
        if running.len() >= FEW {
            running.retain(|_, level| level.strong_count() > 0);
        }
        let level = Arc::default();
        running.insert(caller, Arc::downgrade(&level));
        level
    }
}

/// A call that is counted for its caller, until it is dropped.
#[derive(Debug)]
pub(super) struct Share(Arc<Level>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.down();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn callers_are_counted_apart_and_forgotten_when_they_have_left() {
        let callers = Callers::default();
        let caller = |n| Caller::At(IpAddr::V4(Ipv4Addr::from_bits(n)));
        let (here, there) = (LastCaller::default(), LastCaller::default());
        let one = callers.share(caller(1), &here, 1).expect("room");
        assert!(callers.share(caller(1), &here, 1).is_none());
        assert!(callers.share(caller(1), &there, 1).is_none(), "from another connection");
        assert!(callers.share(caller(2), &here, 1).is_some());
        assert!(callers.share(caller(1), &here, 1).is_none(), "looked up again");
        drop(one);
        let held = callers.share(caller(1), &here, 1).expect("room again");
        for n in 2..5_000 {
            callers.share(caller(n), &there, 1).expect("room");
        }
        assert!(callers.running.lock().expect("no panic").len() <= FEW);
        drop(held);
    }
}
