//! Spans of calls, on their way to a collector.

use std::fmt;

use super::figures::{Count, NO_LABELS, Writer};

/// All spans of the server's life.
#[derive(Debug, Default)]
pub(crate) struct SpanFigures {
    /// Begun.
    pub(crate) spans: Count,
    /// Taken by the collector.
    pub(crate) sent: Count,
    /// Lost, because it did not take them.
    pub(crate) failed: Count,
}

impl SpanFigures {
    /// Writes what was counted.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        for (name, help, count) in [
            ("dictum_spans", "Spans that have begun, one for each traced call", &self.spans),
            ("dictum_spans_sent", "Spans that the collector has taken", &self.sent),
            ("dictum_spans_failed", "Spans that the collector has not taken", &self.failed),
        ] {
            writer.counters((name, help), [(NO_LABELS, count.get())])?;
        }
        Ok(())
    }
}
