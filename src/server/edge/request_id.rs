//! Which call a log record or an error is about: the client's `x-request-id` where it is usable as
//! one, else a number that is made when it is first asked for.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header and trailer of the id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BYTES: usize = 64;

thread_local! {
    /// The id of the call whose handler this thread is in.
    static CURRENT: RefCell<Option<RequestId>> = const { RefCell::new(None) };
    /// The next id made on this thread. Threads begin at random, so that ids do not meet.
    static NEXT: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
}

/// The id of a call.
#[derive(Debug)]
pub(super) enum RequestId {
    /// The client's.
    Given(HeaderValue),
    /// Ours.
    Made(u64),
}

impl RequestId {
    /// The id of a call with these headers.
    pub(super) fn new(headers: &HeaderMap) -> Self {
        match headers.get(REQUEST_ID) {
            Some(given) if is_usable(given) => Self::Given(given.clone()),
            Some(_) | None => Self::Made(NEXT.replace(NEXT.get().wrapping_add(1))),
        }
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Given(given) => given.to_str().unwrap_or_default().to_owned(),
            Self::Made(number) => format!("{number:016x}"),
        }
    }

    /// Does some work of the call: until it is done, [`current`] is this id.
    pub(super) fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let lent = std::mem::replace(self, Self::Made(0));
        let before = CURRENT.replace(Some(lent));
        let loan = Loan { id: self, before };
        let done = work();
        drop(loan);
        done
    }
}

/// Takes the id back, and puts back the one that was there before; after a panic too.
struct Loan<'a> {
    id: &'a mut RequestId,
    before: Option<RequestId>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(lent) = CURRENT.replace(self.before.take()) {
            *self.id = lent;
        }
    }
}

/// The id of the call that this thread works for, for a log record.
pub(crate) fn current() -> Option<String> {
    CURRENT.with_borrow(|id| id.as_ref().map(RequestId::text))
}

/// Ids are written to logs: no text that could be taken for something else.
fn is_usable(given: &HeaderValue) -> bool {
    let bytes = given.as_bytes();
    (1..=MAX_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(given: &'static str) -> String {
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(given))]);
        RequestId::new(&headers).text()
    }

    #[test]
    fn a_usable_id_is_kept_and_another_is_replaced() {
        assert_eq!(id_of("5f0c-A.b_9"), "5f0c-A.b_9");
        for bad in ["", "two words", "x\"y", "a\tb"] {
            assert_ne!(id_of(bad), bad);
            assert_eq!(id_of(bad).len(), 16);
        }
    }

    #[test]
    fn made_ids_differ() {
        let (one, other) = (RequestId::new(&HeaderMap::new()), RequestId::new(&HeaderMap::new()));
        assert_ne!(one.text(), other.text());
    }

    #[test]
    fn the_current_id_is_that_of_the_innermost_work() {
        let mut id = RequestId::Made(7);
        assert_eq!(current(), None);
        id.within(|| assert_eq!(current().as_deref(), Some("0000000000000007")));
        assert_eq!(current(), None);
        let within = || id.within(|| panic!("on purpose"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(within));
        assert!(panicked.is_err());
        assert_eq!((current(), id.text().as_str()), (None, "0000000000000007"));
    }
}
