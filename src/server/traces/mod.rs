//! Traces: a span for each call of our services, sent over OTLP where a collector is set.
//!
//! - `call`: what a span says, and whose trace it continues.
//! - `sending`: spans on their way to the collector.
//!
//! Spans wait in a queue of bounded length and are sent by a thread of their own. A collector that is slow or
//! gone costs spans and nothing else: no call waits for it. The names of the SDK's own variables hold for
//! the rest (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_…`).
//! No span holds text of a request but its id.

mod call;
mod sending;

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::sync::oneshot;

use super::methods::Method;
use super::metrics::Metrics;
use crate::config::TraceConfig;
pub(crate) use call::{CallSpan, CallTrace};
use sending::Sending;

/// Longest wait for the collector when the server ends.
const LAST_SENDING: Duration = Duration::from_secs(2);
/// From the end of a span until it is sent, unless many are there before.
const SENDING_PAUSE: Duration = Duration::from_secs(1);

/// Why calls cannot be traced.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// TLS to the collector cannot be spoken.
    #[error(transparent)]
    Tls(#[from] tonic::transport::Error),
    /// The settings of the SDK are not usable.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// Traces calls, where a collector is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces(Option<Tracing>);

#[derive(Debug, Clone)]
struct Tracing {
    tracer: SdkTracer,
    // Its drop would wait for the collector: what ends without a flush ends without one.
    provider: Arc<ManuallyDrop<SdkTracerProvider>>,
    metrics: Arc<Metrics>,
}

impl Traces {
    /// Gets ready to send spans; connects when there are some. Needs a runtime.
    pub(crate) fn open(config: &TraceConfig, metrics: Arc<Metrics>) -> Result<Self, TracesError> {
        let Some(collector) = &config.otlp_endpoint else { return Ok(Self(None)) };
        let sending = Sending::new(collector, Arc::clone(&metrics))?;
        // In place of the pause, not of what the SDK's variables say.
        let batches = BatchConfigBuilder::default().with_scheduled_delay(SENDING_PAUSE).build();
        let sender = BatchSpanProcessor::builder(sending).with_batch_config(batches).build();
        let share = Sampler::TraceIdRatioBased(config.trace_share.into());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(sender)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_resource(resource())
            .build();
        let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
        Ok(Self(Some(Tracing { tracer, provider: Arc::new(ManuallyDrop::new(provider)), metrics })))
    }

    /// The span of a call with these headers, unless it is not traced.
    pub(crate) fn call(
        &self,
        method: Method,
        headers: &HeaderMap,
        request_id: impl FnOnce() -> String,
    ) -> Option<Box<CallSpan>> {
        let Tracing { tracer, metrics, .. } = self.0.as_ref()?;
        let span = CallSpan::begin(tracer, method, headers, request_id)?;
        metrics.traces.spans.add(1);
        Some(Box::new(span))
    }

    /// Sends what waits to be sent. Nothing is sent afterwards.
    pub(crate) async fn flush(&self) {
        let Some(Tracing { provider, .. }) = &self.0 else { return };
        let (provider, (sent, is_sent)) = (Arc::clone(provider), oneshot::channel());
        // A thread that nobody waits for at the end of the process.
        let flush = move || {
            if let Err(error) = provider.shutdown_with_timeout(LAST_SENDING) {
                tracing::warn!(%error, "the last spans may be lost");
            }
            sent.send(()).ok();
        };
        match thread::Builder::new().name("dictum-flush".to_owned()).spawn(flush) {
            Ok(_detached) => {
                // It closes if the thread panics; there is no more to wait for then.
                is_sent.await.ok();
            }
            Err(error) => tracing::warn!(%error, "no thread to send the last spans"),
        }
    }
}

/// Who sends the spans. What the SDK's variables say goes over it.
fn resource() -> Resource {
    let from_environment = Resource::builder().build();
    let unnamed = "unknown_service";
    let name = from_environment.get(&"service.name".into());
    let mut resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if name.is_none_or(|name| name.as_str().starts_with(unnamed)) {
        resource = resource.with_service_name(env!("CARGO_PKG_NAME"));
    }
    resource.build()
}
