//! Deletes the rows of tokens that ended long ago and the status lists that no token refers to any more.

use super::Tokens;
use super::slots::LEASE_SECONDS;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;

/// How long the row of a token is kept after the token has ended, in seconds: thirty days.
const ENDED_TOKENS_KEPT: i64 = 30 * 86_400;

/// How long a stateless token stays denied after its end, in seconds: by the clock of another replica the token may still be
/// live. The two clocks differ by at most half of this.
const DENIED_OUTLIVE: i64 = 120;

/// How long a status list is kept after the last token in it has ended, in seconds: a day, which is longer than a lease
/// of its slots.
const LISTS_OUTLIVE: i64 = 86_400;
const _: () = assert!(LISTS_OUTLIVE > LEASE_SECONDS);

/// How many rows are deleted at once.
const BATCH: u32 = 500;

impl Tokens {
    /// Deletes the rows that deny stateless tokens two minutes after these ended, the rows of recorded tokens thirty days after
    /// these ended, and status lists whose last token ended a day ago.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was deleted before the error stays deleted.
    pub(crate) async fn clean_up(&self, now: UnixSeconds) -> Result<(), Error> {
        let storage = &self.kernel.storage;
        while storage.purge_denied_tokens(now - DENIED_OUTLIVE, BATCH).await? >= u64::from(BATCH) {}
        while storage.purge_recorded_tokens(now - ENDED_TOKENS_KEPT, BATCH).await? >= u64::from(BATCH) {}
        let mut tx = storage.begin().await?;
        let ended = tx.remove_ended_status_lists(now - LISTS_OUTLIVE, BATCH).await?;
        if !ended.is_empty() {
            tracing::info!(lists = ?ended, "status lists deleted");
        }
        self.ledger.commit(tx).await
    }
}
