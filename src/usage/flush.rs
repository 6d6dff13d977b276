//! Stores what was counted in memory.

use super::Usage;
use crate::kernel::Error;
use crate::model::inline_id::ClientId;
use crate::storage::UsageRows;

/// About how many rows of each kind a transaction stores. It is limited because other writers wait for the transaction.
const BATCH: usize = 2_000;

/// Rows that are not stored yet. When this is dropped, the rows that are left are put back to be stored later, also if the
/// future of the flush is dropped.
struct Unstored<'a> {
    usage: &'a Usage,
    rows: UsageRows,
}

impl Unstored<'_> {
    /// Puts back rows that were not stored after all.
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
    /// Waits for a call that is under way, then stores what was counted since.
    ///
    /// # Errors
    /// [`Error::Storage`]; then what could not be stored is kept, and the next call stores it.
    pub async fn flush(&self) -> Result<(), Error> {
        let _alone = self.storing.lock().await;
        let pending = std::mem::take(&mut *self.pending());
        // Sorted, so that processes that store at the same time lock the rows in the same order.
        let mut unstored = Unstored { usage: self, rows: sorted(pending.into_rows(self.kernel.clock.now())) };
        while !unstored.rows.is_empty() {
            let mut batch = Unstored { usage: self, rows: next_batch(&mut unstored.rows, BATCH) };
            let mut tx = self.kernel.storage.begin().await?;
            let first = tx.add_usage(&batch.rows).await?;
            self.report_first_uses(&mut tx, &batch.rows, &first).await?;
            // Taken before the commit: if this future is dropped meanwhile, the commit may happen all the same, and rows that
            // were put back would be counted twice.
            let rows = std::mem::take(&mut batch.rows);
            if let Err(error) = self.ledger.commit(tx).await {
                batch.put_back(rows);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Stores what was counted before the counts are shown. If this fails, the stored counts are shown without it.
    pub(super) async fn flush_to_look(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!(failure = error.kind(), %error, "the newest usage counts could not be stored, so they are not shown");
        }
    }
}

/// Sorts rows in descending order, so that [`next_batch`] takes from the end. The uses of secrets arrive in ascending order.
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

/// Takes the next rows to be stored in one transaction. It takes either all sources and networks of a client or none, because
/// the first use of a secret from a new network is reported only once.
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
        // `sorted` does not reverse them, so they are taken from the front.
        failures: rows.failures.drain(..failures).collect(),
    }
}

#[cfg(test)]
#[path = "flush_tests.rs"]
mod tests;
