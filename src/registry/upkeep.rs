//! What the operator and the background jobs ask of the registry: is the database there, what is held in memory, what
//! may be forgotten.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Error, Registry};

/// How many changes the log keeps. A replica further behind than this drops everything it holds in memory.
const KEPT_CHANGES: i64 = 10_000;

impl Registry {
    /// Whether the database answers and has the schema of this program.
    pub async fn schema_is_current(&self) -> Result<bool, Error> {
        Ok(self.storage.schema_is_current().await?)
    }

    /// How many clients are held in memory.
    pub fn cached_clients(&self) -> usize {
        self.cache.len()
    }

    /// Forgets what is dead: replies kept for `Idempotency-Key` beyond their day, and the old end of the change log.
    pub async fn purge(&self) -> Result<(), Error> {
        self.storage.purge_kept_replies(self.clock.now()).await?;
        self.storage.purge_changes(KEPT_CHANGES).await?;
        Ok(())
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
