//! Deletes what the ledger no longer needs.

use super::Ledger;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::ids;

/// How many entries of the change log are kept. A replica that is further behind drops everything it holds in memory.
const KEPT_CHANGES: i64 = 10_000;

/// How long a delivery is kept after it was sent, in seconds: a week.
const SENT_KEPT: i64 = 7 * DAY;

/// How long a delivery is kept after it was given up, in seconds: thirty days.
const GIVEN_UP_KEPT: i64 = 30 * DAY;

/// How long all checkpoints of the audit trail are kept, in seconds: a week. Of each earlier day, the last one is kept.
const CHECKPOINTS_KEPT: i64 = 7 * DAY;

const DAY: i64 = 86_400;

/// How many rows are deleted at once.
const BATCH: u32 = 500;

impl Ledger {
    /// Erases secrets that the console has shown for long enough. Deletes the oldest entries of the change log, old checkpoints
    /// of the audit trail except the last one of each day, and, in small batches, expired saved replies, deliveries that were
    /// sent or given up long ago, and the entries of audit events older than `audit.keep_days`.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was deleted before the error stays deleted.
    pub(crate) async fn clean_up(&self, now: UnixSeconds) -> Result<(), Error> {
        let storage = &self.kernel.storage;
        self.erase_shown(now).await?;
        while storage.purge_saved_replies(now, BATCH).await? >= u64::from(BATCH) {}
        storage.purge_changes(KEPT_CHANGES).await?;
        let (sent_before, given_up_before) = (now - SENT_KEPT, now - GIVEN_UP_KEPT);
        while storage.purge_deliveries(sent_before, given_up_before, BATCH).await? >= u64::from(BATCH) {}
        storage.thin_checkpoints(now - CHECKPOINTS_KEPT).await?;
        if let Some(days) = self.kernel.policy.audit_keep_days {
            // The ids of events sort by time, so the oldest come first.
            let before = ids::ordered_id_floor((now - days * DAY).saturating_mul(1_000));
            // Nothing is pruned while events wait for a number: an event without an entry gets one from its columns, which
            // pruning empties.
            if storage.count_waiting_events(1).await? == 0 {
                while storage.prune_audit_events(&before, BATCH).await? >= u64::from(BATCH) {}
            }
        }
        Ok(())
    }
}
