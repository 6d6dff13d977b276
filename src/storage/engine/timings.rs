//! How long the database takes, for the metrics.

use crate::model::histogram::Histogram;

/// Durations by operation.
#[derive(Debug, Default)]
pub struct Timings {
    /// How long it took to begin a transaction; on SQLite including the wait for the writer.
    pub(in crate::storage) begin: Histogram,
    /// How long it took to write the changes and audit events of a transaction and to commit it durably, or to record tokens
    /// with one statement outside a transaction.
    pub(in crate::storage) commit: Histogram,
    /// How long it took to read the changes since the last poll.
    pub(in crate::storage) poll: Histogram,
}

impl Timings {
    /// Each operation by its name.
    pub fn all(&self) -> [(&'static str, &Histogram); 3] {
        [("begin", &self.begin), ("commit", &self.commit), ("poll", &self.poll)]
    }
}
