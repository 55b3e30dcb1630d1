//! What the server counts about itself, for Prometheus.
//!
//! Every series is there from the start, at zero. Labels come from closed sets: methods, codes, reasons,
//! names of models, positions of labels; no text of a request becomes one. Counting costs a few
//! atomic additions a call: nothing is looked up, locked or allocated.

pub(crate) mod calls;
pub(crate) mod connections;
pub(crate) mod endpoint;
pub(crate) mod figures;
pub(crate) mod jobs;
mod models;
mod process;
pub(crate) mod traces;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use super::models::Models;
use crate::telemetry;
use calls::Calls;
use connections::ConnectionFigures;
use figures::{NO_LABELS, Writer};
use jobs::JobFigures;
use traces::SpanFigures;

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) calls: Calls,
    pub(crate) connections: ConnectionFigures,
    pub(crate) jobs: JobFigures,
    pub(crate) traces: SpanFigures,
}

impl Metrics {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.gauges(
            ("dictum_build_info", "The program, always 1"),
            [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)],
        )?;
        self.calls.write(writer)?;
        self.connections.write(writer)?;
        self.jobs.write(writer)?;
        self.traces.write(writer)?;
        writer.counters(
            ("dictum_panics", "Defects that were caught: a panic in a handler, a stream or a job"),
            [(NO_LABELS, telemetry::panic_count())],
        )?;
        process::write(writer)
    }
}

/// What a scrape reads.
#[derive(Debug)]
pub(crate) struct Page(Registry);

impl Page {
    /// The page of a server.
    pub(crate) fn new(metrics: Arc<Metrics>, models: Arc<Models>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Source { metrics, models }));
        Self(registry)
    }

    /// Everything as it is now, in the text format of Prometheus, version 0.0.4.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// All that a page is made of.
#[derive(Debug)]
struct Source {
    metrics: Arc<Metrics>,
    models: Arc<Models>,
}

impl Collector for Source {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer::new(encoder);
        self.metrics.write(&mut writer)?;
        models::write(&self.models, &mut writer)
    }
}
