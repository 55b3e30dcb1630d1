//! A call from its arrival to its end, whatever ends it: counted, timed, and written down where the log's
//! level asks for it (`debug`, or `dictum::access=debug`).

use std::sync::Arc;

use http::{HeaderValue, Request};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::Shared;
use super::request_id::RequestId;
use crate::server::codes::reason_of_code;
use crate::server::connections::{Peer, State};
use crate::server::methods::Method;
use crate::server::traces::CallSpan;

/// Counts a call when it is dropped, which is when it has ended.
#[derive(Debug)]
pub(super) struct CallRecord {
    shared: Arc<Shared>,
    method: Method,
    id: RequestId,
    arrived: Instant,
    connection: Option<Arc<State>>,
    /// `None` where the call is not traced.
    span: Option<Box<CallSpan>>,
    /// Until there is one: the code of a call whose client has gone.
    code: Code,
}

impl CallRecord {
    /// A call has arrived.
    pub(super) fn new<I>(shared: &Arc<Shared>, request: &Request<I>) -> Self {
        let method = Method::of(request.uri().path());
        shared.metrics.calls.begin(method);
        let id = RequestId::new(request.headers());
        let span = shared.traces.call(method, request.headers(), || id.text());
        Self {
            shared: Arc::clone(shared),
            method,
            id,
            span,
            arrived: Instant::now(),
            connection: request.extensions().get::<Peer>().map(|peer| Arc::clone(&peer.connection)),
            code: Code::Cancelled,
        }
    }

    /// When it arrived.
    pub(super) fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Ends all calls.
    pub(super) fn abort(&self) -> &CancellationToken {
        &self.shared.abort
    }

    /// Does some work of the call: its log records and its trace say which call it is.
    pub(super) fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let _entered = self.span.as_ref().map(|span| span.enter());
        self.id.within(work)
    }

    /// The id, for the client.
    pub(super) fn request_id(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.id.text()).ok()
    }

    /// A part of the reply is handed over; the client has taken it when this is dropped.
    pub(super) fn hand_over(&self) -> Option<Untaken> {
        let connection = self.connection.as_ref()?;
        connection.hand_over();
        Some(Untaken(Arc::clone(connection)))
    }

    /// The reply has its status.
    pub(super) fn answered(&mut self, code: Code) {
        self.code = code;
    }
}

/// A part of a reply that its client has not taken.
#[derive(Debug)]
pub(super) struct Untaken(Arc<State>);

impl Drop for Untaken {
    fn drop(&mut self) {
        self.0.taken();
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        let time = self.arrived.elapsed();
        self.shared.metrics.calls.end(self.method, self.code, time);
        if let Some(span) = &self.span {
            span.end(self.code);
        }
        if tracing::enabled!(target: "dictum::access", tracing::Level::DEBUG) {
            tracing::debug!(
                target: "dictum::access",
                request_id = self.id.text(),
                method = self.method.name(),
                code = reason_of_code(self.code),
                micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
                "call"
            );
        }
    }
}
