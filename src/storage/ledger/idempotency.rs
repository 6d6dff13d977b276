//! Replies saved for `Idempotency-Key`: rows of `idempotency_keys`, written with the change they answered. The console
//! shows each of its replies until it is confirmed or its time is over, and then erases it. The rows stay until they expire, so
//! that a repeated request does nothing twice. All these rows are kept equally long, so their age follows from their expiry.
//! Drafts of the console are rows of the same table, and are kept for a shorter time.

use crate::storage::engine::{on_read, on_tx, on_write, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

statements! {
    FIND = "SELECT caller, method, path, idempotency_key, body_hash, sealed_reply, expires_at, subject, erased_at,
            holds
        FROM idempotency_keys
        WHERE caller = $1 AND method = $2 AND path = $3 AND idempotency_key = $4 AND expires_at > $5";
    CLEAR = "DELETE FROM idempotency_keys
        WHERE caller = $1 AND method = $2 AND path = $3 AND idempotency_key = $4 AND expires_at <= $5";
    INSERT = "INSERT INTO idempotency_keys (caller, method, path, idempotency_key, body_hash, sealed_reply, expires_at,
            subject, holds)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    REPLACE = "INSERT INTO idempotency_keys (caller, method, path, idempotency_key, body_hash, sealed_reply, expires_at,
            subject)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (caller, method, path, idempotency_key) DO UPDATE
            SET body_hash = excluded.body_hash, sealed_reply = excluded.sealed_reply, expires_at = excluded.expires_at";
    ERASE = "UPDATE idempotency_keys SET sealed_reply = $5, erased_at = $6
        WHERE caller = $1 AND method = $2 AND path = $3 AND idempotency_key = $4 AND erased_at IS NULL";
    ERASE_SHOWN = "UPDATE idempotency_keys SET sealed_reply = $3, erased_at = $2
        WHERE method = 'CONSOLE' AND erased_at IS NULL AND expires_at <= $1";
    UNCONFIRMED = "SELECT caller, method, path, idempotency_key, body_hash, sealed_reply, expires_at, subject, erased_at,
            holds
        FROM idempotency_keys
        WHERE caller = $1 AND method = 'CONSOLE' AND subject = $2 AND erased_at IS NULL AND expires_at > $3
        ORDER BY expires_at DESC, idempotency_key LIMIT 5";
    PURGE = "DELETE FROM idempotency_keys WHERE (caller, method, path, idempotency_key) IN
        (SELECT caller, method, path, idempotency_key FROM idempotency_keys
            WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
}

row! {
    /// A saved reply. Caller, method, path and key together identify it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct StoredReply {
        /// The name of the caller: the `client_id` of an API client, or else the name in the audit trail.
        pub caller: String,
        /// The HTTP method; for the console a word that is no method, such as `CONSOLE`.
        pub method: String,
        /// The path; for the console the name of the use case.
        pub path: String,
        /// The value of `Idempotency-Key`.
        pub idempotency_key: String,
        /// A hash of the request's body.
        pub body_hash: Vec<u8>,
        /// The reply, sealed, since it may hold a secret.
        pub sealed_reply: Vec<u8>,
        /// When it expires.
        pub expires_at: i64,
        /// The record that it is about, if the console shows it.
        pub subject: Option<String>,
        /// When the reply was erased, if it was.
        pub erased_at: Option<i64>,
        /// Which secret it holds, as JSON; `None` if it holds none.
        pub holds: Option<String>,
    }
}

impl Storage {
    /// The saved reply to an earlier request with this identity, if it has not expired at `now`.
    pub async fn saved_reply(
        &self,
        caller: &str,
        method: &str,
        path: &str,
        idempotency_key: &str,
        now: i64,
    ) -> Result<Option<StoredReply>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(FIND)
            .bind(caller).bind(method).bind(path).bind(idempotency_key).bind(now)
            .fetch_optional(pool).await)?)
    }

    /// Saves a draft. It replaces a row with the same caller, method, path and key.
    pub async fn replace_reply(&self, reply: &StoredReply) -> Result<(), StorageError> {
        on_write!(self, pool => sqlx::query(REPLACE)
            .bind(&reply.caller).bind(&reply.method).bind(&reply.path).bind(&reply.idempotency_key)
            .bind(&reply.body_hash).bind(&reply.sealed_reply).bind(reply.expires_at).bind(&reply.subject)
            .execute(pool).await.map(|_| ()))
    }

    /// Erases a reply; its row stays. `false` if it does not exist or was erased before.
    pub async fn erase_reply(
        &self,
        caller: &str,
        method: &str,
        path: &str,
        idempotency_key: &str,
        now: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(ERASE)
            .bind(caller).bind(method).bind(path).bind(idempotency_key).bind(Vec::<u8>::new()).bind(now)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Up to five replies about a record that the console still shows to `caller`, the newest first: those that expire
    /// after `expiring_after`.
    pub async fn shown_replies(
        &self,
        caller: &str,
        subject: &str,
        expiring_after: i64,
    ) -> Result<Vec<StoredReply>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(UNCONFIRMED)
            .bind(caller).bind(subject).bind(expiring_after).fetch_all(pool).await)?)
    }

    /// Erases every reply of the console that expires at `expiring_by` or before. Returns how many.
    pub async fn erase_shown_replies(&self, expiring_by: i64, now: i64) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(ERASE_SHOWN)
            .bind(expiring_by).bind(now).bind(Vec::<u8>::new())
            .execute(pool).await.map(|done| done.rows_affected()))
    }

    /// Deletes up to `limit` replies that have expired at `now`. Returns how many.
    pub async fn purge_saved_replies(&self, now: i64, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE)
            .bind(now).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }
}

impl Tx {
    /// Saves a reply. `false` if another request with this identity was first; then the caller must roll back.
    pub async fn save_reply(&mut self, reply: &StoredReply, now: i64) -> Result<bool, StorageError> {
        on_tx!(self.db, conn => sqlx::query(CLEAR)
            .bind(&reply.caller).bind(&reply.method).bind(&reply.path).bind(&reply.idempotency_key).bind(now)
            .execute(&mut *conn).await.map(|_| ()))?;
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&reply.caller).bind(&reply.method).bind(&reply.path).bind(&reply.idempotency_key)
            .bind(&reply.body_hash).bind(&reply.sealed_reply).bind(reply.expires_at).bind(&reply.subject)
            .bind(&reply.holds)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}
