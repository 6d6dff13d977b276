//! How long the database takes, for the metrics.

use crate::model::histogram::Histogram;

/// Durations by operation.
#[derive(Debug, Default)]
pub struct Timings {
    /// Until a transaction had begun; on SQLite with the wait for the writer.
    pub(in crate::storage) begin: Histogram,
    /// Until a transaction was durable.
    pub(in crate::storage) commit: Histogram,
    /// Until it was known what changed.
    pub(in crate::storage) poll: Histogram,
}

impl Timings {
    /// Each operation by its name.
    pub fn all(&self) -> [(&'static str, &Histogram); 3] {
        [("begin", &self.begin), ("commit", &self.commit), ("poll", &self.poll)]
    }
}
