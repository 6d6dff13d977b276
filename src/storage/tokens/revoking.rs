//! Recorded tokens that are revoked or replaced, and stateless ones that are revoked one by one (rows of
//! `denied_tokens`). Because the clocks of services differ, most of these statements also revoke a token that ended less than
//! [`CLOCKS_DIFFER`] seconds ago. Such a token does not count as live.

use super::live::{CLOCKS_DIFFER, of_live};
use crate::model::status::Slot;
use crate::storage::engine::{EngineSql, json_array, on_read, on_tx, on_write, statements};
use crate::storage::signing::of_key;
use crate::storage::{Storage, StorageError, Tx, touched};

/// A recorded token that this transaction revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its id.
    pub jti: String,
    /// The client it was issued to.
    pub client_id: String,
    /// Its slot; `None` if it has none.
    pub slot: Option<Slot>,
    /// Whether it was live until then.
    pub was_live: bool,
}

macro_rules! revoked_columns {
    () => {
        "RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at"
    };
}

pub(super) const REVOKE_OF_CLIENT: EngineSql = of_live!("UPDATE", "SET revoked_at = $3", revoked_columns!());
pub(super) const REPLACE_AT_ONCE: EngineSql =
    of_live!("UPDATE", "SET revoked_at = $4", concat!("AND jti <> $3 ", revoked_columns!()));
// A token that ends sooner anyway keeps its end.
pub(super) const REPLACE_LATER: EngineSql =
    of_live!("UPDATE", "SET revoke_at = $4", "AND jti <> $3 AND (revoke_at IS NULL OR revoke_at > $4)");
// At most `$4` tokens, because one transaction ends only a bounded number.
pub(super) const REVOKE_DUE: EngineSql = EngineSql {
    sqlite: concat!(
        "UPDATE access_tokens SET revoked_at = revoke_at WHERE jti IN
            (SELECT jti FROM access_tokens INDEXED BY access_tokens_live
            WHERE client_id = $1 AND revoked_at IS NULL AND COALESCE(expires_at, 9223372036854775807) > $2
                AND revoke_at IS NOT NULL AND revoke_at <= $3 LIMIT $4) ",
        revoked_columns!()
    ),
    postgres: concat!(
        "UPDATE access_tokens SET revoked_at = revoke_at WHERE jti = ANY (ARRAY
            (SELECT jti FROM access_tokens
            WHERE client_id = $1 AND revoked_at IS NULL AND COALESCE(expires_at, 9223372036854775807) > $2
                AND revoke_at IS NOT NULL AND revoke_at <= $3
            ORDER BY COALESCE(expires_at, 9223372036854775807) LIMIT $4)) ",
        revoked_columns!()
    ),
};
// `scope` is a list of words. Each engine has its own function to expand the array of scopes.
pub(super) const REVOKE_WITH_SCOPES: EngineSql = of_live!(
    "UPDATE",
    "SET revoked_at = $3",
    sqlite: concat!(
        "AND EXISTS (SELECT 1 FROM json_each($4) wanted
            WHERE INSTR(' ' || scope || ' ', ' ' || wanted.value || ' ') > 0) ",
        revoked_columns!()
    ),
    postgres: concat!(
        "AND EXISTS (SELECT 1 FROM jsonb_array_elements_text(CAST($4 AS JSONB)) wanted
            WHERE STRPOS(' ' || scope || ' ', ' ' || wanted.value || ' ') > 0) ",
        revoked_columns!()
    )
);
const REVOKE_THESE: EngineSql = EngineSql {
    sqlite: concat!(
        "UPDATE access_tokens SET revoked_at = $2
            WHERE jti IN (SELECT value FROM json_each($1)) AND revoked_at IS NULL ",
        revoked_columns!()
    ),
    postgres: concat!(
        "UPDATE access_tokens SET revoked_at = $2
            WHERE jti = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST($1 AS JSONB)))) AND revoked_at IS NULL ",
        revoked_columns!()
    ),
};
// `$1` is an array of arrays: a client, and how many of the newest live tokens that it requested are kept.
pub(super) const REVOKE_BEYOND: EngineSql = EngineSql {
    sqlite: concat!(
        "UPDATE access_tokens SET revoked_at = $2 WHERE jti IN
            (SELECT jti FROM
                (SELECT t.jti AS jti, CAST(w.value ->> 1 AS BIGINT) AS kept,
                    ROW_NUMBER() OVER (PARTITION BY t.client_id ORDER BY t.rowid DESC) AS place
                FROM jsonb_each($1) w CROSS JOIN access_tokens t INDEXED BY access_tokens_live
                WHERE t.client_id = w.value ->> 0 AND t.revoked_at IS NULL
                    AND COALESCE(t.expires_at, 9223372036854775807) > $2 AND t.issued_by = 'client')
            WHERE place > kept) ",
        revoked_columns!()
    ),
    // Each client by itself, and the ids as an array, so that the plan does not depend on how many rows PostgreSQL expects.
    postgres: concat!(
        "UPDATE access_tokens SET revoked_at = $2 WHERE jti = ANY (ARRAY
            (SELECT old.jti FROM jsonb_array_elements(CAST($1 AS JSONB)) w CROSS JOIN LATERAL
                (SELECT t.jti FROM access_tokens t
                WHERE t.client_id = w.value ->> 0 AND t.revoked_at IS NULL
                    AND COALESCE(t.expires_at, 9223372036854775807) > $2 AND t.issued_by = 'client'
                ORDER BY t.place DESC NULLS LAST, t.issued_at DESC, t.jti DESC
                OFFSET CAST(w.value ->> 1 AS BIGINT)) old)) ",
        revoked_columns!()
    ),
};

// How many live tokens `REVOKE_WITH_SCOPES` would revoke.
pub(super) const COUNT_WITH_SCOPES: EngineSql = of_live!(
    "SELECT COUNT(*) FROM",
    "",
    sqlite: "AND (revoke_at IS NULL OR revoke_at > $2) AND EXISTS (SELECT 1 FROM json_each($3) wanted
        WHERE INSTR(' ' || scope || ' ', ' ' || wanted.value || ' ') > 0)",
    postgres: "AND (revoke_at IS NULL OR revoke_at > $2)
        AND EXISTS (SELECT 1 FROM jsonb_array_elements_text(CAST($3 AS JSONB)) wanted
        WHERE STRPOS(' ' || scope || ' ', ' ' || wanted.value || ' ') > 0)"
);

statements! {
    REVOKE = "UPDATE access_tokens SET revoked_at = $2 WHERE jti = $1 AND revoked_at IS NULL
        RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at";
    REVOKE_OF_KEY = concat!("UPDATE access_tokens SET revoked_at = $2 WHERE ", of_key!(), "
        RETURNING jti, client_id, status_list, status_idx, expires_at, revoke_at");
    DUE_CLIENTS = "SELECT DISTINCT client_id FROM access_tokens
        WHERE revoke_at IS NOT NULL AND revoked_at IS NULL AND revoke_at <= $1
            AND (expires_at IS NULL OR expires_at > $2) ORDER BY client_id LIMIT $3";
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

    /// Up to `limit` clients with replaced tokens whose grace period is over at `now`. Tokens that expired `CLOCKS_DIFFER`
    /// seconds ago or earlier do not count, as in [`Tx::revoke_due_tokens`].
    pub async fn clients_with_due_tokens(&self, now: i64, limit: u32) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(DUE_CLIENTS)
            .bind(now).bind(now - CLOCKS_DIFFER).bind(i64::from(limit)).fetch_all(pool).await)?)
    }

    /// Deletes up to `limit` denied stateless tokens that have ended by `now`. Returns how many.
    pub async fn purge_denied_tokens(&self, now: i64, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE_DENIED)
            .bind(now).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }

    /// Deletes up to `limit` recorded tokens that had ended by `before`, and as many that were revoked by then. Returns how
    /// many in all. The statuses of their slots stay.
    pub async fn purge_recorded_tokens(&self, before: i64, limit: u32) -> Result<u64, StorageError> {
        let expired = on_write!(self, pool => sqlx::query(PURGE_EXPIRED)
            .bind(before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))?;
        let revoked = on_write!(self, pool => sqlx::query(PURGE_REVOKED)
            .bind(before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))?;
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

    /// Revokes the recorded tokens of a client that have not ended.
    pub async fn revoke_tokens_of_client(
        &mut self,
        client_id: &str,
        now: i64,
    ) -> Result<Vec<Revoked>, StorageError> {
        let sql = self.db.choose(REVOKE_OF_CLIENT);
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(client_id).bind(now - CLOCKS_DIFFER).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Revokes those of these recorded tokens that are not revoked yet. The caller has locked their clients.
    pub async fn revoke_these(&mut self, jtis: &[String], now: i64) -> Result<Vec<Revoked>, StorageError> {
        let jtis = serde_json::to_string(jtis).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let sql = self.db.choose(REVOKE_THESE);
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(&jtis).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Revokes the oldest tokens that these locked clients requested, until each client has only the given number of such
    /// tokens that have not ended at `now`.
    pub async fn revoke_beyond(
        &mut self,
        clients: &[(&str, i64)],
        now: i64,
    ) -> Result<Vec<Revoked>, StorageError> {
        if clients.is_empty() {
            return Ok(Vec::new());
        }
        let clients = serde_json::to_string(clients).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let sql = self.db.choose(REVOKE_BEYOND);
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(&clients).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Revokes the recorded tokens of a client that have not ended and carry one of `scopes`.
    pub async fn revoke_tokens_with_scopes(
        &mut self,
        client_id: &str,
        scopes: &[&str],
        now: i64,
    ) -> Result<Vec<Revoked>, StorageError> {
        let (sql, scopes) = (self.db.choose(REVOKE_WITH_SCOPES), json_array(scopes));
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(client_id).bind(now - CLOCKS_DIFFER).bind(now).bind(&scopes).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// How many live recorded tokens of a client carry one of `scopes`.
    pub async fn count_tokens_with_scopes(
        &mut self,
        client_id: &str,
        scopes: &[&str],
        now: i64,
    ) -> Result<i64, StorageError> {
        let (sql, scopes) = (self.db.choose(COUNT_WITH_SCOPES), json_array(scopes));
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(sql)
            .bind(client_id).bind(now).bind(&scopes).fetch_one(&mut *conn).await)?)
    }

    /// Revokes every recorded token that a key signed, ended or not, unless it is revoked already.
    pub async fn revoke_tokens_of_key(&mut self, kid: &str, now: i64) -> Result<Vec<Revoked>, StorageError> {
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(REVOKE_OF_KEY)
            .bind(kid).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Revokes every recorded token of a client but `jti`, at once (if `at` is not after `now`) or from `at` on. Returns
    /// those that are revoked now.
    pub async fn replace_tokens(
        &mut self,
        client_id: &str,
        jti: &str,
        at: i64,
        now: i64,
    ) -> Result<Vec<Revoked>, StorageError> {
        if at > now {
            let sql = self.db.choose(REPLACE_LATER);
            on_tx!(self.db, conn => sqlx::query(sql)
                .bind(client_id).bind(now).bind(jti).bind(at).execute(&mut *conn).await.map(|_| ()))?;
            return Ok(Vec::new());
        }
        let sql = self.db.choose(REPLACE_AT_ONCE);
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(client_id).bind(now - CLOCKS_DIFFER).bind(jti).bind(now).fetch_all(&mut *conn).await)?;
        Ok(revoked(rows, now))
    }

    /// Writes that replaced tokens of a client are revoked: those whose grace period is over at `now`, at most `limit`.
    pub async fn revoke_due_tokens(
        &mut self,
        client_id: &str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<Revoked>, StorageError> {
        let sql = self.db.choose(REVOKE_DUE);
        let rows: Vec<RevokedRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(client_id).bind(now - CLOCKS_DIFFER).bind(now).bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *conn).await)?;
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
            .bind(jti).bind(client_id).bind(expires_at).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}
