//! Stores what was counted in memory.

use super::Usage;
use crate::kernel::Error;
use crate::model::inline_id::ClientId;
use crate::storage::UsageRows;

/// About how many rows of each kind a transaction stores, since others who write wait for it.
const BATCH: usize = 2_000;

/// Rows that are not stored yet. Those that are left when this is dropped are counted again, also when nobody waits for
/// the outcome any more.
struct Unstored<'a> {
    usage: &'a Usage,
    rows: UsageRows,
}

impl Unstored<'_> {
    /// Rows that were not stored after all.
    fn put_back(&mut self, batch: UsageRows) {
        self.usage.pending().put_back(batch);
    }
}

impl Drop for Unstored<'_> {
    fn drop(&mut self) {
        if !self.rows.is_empty() {
            self.usage.pending().put_back(std::mem::take(&mut self.rows));
        }
    }
}

impl Usage {
    /// Stores what was counted since the last call, and waits for a call that is under way.
    ///
    /// # Errors
    /// [`Error::Storage`]; then what could not be stored is counted still, and the next call stores it.
    pub async fn flush(&self) -> Result<(), Error> {
        let _alone = self.storing.lock().await;
        let pending = std::mem::take(&mut *self.pending());
        // Sorted, so that processes that store at the same time take the rows in the same order.
        let mut unstored = Unstored { usage: self, rows: sorted(pending.into_rows(self.kernel.clock.now())) };
        while !unstored.rows.is_empty() {
            let mut batch = Unstored { usage: self, rows: next_batch(&mut unstored.rows, BATCH) };
            let mut tx = self.kernel.storage.begin().await?;
            let first = tx.add_usage(&batch.rows).await?;
            self.report_first_uses(&mut tx, &batch.rows, &first).await?;
            // If nobody waits for the commit any more, it happens all the same: it would be counted twice.
            let rows = std::mem::take(&mut batch.rows);
            if let Err(error) = self.ledger.commit(tx).await {
                batch.put_back(rows);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The same for somebody who wants to see what was counted. If it cannot be stored, it is seen later.
    pub(super) async fn flush_to_look(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!(failure = error.kind(), %error, "what API clients did could not be stored before it was looked at");
        }
    }
}

/// In descending order, so that [`next_batch`] takes from the end. Counts are sorted as they are taken, except for those of
/// refused requests.
fn sorted(mut rows: UsageRows) -> UsageRows {
    rows.counts.sort_by_key(|row| (row.client_id, row.hour));
    rows.sources.sort_unstable_by_key(|row| (row.client_id, row.secret_id));
    rows.networks.sort_unstable_by_key(|row| row.client_id);
    rows.counts.reverse();
    rows.secret_uses.reverse();
    rows.sources.reverse();
    rows.networks.reverse();
    rows
}

/// Takes the next rows to be stored in one transaction. Of a client, it takes all sources and networks, or none: a secret
/// that is used for the first time, from a network that is new, is reported once for both.
fn next_batch(rows: &mut UsageRows, size: usize) -> UsageRows {
    fn take<T>(rows: &mut Vec<T>, size: usize) -> Vec<T> {
        let mut taken = rows.split_off(rows.len().saturating_sub(size));
        taken.reverse();
        taken
    }
    let of_sources = rows.sources.iter().rev().nth(size - 1).map(|row| row.client_id);
    let of_networks = rows.networks.iter().rev().nth(size - 1).map(|row| row.client_id);
    let last = of_sources.into_iter().chain(of_networks).min();
    let is_in = |client_id: ClientId| last.is_none_or(|last| client_id <= last);
    let sources = rows.sources.len() - rows.sources.partition_point(|row| !is_in(row.client_id));
    let networks = rows.networks.len() - rows.networks.partition_point(|row| !is_in(row.client_id));
    let failures = rows.failures.len().min(size);
    UsageRows {
        counts: take(&mut rows.counts, size),
        secret_uses: take(&mut rows.secret_uses, size),
        sources: take(&mut rows.sources, sources),
        networks: take(&mut rows.networks, networks),
        // Oldest first, and few.
        failures: rows.failures.drain(..failures).collect(),
    }
}

#[cfg(test)]
#[path = "flush_tests.rs"]
mod tests;
