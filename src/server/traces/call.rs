//! What the span of a call says: the attributes that OpenTelemetry's conventions have for gRPC servers, the
//! call's id, and the stages of a training as events.

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use tonic::Code;

use crate::server::methods::Method;

const TRACEPARENT: &str = "traceparent";

/// The span of a call; sent when it is ended.
#[derive(Debug)]
pub(crate) struct CallSpan(Context);

impl CallSpan {
    /// Begins with the call; `None` where it is not traced. Its trace is its caller's, if there is one.
    pub(super) fn begin(
        tracer: &SdkTracer,
        method: Method,
        headers: &HeaderMap,
        request_id: impl FnOnce() -> String,
    ) -> Option<Self> {
        let (service, name) = method.of_ours()?;
        let caller = TraceContextPropagator::new().extract(&Traceparent(headers));
        let span = SpanBuilder::from_name(method.name())
            .with_kind(SpanKind::Server)
            .start_with_context(tracer, &caller);
        let call = Context::new().with_span(span);
        let span = call.span();
        if !span.is_recording() {
            return None;
        }
        span.set_attributes([
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service),
            KeyValue::new("rpc.method", name),
            KeyValue::new("dictum.request_id", request_id()),
        ]);
        Some(Self(call))
    }

    /// Until the guard is dropped, what this thread does belongs to the call: see [`CallTrace`].
    pub(crate) fn enter(&self) -> ContextGuard {
        self.0.clone().attach()
    }

    /// Ends with the call.
    pub(crate) fn end(&self, code: Code) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(code))));
        if is_fault_of_server(code) {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// The trace of a call, for those who work for it on other threads.
#[derive(Debug)]
pub(crate) struct CallTrace(Context);

impl CallTrace {
    /// The trace of the call that this thread works for.
    pub(crate) fn current() -> Self {
        Self(Context::current())
    }

    /// Takes down that something has begun; nothing where the call is not traced.
    pub(crate) fn event(&self, name: &'static str) {
        self.0.span().add_event(name, Vec::new());
    }
}

/// What the conventions count as errors of a server.
fn is_fault_of_server(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// What a caller says of its trace. Its `tracestate` is left alone: free text, and of no use to a server
/// that calls nobody.
struct Traceparent<'a>(&'a HeaderMap);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.0.get(key)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
