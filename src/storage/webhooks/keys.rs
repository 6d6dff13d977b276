//! The keys that sign the requests to webhooks: rows of `webhook_keys`, sealed before they get here. A row has two keys, which
//! sign together: an HMAC secret and the seed of an Ed25519 key. Below they are called a pair.

use crate::model::webhook::Webhook;
use crate::storage::engine::{on_read, on_tx, on_write, row, statements};
use crate::storage::{Storage, StorageError, Tx};

/// With how many pairs of keys a request is signed at most, since all signatures are in one header line.
const SIGNING_MAX: i64 = 4;

statements! {
    SIGNING = "SELECT key_id, sealed FROM webhook_keys
        WHERE webhook_id = $1 AND (signs_until IS NULL OR signs_until > $2)
        ORDER BY key_id DESC LIMIT $3";
    REPLACE = "UPDATE webhook_keys SET signs_until = $2 WHERE webhook_id = $1 AND signs_until IS NULL";
    INSERT = "INSERT INTO webhook_keys (key_id, webhook_id, sealed, signs_until) VALUES ($1, $2, $3, NULL)";
    PURGE = "DELETE FROM webhook_keys WHERE key_id IN
        (SELECT key_id FROM webhook_keys WHERE signs_until <= $1 LIMIT $2)";
}

row! {
    /// A pair of keys of a webhook.
    pub struct WebhookKeys {
        /// The id of the pair, a UUIDv7. `sealed` can be opened only with this id.
        pub key_id: String,
        /// The keys, sealed.
        pub sealed: Vec<u8>,
    }
}

impl Storage {
    /// The pairs of keys that sign for a webhook at `now`, at most `SIGNING_MAX` of them, the newest first.
    pub async fn webhook_keys(&self, webhook_id: &str, now: i64) -> Result<Vec<WebhookKeys>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(SIGNING)
            .bind(webhook_id).bind(now).bind(SIGNING_MAX).fetch_all(pool).await)?)
    }

    /// Deletes up to `limit` pairs of keys that no longer sign. Returns how many.
    pub async fn purge_webhook_keys(&self, now: i64, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE)
            .bind(now).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }
}

impl Tx {
    /// Adds the keys that sign for a webhook from now on; the keys before them sign until `old_until`.
    pub async fn replace_webhook_keys(
        &mut self,
        webhook: &Webhook,
        key_id: &str,
        sealed: &[u8],
        old_until: i64,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(REPLACE)
            .bind(&webhook.webhook_id).bind(old_until).execute(&mut *conn).await.map(|_| ()))?;
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(key_id).bind(&webhook.webhook_id).bind(sealed).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
