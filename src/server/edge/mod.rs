//! The layer around every call, unary or streaming. It sees to what handlers and tonic leave open:
//!
//! - every call is counted, timed and, where wanted, traced and written down (`record`);
//! - a panic becomes INTERNAL, and the server lives;
//! - a deadline that passes becomes `DEADLINE_EXCEEDED`, in the middle of a stream too, and what the
//!   handler was doing is dropped (`deadline`);
//! - calls that outlive the grace period of a shutdown become UNAVAILABLE;
//! - statuses made by the library carry an `ErrorInfo`, and `RESOURCE_EXHAUSTED` for messages too large
//!   (`outgoing`);
//! - a request stream that the client breaks off, or leaves idle, is an error and not its end
//!   (`incoming`).
//!
//! Further layers (authorisation, `admission`) belong inside this one.

mod deadline;
mod incoming;
mod outgoing;
mod record;
mod request_id;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::metrics::Metrics;
use super::status;
use super::traces::Traces;
use deadline::CallEnd;
use incoming::Incoming;
use outgoing::{Outgoing, begin};
use record::CallRecord;
pub(crate) use request_id::current as current_request_id;

/// Puts [`Edge`] around the services.
#[derive(Debug, Clone)]
pub(crate) struct EdgeLayer {
    shared: Arc<Shared>,
}

/// What all calls share.
#[derive(Debug)]
struct Shared {
    abort: CancellationToken,
    idle: Duration,
    metrics: Arc<Metrics>,
    traces: Traces,
}

impl EdgeLayer {
    /// All calls end when `abort` is cancelled; those whose client sends nothing for `idle` while it is
    /// waited for end by themselves.
    pub(crate) fn new(
        abort: CancellationToken,
        idle: Duration,
        metrics: Arc<Metrics>,
        traces: Traces,
    ) -> Self {
        Self { shared: Arc::new(Shared { abort, idle, metrics, traces }) }
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, shared: Arc::clone(&self.shared) }
    }
}

/// The services with the layer around them.
#[derive(Debug, Clone)]
pub(crate) struct Edge<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, I, O> Service<Request<I>> for Edge<S>
where
    S: Service<Request<Incoming<I>>, Response = Response<O>, Error = Infallible>,
    O: Body<Data = Bytes>,
{
    type Response = Response<Outgoing<O>>;
    type Error = Infallible;
    type Future = Call<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let record = CallRecord::new(&self.shared, &request);
        let end = CallEnd::new(request.headers(), record.arrived());
        let idle = self.shared.idle;
        let handler = self.inner.call(request.map(|body| Incoming::new(body, idle)));
        Call { handler, ongoing: Some(Ongoing { end, record }), has_begun: false }
    }
}

/// What goes with a call from its arrival to the end of its reply.
#[derive(Debug)]
struct Ongoing {
    end: CallEnd,
    record: CallRecord,
}

impl Ongoing {
    /// The status with which the call must end now.
    fn overdue(&self) -> Option<Status> {
        self.end.now(self.record.abort())
    }

    /// Waits until the call must end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        self.end.poll(cx, self.record.abort())
    }

    /// Does a part of the handler's work. What it panics with stays here.
    fn work<T>(&mut self, work: impl FnOnce() -> T) -> Result<T, Status> {
        let caught = catch_unwind(AssertUnwindSafe(|| self.record.within(work)));
        caught.map_err(panicked)
    }
}

pin_project! {
    /// A call until its reply begins.
    pub(crate) struct Call<F> {
        #[pin]
        handler: F,
        // Moves on to the reply's body.
        ongoing: Option<Ongoing>,
        has_begun: bool,
    }
}

impl<F, O> Future for Call<F>
where
    F: Future<Output = Result<Response<O>, Infallible>>,
    O: Body<Data = Bytes>,
{
    type Output = Result<Response<Outgoing<O>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(mut ongoing) = this.ongoing.take() else { return Poll::Pending };
        // What nobody waits for any more is not begun.
        let late = if *this.has_begun { None } else { ongoing.overdue() };
        *this.has_begun = true;
        let refused = match late {
            Some(status) => status,
            None => match ongoing.work(|| this.handler.poll(cx)) {
                Ok(Poll::Ready(Ok(response))) => return Poll::Ready(Ok(begin(response, ongoing))),
                Ok(Poll::Pending) => match ongoing.poll_end(cx) {
                    Poll::Ready(status) => status,
                    Poll::Pending => {
                        *this.ongoing = Some(ongoing);
                        return Poll::Pending;
                    }
                },
                Err(status) => status,
            },
        };
        Poll::Ready(Ok(outgoing::refuse(&refused, ongoing)))
    }
}

/// The panic itself is logged by the process's panic hook; its message may quote the request.
fn panicked(panic: Box<dyn Any + Send>) -> Status {
    drop(panic);
    status::of_server(Code::Internal, "INTERNAL", "internal error, see the server's log")
}
