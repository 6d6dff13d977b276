//! How many client secrets will expire soon, for the metrics.

use crate::storage::engine::{on_read, statements};
use crate::storage::{Storage, StorageError};

statements! {
    EXPIRING = "SELECT COUNT(CASE WHEN expires_at <= $2 THEN 1 END), COUNT(*) FROM client_secrets
        WHERE expires_at > $1 AND expires_at <= $3";
}

impl Storage {
    /// How many secrets expire after `now` and by `soon`, and how many by `later`.
    pub async fn secrets_expiring(
        &self,
        now: i64,
        soon: i64,
        later: i64,
    ) -> Result<(i64, i64), StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(EXPIRING)
            .bind(now).bind(soon).bind(later).fetch_one(pool).await)?)
    }
}
