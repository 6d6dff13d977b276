//! What the operator and the background jobs ask of the registry: is the database there, what is held in memory, what
//! may be forgotten.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Error, Registry};

/// How many changes the log keeps. A replica further behind than this drops everything it holds in memory.
const KEPT_CHANGES: i64 = 10_000;

/// For how long the row of a dead token stays to be looked at, in seconds: thirty days.
const DEAD_TOKENS_KEPT: i64 = 30 * 86_400;

/// For how long a status list stays after the last token in it has ended, in seconds: a day. More than a lease of its
/// slots lasts.
const LISTS_OUTLIVE: i64 = 86_400;
const _: () = assert!(LISTS_OUTLIVE > super::slots::LEASE_SECONDS);

/// How many rows are forgotten at once.
const BATCH: u32 = 500;

impl Registry {
    /// Whether the database answers and has the schema of this program.
    pub async fn schema_is_current(&self) -> Result<bool, Error> {
        Ok(self.storage.schema_is_current().await?)
    }

    /// How many clients are held in memory.
    pub fn cached_clients(&self) -> usize {
        self.cache.len()
    }

    /// Forgets what is dead: replies kept for `Idempotency-Key` beyond their day, the old end of the change log, denied
    /// tokens that have ended, the rows of tokens that died thirty days ago, and status lists in which none
    /// has been alive for a day. In small batches, so that nobody waits long behind them.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was forgotten before it stays forgotten.
    pub async fn purge(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.storage.purge_kept_replies(now).await?;
        self.storage.purge_changes(KEPT_CHANGES).await?;
        while self.storage.purge_denied_tokens(now, BATCH).await? >= u64::from(BATCH) {}
        let before = now - DEAD_TOKENS_KEPT;
        while self.storage.purge_recorded_tokens(before, BATCH).await? >= u64::from(BATCH) {}
        let mut tx = self.storage.begin().await?;
        let ended = tx.remove_ended_status_lists(now - LISTS_OUTLIVE, BATCH).await?;
        if !ended.is_empty() {
            tracing::info!(lists = ?ended, "status lists ended");
        }
        self.commit(tx).await
    }

    /// A strong entity tag (RFC 9110 §8.8.3), quotes included, the same on every replica for the same bytes.
    pub fn etag_of(&self, body: &[u8]) -> String {
        let mac = self.subkeys.request_mac(&[b"etag", body]);
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(mac))
    }

    /// Closes the database; the last thing a process does with it.
    pub async fn close(&self) {
        self.storage.close().await;
    }
}
