//! Setup links: rows of `operator_setup_links`, by the SHA-256 of the secret in the link. An operator has one at most.

use crate::storage::engine::{on_read, on_tx, on_write, statements};
use crate::storage::{Storage, StorageError, Tx};

statements! {
    FIND = "SELECT operator_id FROM operator_setup_links WHERE link_hash = $1 AND expires_at > $2";
    // A new one replaces the one before.
    UPSERT = "INSERT INTO operator_setup_links (link_hash, operator_id, expires_at, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (operator_id) DO UPDATE SET link_hash = excluded.link_hash, expires_at = excluded.expires_at,
            created_at = excluded.created_at";
    USE = "DELETE FROM operator_setup_links WHERE link_hash = $1 AND expires_at > $2 RETURNING operator_id";
    REVOKE = "DELETE FROM operator_setup_links WHERE operator_id = $1";
    PURGE = "DELETE FROM operator_setup_links WHERE link_hash IN
        (SELECT link_hash FROM operator_setup_links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
}

impl Storage {
    /// The operator whose setup link has this hash, if the link has not expired at `now`.
    pub async fn setup_link(&self, link_hash: &[u8], now: i64) -> Result<Option<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(FIND)
            .bind(link_hash).bind(now).fetch_optional(pool).await)?)
    }

    /// Deletes up to `limit` links that have expired at `now`. Returns how many.
    pub async fn purge_setup_links(&self, now: i64, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE)
            .bind(now).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }
}

impl Tx {
    /// Stores the setup link of an operator in place of the one before.
    pub async fn put_setup_link(
        &mut self,
        operator_id: &str,
        link_hash: &[u8],
        expires_at: i64,
        now: i64,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(UPSERT)
            .bind(link_hash).bind(operator_id).bind(expires_at).bind(now)
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Uses a setup link: deletes it, and returns the operator it was for. `None` if the link is unknown or had expired
    /// at `now`.
    pub async fn use_setup_link(
        &mut self,
        link_hash: &[u8],
        now: i64,
    ) -> Result<Option<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(USE)
            .bind(link_hash).bind(now).fetch_optional(&mut *conn).await)?)
    }

    /// Removes the setup link of an operator, if there is one.
    pub async fn revoke_setup_link(&mut self, operator_id: &str) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(REVOKE).bind(operator_id).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
