//! Recorded tokens that are revoked or replaced, and stateless ones that are revoked one by one (rows of
//! `denied_tokens`).

use crate::model::status::Slot;
use crate::storage::engine::{on_read, on_tx, on_write, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

/// A recorded token that was just revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its id.
    pub jti: String,
    /// The client it was issued to.
    pub client_id: String,
    /// Its slot.
    pub slot: Option<Slot>,
    /// Whether it had been alive until then.
    pub was_live: bool,
}

statements! {
    REVOKE = "UPDATE access_tokens SET revoked_at = $2 WHERE jti = $1 AND revoked_at IS NULL
        RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at";
    REVOKE_OF_CLIENT = "UPDATE access_tokens SET revoked_at = $2 WHERE client_id = $1 AND revoked_at IS NULL
        RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at";
    REVOKE_OF_KEY = "UPDATE access_tokens SET revoked_at = $2 WHERE kid = $1 AND revoked_at IS NULL
        RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at";
    REPLACE_AT_ONCE = "UPDATE access_tokens SET revoked_at = $3
        WHERE client_id = $1 AND jti <> $2 AND revoked_at IS NULL
        RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at";
    // A token that is to end sooner already keeps its end.
    REPLACE_LATER = "UPDATE access_tokens SET revoke_at = $3
        WHERE client_id = $1 AND jti <> $2 AND revoked_at IS NULL AND (revoke_at IS NULL OR revoke_at > $3)";
    DUE_CLIENTS = "SELECT DISTINCT client_id FROM access_tokens
        WHERE revoke_at IS NOT NULL AND revoked_at IS NULL AND revoke_at <= $1 ORDER BY client_id LIMIT $2";
    REVOKE_DUE = "UPDATE access_tokens SET revoked_at = revoke_at
        WHERE client_id = $1 AND revoke_at IS NOT NULL AND revoked_at IS NULL AND revoke_at <= $2
        RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at";
    DENY = "INSERT INTO denied_tokens (jti, client_id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    IS_DENIED = "SELECT 1 FROM denied_tokens WHERE jti = $1";
    PURGE_DENIED = "DELETE FROM denied_tokens WHERE jti IN
        (SELECT jti FROM denied_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    PURGE_EXPIRED = "DELETE FROM access_tokens WHERE jti IN
        (SELECT jti FROM access_tokens WHERE expires_at IS NOT NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    PURGE_REVOKED = "DELETE FROM access_tokens WHERE jti IN
        (SELECT jti FROM access_tokens WHERE revoked_at IS NOT NULL AND revoked_at <= $1 ORDER BY revoked_at LIMIT $2)";
}

type RevokedRow = (String, String, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

fn revoked(rows: Vec<RevokedRow>, now: i64) -> Vec<Revoked> {
    let revoked = rows.into_iter().map(|(jti, client_id, list, idx, expires_at, revoke_at)| Revoked {
        jti,
        client_id,
        slot: Slot::from_columns(list, idx),
        was_live: expires_at.is_none_or(|at| at > now) && revoke_at.is_none_or(|at| at > now),
    });
    revoked.collect()
}

impl Storage {
    pub(super) async fn is_denied(&self, jti: &str) -> Result<bool, StorageError> {
        let found: Option<i32> =
            on_read!(self, pool => sqlx::query_scalar(IS_DENIED).bind(jti).fetch_optional(pool).await)?;
        Ok(found.is_some())
    }

    /// Up to `limit` clients that have replaced tokens whose grace is over at `now`.
    pub async fn clients_with_due_tokens(&self, now: i64, limit: u32) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(DUE_CLIENTS)
            .bind(now).bind(i64::from(limit)).fetch_all(pool).await)?)
    }

    /// Forgets up to `limit` stateless tokens that were denied and have ended by `now`. Returns how many.
    pub async fn purge_denied_tokens(&self, now: i64, limit: u32) -> Result<u64, StorageError> {
        Ok(on_write!(self, pool => sqlx::query(PURGE_DENIED)
            .bind(now).bind(i64::from(limit)).execute(pool).await?.rows_affected()))
    }

    /// Forgets up to `limit` recorded tokens that ended, and as many that were revoked, before `before`. Returns how
    /// many. What their slots say stays.
    pub async fn purge_recorded_tokens(&self, before: i64, limit: u32) -> Result<u64, StorageError> {
        let expired = on_write!(self, pool => sqlx::query(PURGE_EXPIRED)
            .bind(before).bind(i64::from(limit)).execute(pool).await?.rows_affected());
        let revoked = on_write!(self, pool => sqlx::query(PURGE_REVOKED)
            .bind(before).bind(i64::from(limit)).execute(pool).await?.rows_affected());
        Ok(expired + revoked)
    }
}

impl Tx {
    /// Revokes a recorded token. `None` if it is unknown or revoked already.
    pub async fn revoke_token(&mut self, jti: &str, now: i64) -> Result<Option<Revoked>, StorageError> {
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(REVOKE)
            .bind(jti).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now).pop())
    }

    /// Revokes every recorded token of a client that was not.
    pub async fn revoke_tokens_of_client(
        &mut self,
        client_id: &str,
        now: i64,
    ) -> Result<Vec<Revoked>, StorageError> {
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(REVOKE_OF_CLIENT)
            .bind(client_id).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Revokes every recorded token signed by a key that was not.
    pub async fn revoke_tokens_of_key(&mut self, kid: &str, now: i64) -> Result<Vec<Revoked>, StorageError> {
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(REVOKE_OF_KEY)
            .bind(kid).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Revokes every recorded token of a client but `jti`, at once (`at` = `now`) or from `at` on. Returns those that
    /// are revoked now.
    pub async fn replace_tokens(
        &mut self,
        client_id: &str,
        jti: &str,
        at: i64,
        now: i64,
    ) -> Result<Vec<Revoked>, StorageError> {
        if at > now {
            on_tx!(self.db, conn => sqlx::query(REPLACE_LATER)
                .bind(client_id).bind(jti).bind(at).execute(&mut *conn).await.map(|_| ()))?;
            return Ok(Vec::new());
        }
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(REPLACE_AT_ONCE)
            .bind(client_id).bind(jti).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Puts on record that the replaced tokens of a client whose grace is over at `now` are revoked.
    pub async fn revoke_due_tokens(
        &mut self,
        client_id: &str,
        now: i64,
    ) -> Result<Vec<Revoked>, StorageError> {
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(REVOKE_DUE)
            .bind(client_id).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Denies a stateless token until it ends at `expires_at`. `false` if it was denied already.
    pub async fn deny_token(
        &mut self,
        jti: &str,
        client_id: &str,
        expires_at: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DENY)
            .bind(jti).bind(client_id).bind(expires_at).execute(&mut *conn).await?.rows_affected());
        Ok(touched(rows))
    }
}
