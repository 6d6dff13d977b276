//! Deliveries of one webhook: sends them again, counts them, and deletes them with the webhook.

use crate::storage::engine::{on_read, on_tx, on_write, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

statements! {
    // A delivery that is being sent now is left alone.
    AGAIN = "UPDATE deliveries SET sent_at = NULL, dead_at = NULL, attempts = 0, next_attempt_at = $3, lease_owner = NULL,
            lease_until = 0
        WHERE delivery_id = $1 AND channel = 'webhook' AND recipient = $2 AND lease_until <= $3";
    COUNT = "SELECT COUNT(*) FROM deliveries WHERE channel = 'webhook' AND recipient = $1";
    DELETE_SOME = "DELETE FROM deliveries WHERE delivery_id IN
        (SELECT delivery_id FROM deliveries WHERE channel = 'webhook' AND recipient = $1 ORDER BY delivery_id LIMIT $2)";
}

impl Tx {
    /// Lets a delivery of a webhook be sent now, from the first attempt, even if it was sent before. Returns `false` while it
    /// is being sent, or if the webhook has no such delivery.
    pub async fn send_to_webhook_again(
        &mut self,
        webhook_id: &str,
        delivery_id: &str,
        now: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(AGAIN)
            .bind(delivery_id).bind(webhook_id).bind(now).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        self.has_queued |= touched(rows);
        Ok(touched(rows))
    }
}

impl Storage {
    /// How many deliveries of a webhook there are.
    pub async fn count_deliveries_of_webhook(&self, webhook_id: &str) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(COUNT).bind(webhook_id).fetch_one(pool).await)?)
    }

    /// Deletes up to `limit` deliveries of a webhook. Returns how many.
    pub async fn delete_deliveries_of_webhook(
        &self,
        webhook_id: &str,
        limit: u32,
    ) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(DELETE_SOME)
            .bind(webhook_id).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }
}
