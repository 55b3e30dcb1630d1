//! Connections on which nothing was said yet, oldest first: those that have to go when there are too many.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;

use super::socket::State;

/// The silent connections, and those that were.
#[derive(Debug, Default)]
pub(super) struct Silent(VecDeque<(Weak<State>, CancellationToken)>);

impl Silent {
    /// A connection that has just come, ended by `end`.
    pub(super) fn push(&mut self, state: &Arc<State>, end: CancellationToken) {
        self.0.push_back((Arc::downgrade(state), end));
        // So that no more is kept than is silent, and a little.
        while self.0.front().is_some_and(|(state, _)| !is_silent(state)) {
            self.0.pop_front();
        }
        if self.0.len().is_power_of_two() {
            self.0.retain(|(state, _)| is_silent(state));
        }
    }

    /// Ends the one that has been silent for longest; whether there was one.
    pub(super) fn end_oldest(&mut self) -> bool {
        while let Some((state, end)) = self.0.pop_front() {
            if is_silent(&state) {
                end.cancel();
                return true;
            }
        }
        false
    }
}

fn is_silent(state: &Weak<State>) -> bool {
    state.upgrade().is_some_and(|state| !state.has_begun())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_still_there_goes_first() {
        let mut silent = Silent::default();
        let gone = Arc::new(State::new());
        silent.push(&gone, CancellationToken::new());
        let (first, second) = (Arc::new(State::new()), Arc::new(State::new()));
        let (end_first, end_second) = (CancellationToken::new(), CancellationToken::new());
        silent.push(&first, end_first.clone());
        silent.push(&second, end_second.clone());
        drop(gone);
        assert!(silent.end_oldest());
        assert!(end_first.is_cancelled() && !end_second.is_cancelled());
        assert!(silent.end_oldest());
        assert!(!silent.end_oldest());
    }
}
