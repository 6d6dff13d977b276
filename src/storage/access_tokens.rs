//! Recorded access tokens (rows of `access_tokens`), and stateless ones that were revoked by themselves (rows of
//! `denied_tokens`).

use sqlx::FromRow;

use super::engine::{DbTx, on_read, on_tx, on_write, statements};
use super::{Storage, StorageError, Tx, touched};
use crate::model::page::{Items, Page};
use crate::model::proof::Proof;
use crate::model::reach::Reach;
use crate::model::status::Slot;
use crate::model::token::RecordedToken;

/// What must still hold for a token to be recorded, read again under the lock of the inserting transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueGuard {
    /// What the client authenticated with; `None` when an administrator issues.
    pub proof: Option<Proof>,
    /// When the token is issued, in Unix seconds.
    pub now: i64,
    /// Whether the token replaces the client's other ones, so that its row is held by this transaction alone.
    pub replaces: bool,
}

impl IssueGuard {
    /// The secret that must still be live, if it was a secret.
    pub(super) fn secret_id(&self) -> Option<&str> {
        match &self.proof {
            Some(Proof::Secret { secret_id }) => Some(secret_id),
            None => None,
        }
    }
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

/// What is on record of a token by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// It was recorded when it was issued.
    Recorded(Box<RecordedToken>),
    /// It was not, and was revoked by itself.
    Denied,
    /// Nothing: it is stateless, or was never issued, or is long dead.
    Unknown,
}

macro_rules! columns {
    () => {
        "jti, client_id, workspace_id, kid, generation, scope, products, issued_at, expires_at, revoked_at, revoke_at,
            last_introspected_at, issued_by, status_list, status_idx"
    };
}

macro_rules! still_true {
    ($secret:literal) => {
        // The order of the tables is the order in which their rows are locked: workspaces before clients, as everywhere.
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
        still_true!(
            "JOIN client_secrets s ON s.client_id = c.client_id AND s.secret_id = $5
                AND (s.expires_at IS NULL OR s.expires_at > $4)"
        )
    };
}

macro_rules! standing {
    ($($secret:tt)*) => {
        concat!("SELECT k.phase, CASE WHEN c.generation = $2 THEN 1 ELSE 0 END", still_true!($($secret)*))
    };
}

// Some of the few pairs: SQLite's writer is alone anyway, PostgreSQL must be told to hold the rows.
const BY_SECRET_SQLITE: &str = standing!(by_secret);
const BY_SECRET_POSTGRES: &str = concat!(standing!(by_secret), " FOR SHARE");
const BY_SECRET_ALONE_POSTGRES: &str =
    concat!(standing!(by_secret), " FOR SHARE OF w FOR UPDATE OF c FOR SHARE OF k, s");
const BY_ADMINISTRATOR_SQLITE: &str = standing!("");
const BY_ADMINISTRATOR_POSTGRES: &str = concat!(standing!(""), " FOR SHARE");
const BY_ADMINISTRATOR_ALONE_POSTGRES: &str =
    concat!(standing!(""), " FOR SHARE OF w FOR UPDATE OF c FOR SHARE OF k");

macro_rules! record {
    (($($secret:tt)*), $lock:literal) => {
        concat!(
            "INSERT INTO access_tokens (", columns!(), ")
                SELECT CAST($6 AS TEXT), c.client_id, c.workspace_id, k.kid, c.generation, CAST($7 AS TEXT),
                    CAST($8 AS TEXT), CAST($9 AS BIGINT), CAST($10 AS BIGINT), CAST($11 AS BIGINT),
                    CAST($12 AS BIGINT), CAST($13 AS BIGINT), CAST($14 AS TEXT), CAST($15 AS BIGINT),
                    CAST($16 AS BIGINT) ",
            still_true!($($secret)*),
            " AND c.generation = $2 AND k.phase IN ('pending', 'active')",
            $lock
        )
    };
}

// One statement on the path of every recorded token: it asks, holds what it asked, and writes.
const RECORD_SQLITE: &str = record!((by_secret), "");
const RECORD_POSTGRES: &str = record!((by_secret), " FOR SHARE");
const RECORD_ALONE_POSTGRES: &str = record!((by_secret), " FOR SHARE OF w FOR UPDATE OF c FOR SHARE OF k, s");

statements! {
    INSERT = concat!("INSERT INTO access_tokens (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)");
    FIND = concat!("SELECT ", columns!(), " FROM access_tokens WHERE jti = $1");
    FIND_OF_CLIENT = concat!("SELECT ", columns!(), " FROM access_tokens
        WHERE client_id = $1 AND jti = $2 AND (CAST($3 AS TEXT) IS NULL OR workspace_id = $3)");
    LIST = concat!("SELECT ", columns!(), " FROM access_tokens
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)
            AND issued_at <= COALESCE(CAST($3 AS BIGINT), 9223372036854775807)
            AND (CAST($3 AS BIGINT) IS NULL OR issued_at < $3 OR jti < $4)
        ORDER BY issued_at DESC, jti DESC LIMIT $5");
    LIVE_OF_CLIENT = concat!("SELECT ", columns!(), " FROM access_tokens
        WHERE client_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)");
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
    COUNT_LIVE = "SELECT COUNT(*) FROM access_tokens
        WHERE client_id = $1 AND revoked_at IS NULL AND (revoke_at IS NULL OR revoke_at > $2)
            AND (expires_at IS NULL OR expires_at > $2)";
    INTROSPECTED = "UPDATE access_tokens SET last_introspected_at = $2
        WHERE jti = $1 AND (last_introspected_at IS NULL OR last_introspected_at < $2)";
    DENY = "INSERT INTO denied_tokens (jti, client_id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    IS_DENIED = "SELECT 1 FROM denied_tokens WHERE jti = $1";
    PURGE_DENIED = "DELETE FROM denied_tokens WHERE jti IN
        (SELECT jti FROM denied_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    PURGE_EXPIRED = "DELETE FROM access_tokens WHERE jti IN
        (SELECT jti FROM access_tokens WHERE expires_at IS NOT NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    PURGE_REVOKED = "DELETE FROM access_tokens WHERE jti IN
        (SELECT jti FROM access_tokens WHERE revoked_at IS NOT NULL AND revoked_at <= $1 ORDER BY revoked_at LIMIT $2)";
}

#[derive(FromRow)]
struct TokenRow {
    jti: String,
    client_id: String,
    workspace_id: String,
    kid: String,
    generation: i64,
    scope: String,
    products: String,
    issued_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    revoke_at: Option<i64>,
    last_introspected_at: Option<i64>,
    issued_by: String,
    status_list: Option<i64>,
    status_idx: Option<i64>,
}

impl From<TokenRow> for RecordedToken {
    fn from(row: TokenRow) -> Self {
        Self {
            jti: row.jti,
            client_id: row.client_id,
            workspace_id: row.workspace_id,
            kid: row.kid,
            generation: row.generation,
            scope: row.scope,
            products: row.products,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            revoke_at: row.revoke_at,
            slot: Slot::from_columns(row.status_list, row.status_idx),
            last_introspected_at: row.last_introspected_at,
            issued_by: row.issued_by,
        }
    }
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

/// The place of a token in its list, for a cursor: newest first.
fn place(token: &RecordedToken) -> String {
    format!("{}:{}", token.issued_at, token.jti)
}

impl Storage {
    /// What is on record of the token `jti`, of whatever client.
    pub async fn token_state(&self, jti: &str) -> Result<TokenState, StorageError> {
        let row: Option<TokenRow> =
            on_read!(self, pool => sqlx::query_as(FIND).bind(jti).fetch_optional(pool).await)?;
        if let Some(row) = row {
            return Ok(TokenState::Recorded(Box::new(row.into())));
        }
        let denied: Option<i32> =
            on_read!(self, pool => sqlx::query_scalar(IS_DENIED).bind(jti).fetch_optional(pool).await)?;
        Ok(if denied.is_some() { TokenState::Denied } else { TokenState::Unknown })
    }

    /// A recorded token of a client within reach.
    pub async fn recorded_token(
        &self,
        reach: &Reach,
        client_id: &str,
        jti: &str,
    ) -> Result<Option<RecordedToken>, StorageError> {
        let row: Option<TokenRow> = on_read!(self, pool => sqlx::query_as(FIND_OF_CLIENT)
            .bind(client_id).bind(jti).bind(reach.limit()).fetch_optional(pool).await)?;
        Ok(row.map(RecordedToken::from))
    }

    /// A page of the recorded tokens of a client within reach, newest first, dead ones that are still kept included.
    pub async fn recorded_tokens(
        &self,
        reach: &Reach,
        client_id: &str,
        page: &Page,
    ) -> Result<Items<RecordedToken>, StorageError> {
        let after = page.after.as_deref().and_then(|after| after.split_once(':'));
        let after = after.and_then(|(at, jti)| Some((at.parse::<i64>().ok()?, jti)));
        let rows: Vec<TokenRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(client_id).bind(reach.limit()).bind(after.map(|(at, _)| at)).bind(after.map(|(_, jti)| jti))
            .bind(i64::from(page.limit) + 1).fetch_all(pool).await)?;
        Ok(Items::cut(rows.into_iter().map(RecordedToken::from).collect(), page.limit, place))
    }

    /// Notes when recorded tokens were last asked about.
    pub async fn touch_tokens(&self, uses: &[(String, i64)]) -> Result<(), StorageError> {
        self.touch(INTROSPECTED, uses).await
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
    /// Whether the client of `token` may still be given it. The rows that say so stay locked until the end.
    pub async fn may_issue(
        &mut self,
        token: &RecordedToken,
        guard: &IssueGuard,
    ) -> Result<Standing, StorageError> {
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
            DbTx::Postgres(tx) => found!(on_postgres, tx),
        };
        Ok(match found {
            // Before the generation: revoking a key opens new ones, and that alone takes no right from a client.
            Some((phase, _)) if !matches!(phase.as_str(), "pending" | "active") => Standing::KeyMayNot,
            None | Some((_, 0)) => Standing::ClientMayNot,
            Some(_) => Standing::Good,
        })
    }

    /// Adds a token that its client asked for with a secret, if it may still be given it. The rows that say so stay
    /// locked until the end.
    pub async fn record_token(
        &mut self,
        token: &RecordedToken,
        guard: &IssueGuard,
    ) -> Result<Standing, StorageError> {
        let Some(secret_id) = guard.secret_id() else {
            let standing = self.may_issue(token, guard).await?;
            if standing == Standing::Good {
                self.insert_recorded_token(token).await?;
            }
            return Ok(standing);
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
            DbTx::Postgres(tx) => record!(on_postgres, tx),
        };
        if touched(rows) {
            return Ok(Standing::Good);
        }
        // Rare, so asked for only now: what stands in the way.
        Ok(match self.may_issue(token, guard).await? {
            Standing::Good => Standing::ClientMayNot,
            other => other,
        })
    }

    /// Adds a token, after [`Tx::may_issue`] has said that it may be.
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

    /// What is on record of the token `jti`, after its client was locked.
    pub async fn recorded_token(&mut self, jti: &str) -> Result<Option<RecordedToken>, StorageError> {
        let row: Option<TokenRow> =
            on_tx!(self.db, conn => sqlx::query_as(FIND).bind(jti).fetch_optional(&mut *conn).await)?;
        Ok(row.map(RecordedToken::from))
    }

    /// The recorded tokens of a client that are neither revoked nor ended at `now`.
    pub async fn live_tokens_of_client(
        &mut self,
        client_id: &str,
        now: i64,
    ) -> Result<Vec<RecordedToken>, StorageError> {
        let rows: Vec<TokenRow> = on_tx!(self.db, conn => sqlx::query_as(LIVE_OF_CLIENT)
            .bind(client_id).bind(now).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(RecordedToken::from).collect())
    }

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

    /// How many recorded tokens of a client live at `now`.
    pub async fn count_live_tokens(&mut self, client_id: &str, now: i64) -> Result<i64, StorageError> {
        Ok(
            on_tx!(self.db, conn => sqlx::query_scalar(COUNT_LIVE).bind(client_id).bind(now).fetch_one(&mut *conn).await)?,
        )
    }
}
