//! Metrics whose values are read elsewhere, at each request for them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::model::histogram::Counted;

pub(super) type Labels = Vec<(&'static str, &'static str)>;
pub(super) type Read = Box<dyn Fn() -> Vec<(Labels, i64)> + Send + Sync>;

/// Gauges whose values are read at each request for the metrics.
pub(super) struct Collected {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) read: Read,
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Gauge)?;
        for (labels, value) in (self.read)() {
            let gauge = ConstGauge::new(value);
            if labels.is_empty() {
                return gauge.encode(metric);
            }
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// A gauge in seconds, whose value is read in milliseconds at each request for the metrics.
pub(super) struct Seconds {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) read: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seconds").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for Seconds {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let metric = encoder.encode_descriptor(&self.name, &self.help, unit, MetricType::Gauge)?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of 285,000 years are exact")]
        let seconds = (self.read)() as f64 / 1000.0;
        ConstGauge::new(seconds).encode(metric)
    }
}

/// A counter whose value is read at each request for the metrics.
pub(super) struct CountedOnce {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for CountedOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedOnce").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for CountedOnce {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metric = encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Counter)?;
        ConstCounter::new((self.read)()).encode(metric)
    }
}

/// Histograms in seconds by one label, read at each request for the metrics.
pub(super) struct Durations {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) label: &'static str,
    pub(super) read: Box<dyn Fn() -> Vec<(&'static str, Counted)> + Send + Sync>,
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durations").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for Durations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut metric = encoder.encode_descriptor(&self.name, &self.help, unit, MetricType::Histogram)?;
        for (value, counted) in (self.read)() {
            let labels = [(self.label, value)];
            let mut of_label = metric.encode_family(&labels)?;
            of_label.encode_histogram::<NoLabelSet>(counted.sum, counted.count, &counted.buckets, None)?;
        }
        Ok(())
    }
}

/// Counters by one label, read at each request for the metrics.
pub(super) struct CountedBy {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) label: &'static str,
    pub(super) read: Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
}

impl fmt::Debug for CountedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedBy").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for CountedBy {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Counter)?;
        for (value, count) in (self.read)() {
            ConstCounter::new(count).encode(metric.encode_family(&[(self.label, value)])?)?;
        }
        Ok(())
    }
}
