//! What one step of a sign-in, or of setting up a way to sign in, leaves for the next step: rows of `operator_states`. Taking a
//! state deletes it, so that it is used at most once.

use crate::storage::engine::{on_read, on_write, statements};
use crate::storage::{Storage, StorageError};

statements! {
    INSERT = "INSERT INTO operator_states (state_hash, purpose, sealed, expires_at) VALUES ($1, $2, $3, $4)";
    FIND = "SELECT sealed FROM operator_states WHERE state_hash = $1 AND purpose = $2 AND expires_at > $3";
    TAKE = "DELETE FROM operator_states WHERE state_hash = $1 AND purpose = $2 AND expires_at > $3 RETURNING sealed";
    PURGE = "DELETE FROM operator_states WHERE state_hash IN
        (SELECT state_hash FROM operator_states WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
}

impl Storage {
    /// Keeps a state until `expires_at`.
    pub async fn put_state(
        &self,
        state_hash: &[u8],
        purpose: &str,
        sealed: &[u8],
        expires_at: i64,
    ) -> Result<(), StorageError> {
        on_write!(self, pool => sqlx::query(INSERT)
            .bind(state_hash).bind(purpose).bind(sealed).bind(expires_at).execute(pool).await.map(|_| ()))
    }

    /// The state of that purpose, if it has not expired at `now`. It stays.
    pub async fn state(
        &self,
        state_hash: &[u8],
        purpose: &str,
        now: i64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(FIND)
            .bind(state_hash).bind(purpose).bind(now).fetch_optional(pool).await)?)
    }

    /// Takes a state of that purpose, if it has not expired at `now`. If several requests take it at once, one of them gets
    /// it.
    pub async fn take_state(
        &self,
        state_hash: &[u8],
        purpose: &str,
        now: i64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        on_write!(self, pool => sqlx::query_scalar(TAKE)
            .bind(state_hash).bind(purpose).bind(now).fetch_optional(pool).await)
    }

    /// Deletes up to `limit` states that have expired at `now`. Returns how many.
    pub async fn purge_states(&self, now: i64, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE)
            .bind(now).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }
}
