//! Spans on their way to the collector. The log says once when it cannot be reached, and once when it can
//! again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tonic::transport::{ClientTlsConfig, Endpoint};

use super::TracesError;
use crate::config::CollectorUrl;
use crate::server::metrics::Metrics;

/// Longest wait for the collector to take a batch.
const SENDING_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends batches one after the other.
#[derive(Debug)]
pub(super) struct Sending {
    otlp: OtlpExporter,
    is_failing: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Sending {
    pub(super) fn new(
        collector: &CollectorUrl,
        metrics: Arc<Metrics>,
    ) -> Result<Self, TracesError> {
        let mut endpoint = Endpoint::from(collector.uri().clone())
            .connect_timeout(SENDING_TIMEOUT)
            .timeout(SENDING_TIMEOUT);
        if collector.is_encrypted() {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
        }
        let channel = endpoint.connect_lazy();
        let otlp = OtlpExporter::builder().with_tonic().with_channel(channel).build()?;
        Ok(Self { otlp, is_failing: AtomicBool::new(false), metrics })
    }
}

impl SpanExporter for Sending {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let n_spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let sent = self.otlp.export(batch).await;
        let was_failing = self.is_failing.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Ok(()) => self.metrics.traces.sent.add(n_spans),
            Err(_) => self.metrics.traces.failed.add(n_spans),
        }
        match &sent {
            Ok(()) if was_failing => tracing::info!("spans are sent again"),
            Err(error) if !was_failing => {
                tracing::warn!(%error, "spans cannot be sent, they are lost until they can");
            }
            Ok(()) | Err(_) => {}
        }
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
