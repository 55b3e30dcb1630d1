//! What metrics are made of: numbers that calls change without waiting for each other, and the writer
//! that lists them for Prometheus.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of something there are now.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU64);

impl Level {
    /// One more; returns how many there are with it.
    pub(crate) fn up(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// One fewer; returns how many are left.
    pub(crate) fn down(&self) -> u64 {
        self.0.fetch_sub(1, Ordering::Relaxed).saturating_sub(1)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Times, counted in classes.
#[derive(Debug)]
pub(crate) struct Times<const N: usize> {
    /// Upper bounds in seconds, ascending; longer ones are in a class of their own.
    bounds: &'static [f64; N],
    counts: [AtomicU64; N],
    longer: AtomicU64,
    sum_nanos: AtomicU64,
}

impl<const N: usize> Times<N> {
    pub(crate) fn new(bounds: &'static [f64; N]) -> Self {
        Self {
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            longer: AtomicU64::new(0),
            sum_nanos: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let class = self.bounds.iter().zip(&self.counts).find(|(bound, _)| seconds <= **bound);
        class.map_or(&self.longer, |(_, count)| count).fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Lists metrics. Names and units are those of Prometheus; `_total` is added to counters.
pub(crate) struct Writer<'a>(DescriptorEncoder<'a>);

impl<'a> Writer<'a> {
    pub(crate) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    pub(crate) fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        (name, help): (&str, &str),
        series: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            let mut one = family.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, V, u64>(&value, None)?;
        }
        Ok(())
    }

    pub(crate) fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        (name, help): (&str, &str),
        series: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    pub(crate) fn times<'t, L: EncodeLabelSet, const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        series: impl IntoIterator<Item = (L, &'t Times<N>)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, times) in series {
            let counts = times.counts.iter().map(|count| count.load(Ordering::Relaxed));
            let mut classes: Vec<_> = times.bounds.iter().copied().zip(counts).collect();
            classes.push((f64::INFINITY, times.longer.load(Ordering::Relaxed)));
            let n = classes.iter().map(|(_, count)| count).sum();
            let sum = Duration::from_nanos(times.sum_nanos.load(Ordering::Relaxed)).as_secs_f64();
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(sum, n, &classes, None)?;
        }
        Ok(())
    }
}

/// The labels of a family with a single series.
pub(crate) const NO_LABELS: [(&str, &str); 0] = [];
