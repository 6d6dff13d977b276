//! Recording a token as it is issued, if its client, secret, workspace and key still allow it.

use super::recorded::columns;
use crate::model::proof::Proof;
use crate::model::token::RecordedToken;
use crate::storage::engine::{DbTx, on_tx, statements, within_limit};
use crate::storage::{StorageError, Tx, touched};

/// What must still be true when a token is recorded. The inserting transaction checks it again, with the rows locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueGuard {
    /// The proof with which the client authenticated; `None` if an administrator issues the token.
    pub proof: Option<Proof>,
    /// When the token is issued, in Unix seconds.
    pub now: i64,
    /// Whether the token may end older ones of the client, so that the client's row is held by this transaction alone. Two
    /// transactions that did this at once would not see each other's token, and both tokens would stay live.
    pub replaces: bool,
}

impl IssueGuard {
    /// The secret that must still be live; `None` if the client did not authenticate with a secret.
    pub(super) fn secret_id(&self) -> Option<&str> {
        match &self.proof {
            Some(Proof::Secret { secret_id }) => Some(secret_id),
            None => None,
        }
    }
}

/// Whether a token may be recorded, by the rows that the inserting transaction has locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueCheck {
    /// The token may be recorded.
    Allowed,
    /// The client, its secret or its workspace no longer allows it.
    ClientNotAllowed,
    /// The client's generation has ended in the meantime, which does not restrict the client: sign again in its new generation.
    GenerationEnded,
    /// The key has stopped signing in the meantime; sign again with another one.
    KeyNotSigning,
}

macro_rules! from_rows {
    ($secret:literal) => {
        // Rows are locked in the order of the tables here: workspaces before clients, as everywhere.
        concat!(
            " FROM workspaces w
                JOIN api_clients c ON c.workspace_id = w.workspace_id
                JOIN signing_keys k ON k.kid = $3
            ",
            $secret,
            " WHERE c.client_id = $1 AND c.disabled_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $4)
                AND w.suspended_at IS NULL AND w.deleted_at IS NULL"
        )
    };
    (by_secret) => {
        from_rows!(
            "JOIN client_secrets s ON s.client_id = c.client_id AND s.secret_id = $5
                AND (s.expires_at IS NULL OR s.expires_at > $4)"
        )
    };
}

macro_rules! check {
    ($($secret:tt)*) => {
        concat!("SELECT k.phase, CASE WHEN c.generation = $2 THEN 1 ELSE 0 END", from_rows!($($secret)*))
    };
}

// A form for each engine: SQLite has one writer, PostgreSQL must lock the rows.
const BY_SECRET_SQLITE: &str = check!(by_secret);
const BY_SECRET_POSTGRES: &str = concat!(check!(by_secret), " FOR SHARE");
const BY_SECRET_ALONE_POSTGRES: &str =
    concat!(check!(by_secret), " FOR SHARE OF w FOR UPDATE OF c FOR SHARE OF k, s");
const BY_ADMINISTRATOR_SQLITE: &str = check!("");
const BY_ADMINISTRATOR_POSTGRES: &str = concat!(check!(""), " FOR SHARE");
const BY_ADMINISTRATOR_ALONE_POSTGRES: &str =
    concat!(check!(""), " FOR SHARE OF w FOR UPDATE OF c FOR SHARE OF k");

macro_rules! record {
    (($($secret:tt)*), $lock:literal) => {
        concat!(
            "INSERT INTO access_tokens (", columns!(), ")
                SELECT CAST($6 AS TEXT), c.client_id, c.workspace_id, k.kid, c.generation, CAST($7 AS TEXT),
                    CAST($8 AS TEXT), CAST($9 AS BIGINT), CAST($10 AS BIGINT), CAST($11 AS BIGINT),
                    CAST($12 AS BIGINT), CAST($13 AS BIGINT), CAST($14 AS TEXT), CAST($15 AS BIGINT),
                    CAST($16 AS BIGINT) ",
            from_rows!($($secret)*),
            " AND c.generation = $2 AND k.phase IN ('pending', 'active')",
            $lock
        )
    };
}

// One statement for a token that a client requested with a secret: it checks, locks what it checked, and writes.
const RECORD_SQLITE: &str = record!((by_secret), "");
const RECORD_POSTGRES: &str = record!((by_secret), " FOR SHARE");
const RECORD_ALONE_POSTGRES: &str = record!((by_secret), " FOR SHARE OF w FOR UPDATE OF c FOR SHARE OF k, s");

statements! {
    INSERT = concat!("INSERT INTO access_tokens (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)");
}

impl Tx {
    /// Whether the client may still get `token`. The rows that this depends on stay locked until the transaction ends.
    pub async fn may_issue(
        &mut self,
        token: &RecordedToken,
        guard: &IssueGuard,
    ) -> Result<IssueCheck, StorageError> {
        let secret_id = guard.secret_id();
        let (on_sqlite, on_postgres) = match (secret_id, guard.replaces) {
            (Some(_), false) => (BY_SECRET_SQLITE, BY_SECRET_POSTGRES),
            (Some(_), true) => (BY_SECRET_SQLITE, BY_SECRET_ALONE_POSTGRES),
            (None, false) => (BY_ADMINISTRATOR_SQLITE, BY_ADMINISTRATOR_POSTGRES),
            (None, true) => (BY_ADMINISTRATOR_SQLITE, BY_ADMINISTRATOR_ALONE_POSTGRES),
        };
        macro_rules! found {
            ($sql:expr, $tx:expr) => {{
                let query = sqlx::query_as($sql)
                    .bind(&token.client_id)
                    .bind(token.generation)
                    .bind(&token.kid)
                    .bind(guard.now);
                match secret_id {
                    Some(secret_id) => query.bind(secret_id),
                    None => query,
                }
                .fetch_optional(&mut **$tx)
                .await?
            }};
        }
        let found: Option<(String, i32)> = match &mut self.db {
            DbTx::Sqlite(tx) => found!(on_sqlite, tx),
            DbTx::Postgres(tx) => within_limit(async { Ok(found!(on_postgres, tx)) }).await?,
        };
        Ok(match found {
            None => IssueCheck::ClientNotAllowed,
            Some((phase, _)) if !matches!(phase.as_str(), "pending" | "active") => IssueCheck::KeyNotSigning,
            Some((_, 0)) => IssueCheck::GenerationEnded,
            Some(_) => IssueCheck::Allowed,
        })
    }

    /// Adds a token, if the client may still get it. The rows that this depends on stay locked until the transaction ends.
    pub async fn record_token(
        &mut self,
        token: &RecordedToken,
        guard: &IssueGuard,
    ) -> Result<IssueCheck, StorageError> {
        let Some(secret_id) = guard.secret_id() else {
            let check = self.may_issue(token, guard).await?;
            if check == IssueCheck::Allowed {
                self.insert_recorded_token(token).await?;
            }
            return Ok(check);
        };
        let on_postgres = if guard.replaces { RECORD_ALONE_POSTGRES } else { RECORD_POSTGRES };
        macro_rules! record {
            ($sql:expr, $tx:expr) => {
                sqlx::query($sql)
                    .bind(&token.client_id)
                    .bind(token.generation)
                    .bind(&token.kid)
                    .bind(guard.now)
                    .bind(secret_id)
                    .bind(&token.jti)
                    .bind(&token.scope)
                    .bind(&token.products)
                    .bind(token.issued_at)
                    .bind(token.expires_at)
                    .bind(token.revoked_at)
                    .bind(token.revoke_at)
                    .bind(token.last_introspected_at)
                    .bind(&token.issued_by)
                    .bind(token.slot.map(|slot| slot.list))
                    .bind(token.slot.map(|slot| i64::from(slot.idx)))
                    .execute(&mut **$tx)
                    .await?
                    .rows_affected()
            };
        }
        let rows = match &mut self.db {
            DbTx::Sqlite(tx) => record!(RECORD_SQLITE, tx),
            DbTx::Postgres(tx) => within_limit(async { Ok(record!(on_postgres, tx)) }).await?,
        };
        self.has_written = true;
        if touched(rows) {
            return Ok(IssueCheck::Allowed);
        }
        // Rare, so the reason is looked up only now.
        Ok(match self.may_issue(token, guard).await? {
            // The state changed back between the two statements; the caller can sign again.
            IssueCheck::Allowed => IssueCheck::GenerationEnded,
            other => other,
        })
    }

    /// Adds a token that [`Tx::may_issue`] allowed.
    pub async fn insert_recorded_token(&mut self, token: &RecordedToken) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&token.jti).bind(&token.client_id).bind(&token.workspace_id).bind(&token.kid)
            .bind(token.generation).bind(&token.scope).bind(&token.products).bind(token.issued_at)
            .bind(token.expires_at).bind(token.revoked_at).bind(token.revoke_at).bind(token.last_introspected_at)
            .bind(&token.issued_by).bind(token.slot.map(|slot| slot.list))
            .bind(token.slot.map(|slot| i64::from(slot.idx)))
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
