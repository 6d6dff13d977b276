//! Recorded access tokens: rows of `access_tokens`.

use super::engine::{DbTx, on_tx, statements};
use super::{StorageError, Tx, touched};
use crate::model::token::RecordedToken;

/// What must still be true for a token to be born, re-read under the lock of the inserting transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueGuard {
    /// The secret the client authenticated with; `None` when an administrator issues.
    pub secret_id: Option<String>,
    /// When the token is issued, in Unix seconds.
    pub now: i64,
}

/// Whether a token may be born, as the rows stand that the inserting transaction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything the token was made on still holds.
    Good,
    /// The client, its secret or its workspace no longer allows it.
    ClientMayNot,
    /// The key has stopped signing meanwhile; signing again with another will do.
    KeyMayNot,
}

macro_rules! still_true {
    ($secret:literal) => {
        concat!(
            "SELECT k.phase FROM api_clients c
                JOIN workspaces w ON w.workspace_id = c.workspace_id
                JOIN signing_keys k ON k.kid = $3
            ",
            $secret,
            " WHERE c.client_id = $1 AND c.generation = $2 AND c.disabled_at IS NULL
                AND (c.expires_at IS NULL OR c.expires_at > $4)
                AND w.suspended_at IS NULL AND w.deleted_at IS NULL"
        )
    };
    (by_secret) => {
        still_true!(
            "JOIN client_secrets s ON s.client_id = c.client_id AND s.secret_id = $5
                AND (s.expires_at IS NULL OR s.expires_at > $4)"
        )
    };
}

// Two of the few pairs: SQLite's writer is alone anyway, PostgreSQL must be told to hold the rows.
const BY_SECRET_SQLITE: &str = still_true!(by_secret);
const BY_SECRET_POSTGRES: &str = concat!(still_true!(by_secret), " FOR SHARE");
const BY_ADMINISTRATOR_SQLITE: &str = still_true!("");
const BY_ADMINISTRATOR_POSTGRES: &str = concat!(still_true!(""), " FOR SHARE");

statements! {
    INSERT = "INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at,
            expires_at, revoked_at, last_introspected_at, issued_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    REVOKE_OF_CLIENT = "UPDATE access_tokens SET revoked_at = $2 WHERE client_id = $1 AND revoked_at IS NULL";
    REVOKE_OF_KEY = "UPDATE access_tokens SET revoked_at = $2 WHERE kid = $1 AND revoked_at IS NULL";
    COUNT_LIVE = "SELECT COUNT(*) FROM access_tokens
        WHERE client_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
}

impl Tx {
    /// Whether the client of `token` may still be given it. The rows that say so stay locked until the end.
    pub async fn may_issue(
        &mut self,
        token: &RecordedToken,
        guard: &IssueGuard,
    ) -> Result<Standing, StorageError> {
        let secret_id = guard.secret_id.as_deref();
        let (on_sqlite, on_postgres) = match secret_id {
            Some(_) => (BY_SECRET_SQLITE, BY_SECRET_POSTGRES),
            None => (BY_ADMINISTRATOR_SQLITE, BY_ADMINISTRATOR_POSTGRES),
        };
        macro_rules! phase {
            ($sql:expr, $tx:expr) => {{
                let query = sqlx::query_scalar($sql)
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
        let phase: Option<String> = match &mut self.db {
            DbTx::Sqlite(tx) => phase!(on_sqlite, tx),
            DbTx::Postgres(tx) => phase!(on_postgres, tx),
        };
        Ok(match phase.as_deref() {
            None => Standing::ClientMayNot,
            Some("pending" | "active") => Standing::Good,
            Some(_) => Standing::KeyMayNot,
        })
    }

    /// Adds a token, after [`Tx::may_issue`] has said that it may be.
    pub async fn insert_recorded_token(&mut self, token: &RecordedToken) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&token.jti).bind(&token.client_id).bind(&token.workspace_id).bind(&token.kid)
            .bind(token.generation).bind(&token.scope).bind(&token.products).bind(token.issued_at)
            .bind(token.expires_at).bind(token.revoked_at).bind(token.last_introspected_at).bind(&token.issued_by)
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Revokes every recorded token of a client. Returns how many.
    pub async fn revoke_tokens_of_client(&mut self, client_id: &str, now: i64) -> Result<u64, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query(REVOKE_OF_CLIENT)
            .bind(client_id).bind(now).execute(&mut *conn).await?.rows_affected()))
    }

    /// Revokes every recorded token signed by a key. Returns whether there were any.
    pub async fn revoke_tokens_of_key(&mut self, kid: &str, now: i64) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(REVOKE_OF_KEY)
            .bind(kid).bind(now).execute(&mut *conn).await?.rows_affected());
        Ok(touched(rows))
    }

    /// How many recorded tokens of a client live at `now`.
    pub async fn count_live_tokens(&mut self, client_id: &str, now: i64) -> Result<i64, StorageError> {
        Ok(
            on_tx!(self.db, conn => sqlx::query_scalar(COUNT_LIVE).bind(client_id).bind(now).fetch_one(&mut *conn).await)?,
        )
    }
}
