//! Deletes deliveries that were sent or given up long ago, and none that waits.

use crate::storage::engine::{on_write, statements};
use crate::storage::{Storage, StorageError};

statements! {
    PURGE_SENT = "DELETE FROM deliveries WHERE delivery_id IN
        (SELECT delivery_id FROM deliveries WHERE sent_at IS NOT NULL AND sent_at <= $1 ORDER BY sent_at LIMIT $2)";
    PURGE_DEAD = "DELETE FROM deliveries WHERE delivery_id IN
        (SELECT delivery_id FROM deliveries WHERE dead_at IS NOT NULL AND dead_at <= $1 ORDER BY dead_at LIMIT $2)";
}

impl Storage {
    /// Deletes up to `limit` deliveries that were sent by `sent_before`, and as many that were given up by `dead_before`.
    /// Returns the larger of the two numbers. If it is `limit`, there may be more.
    pub async fn purge_deliveries(
        &self,
        sent_before: i64,
        dead_before: i64,
        limit: u32,
    ) -> Result<u64, StorageError> {
        let sent = on_write!(self, pool => sqlx::query(PURGE_SENT)
            .bind(sent_before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))?;
        let dead = on_write!(self, pool => sqlx::query(PURGE_DEAD)
            .bind(dead_before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(sent.max(dead))
    }
}
