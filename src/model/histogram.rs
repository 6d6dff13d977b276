//! Durations counted in buckets, for the metrics. Counting is two additions without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets in microseconds. The last one, `u64::MAX`, means: without an upper bound.
const BOUNDS: [u64; 13] =
    [25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 50_000, 250_000, 1_000_000, 5_000_000, u64::MAX];

/// Durations of one kind of work.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len()],
    micros: AtomicU64,
}

/// What a [`Histogram`] has counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The upper bound of each bucket in seconds (the last one is [`f64::INFINITY`]), and how many durations were in it and not
    /// in a lower one.
    pub buckets: Vec<(f64, u64)>,
    /// All durations together, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or_default();
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn counted(&self) -> Counted {
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 microseconds, which is 285 years")]
        let seconds = |micros: u64| micros as f64 / 1e6;
        let bound = |bound: u64| if bound == u64::MAX { f64::INFINITY } else { seconds(bound) };
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = BOUNDS.iter().map(|at| bound(*at)).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Counted { buckets, sum: seconds(self.micros.load(Ordering::Relaxed)), count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_once_in_the_bucket_it_fits() {
        let histogram = Histogram::default();
        for micros in [0, 25, 26, 1_000_000, 9_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counted = histogram.counted();
        let filled: Vec<_> = counted.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.000_025, 2), (0.000_05, 1), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(counted.count, 5);
        assert!((counted.sum - 10.000_051).abs() < 1e-9);
    }
}
