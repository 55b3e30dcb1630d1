//! When a call must end although its handler has not: the caller's deadline, and the server's shutdown.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};

use crate::server::status;

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Ends one call in time. Costs nothing to speak of until the call has to wait.
#[derive(Debug)]
pub(super) struct CallEnd {
    deadline: Option<Instant>,
    waiting: Option<Pin<Box<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    deadline: Option<Pin<Box<Sleep>>>,
    abort: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CallEnd {
    /// The end of a call with these headers.
    pub(super) fn new(headers: &HeaderMap, arrived: Instant) -> Self {
        let deadline = timeout(headers).and_then(|timeout| arrived.checked_add(timeout));
        Self { deadline, waiting: None }
    }

    /// The status with which the call must end now, without arranging to be woken. The server ends all
    /// calls by `abort`.
    pub(super) fn now(&self, abort: &CancellationToken) -> Option<Status> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let code = Code::DeadlineExceeded;
            return Some(status::of_server(code, "DEADLINE_EXCEEDED", "the deadline has passed"));
        }
        if abort.is_cancelled() {
            let code = Code::Unavailable;
            return Some(status::of_server(code, "STOPPING", "the server is stopping"));
        }
        None
    }

    /// The status with which the call must end, once it must.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, abort: &CancellationToken) -> Poll<Status> {
        let waiting = self.waiting.get_or_insert_with(|| {
            Box::pin(Waiting {
                deadline: self.deadline.map(|deadline| Box::pin(sleep_until(deadline))),
                abort: Box::pin(abort.clone().cancelled_owned()),
            })
        });
        // Both are asked, so that both wake the call.
        let timer = waiting.deadline.as_mut().map(|timer| timer.as_mut().poll(cx));
        let aborted = waiting.abort.as_mut().poll(cx);
        let is_over = aborted.is_ready() || timer.is_some_and(|timer| timer.is_ready());
        let end = self.now(abort);
        debug_assert!(end.is_some() || !is_over, "a timer that is ahead of its clock");
        end.map_or(Poll::Pending, Poll::Ready)
    }
}

/// The caller's timeout: up to eight digits and a unit. One that is malformed is no timeout, as
/// in tonic.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (unit_start, unit) = text.char_indices().next_back()?;
    let digits = text.get(..unit_start)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(n * 3_600)),
        'M' => Some(Duration::from_secs(n * 60)),
        'S' => Some(Duration::from_secs(n)),
        'm' => Some(Duration::from_millis(n)),
        'u' => Some(Duration::from_micros(n)),
        'n' => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, text.parse().expect("a header"));
        timeout(&headers)
    }

    #[test]
    fn timeouts_are_read_in_every_unit() {
        assert_eq!(parsed("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(parsed("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parsed("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parsed("5m"), Some(Duration::from_millis(5)));
        assert_eq!(parsed("6u"), Some(Duration::from_micros(6)));
        assert_eq!(parsed("7n"), Some(Duration::from_nanos(7)));
        assert_eq!(parsed("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
    }

    #[test]
    fn what_is_no_timeout_is_none() {
        for text in ["", "S", "5", "5x", "-5S", "+5S", "123456789S", "5 S", "1.5S"] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_call_ends_at_its_deadline_and_not_before() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, "20m".parse().expect("a header"));
        let (began, abort) = (Instant::now(), CancellationToken::new());
        let mut end = CallEnd::new(&headers, began);
        assert!(end.now(&abort).is_none());
        let status = std::future::poll_fn(|cx| end.poll(cx, &abort)).await;
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn a_call_ends_when_the_server_ends_all_calls() {
        let abort = CancellationToken::new();
        let mut end = CallEnd::new(&HeaderMap::new(), Instant::now());
        assert!(end.now(&abort).is_none());
        let (status, ()) = tokio::join!(std::future::poll_fn(|cx| end.poll(cx, &abort)), async {
            abort.cancel();
        });
        assert_eq!(status.code(), Code::Unavailable);
    }
}
