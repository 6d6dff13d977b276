//! Sessions at the console: rows of `operator_sessions`, by the SHA-256 of the cookie; and the networks that operators
//! have signed in from.

use crate::model::operator::{StoredSession, Way};
use crate::storage::engine::{on_read, on_tx, on_write, row, statements};
use crate::storage::error::parse;
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! columns {
    () => {
        "session_hash, session_id, operator_id, way, created_at, last_used_at, ends_at, authenticated_at, source_ip,
            user_agent"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM operator_sessions
        WHERE session_hash = $1 AND ends_at > $2 AND last_used_at > $3");
    LIST = concat!("SELECT ", columns!(), " FROM operator_sessions
        WHERE operator_id = $1 AND ends_at > $2 AND last_used_at > $3 ORDER BY session_id DESC");
    // This locks the operator, so that a sign-in waits for a change that disables them.
    SIGN_IN = "UPDATE operators SET last_sign_in_at = $2 WHERE operator_id = $1 AND status = 'active'";
    INSERT = concat!("INSERT INTO operator_sessions (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    TOUCH = "UPDATE operator_sessions SET last_used_at = $2 WHERE session_hash = $1 AND last_used_at < $3";
    RENEW = "UPDATE operator_sessions SET session_hash = $2, authenticated_at = $3, last_used_at = $4, way = $5
        WHERE session_hash = $1 AND ends_at > $4";
    END = "DELETE FROM operator_sessions WHERE operator_id = $1 AND session_id = $2";
    END_OTHERS = "DELETE FROM operator_sessions WHERE operator_id = $1 AND session_id <> $2";
    PURGE = "DELETE FROM operator_sessions WHERE session_hash IN
        (SELECT session_hash FROM operator_sessions WHERE ends_at <= $1 OR last_used_at <= $2 LIMIT $3)";
    SEE_NETWORK = "INSERT INTO operator_networks (operator_id, network, last_seen_at) VALUES ($1, $2, $3)
        ON CONFLICT (operator_id, network) DO UPDATE SET last_seen_at = excluded.last_seen_at";
    COUNT_NETWORK = "SELECT COUNT(*) FROM operator_networks n JOIN operators o ON o.operator_id = n.operator_id
        WHERE o.email_key = $1 AND n.network = $2";
    PURGE_NETWORKS = "DELETE FROM operator_networks WHERE (operator_id, network) IN
        (SELECT operator_id, network FROM operator_networks WHERE last_seen_at <= $1 LIMIT $2)";
}

row! {
    struct SessionRow {
        session_hash: Vec<u8>,
        session_id: String,
        operator_id: String,
        way: String,
        created_at: i64,
        last_used_at: i64,
        ends_at: i64,
        authenticated_at: i64,
        source_ip: Option<String>,
        user_agent: Option<String>,
    }
}

impl TryFrom<SessionRow> for StoredSession {
    type Error = StorageError;

    fn try_from(row: SessionRow) -> Result<Self, StorageError> {
        Ok(Self {
            session_hash: row.session_hash,
            session_id: row.session_id,
            operator_id: row.operator_id,
            way: parse::<Way>("operator_sessions.way", &row.way)?,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            ends_at: row.ends_at,
            authenticated_at: row.authenticated_at,
            source_ip: row.source_ip,
            user_agent: row.user_agent,
        })
    }
}

impl Storage {
    /// A session that has not ended at `now` and was used after `idle_since`.
    pub async fn session(
        &self,
        session_hash: &[u8],
        now: i64,
        idle_since: i64,
    ) -> Result<Option<StoredSession>, StorageError> {
        let row: Option<SessionRow> = on_read!(self, pool => sqlx::query_as(FIND)
            .bind(session_hash).bind(now).bind(idle_since).fetch_optional(pool).await)?;
        row.map(StoredSession::try_from).transpose()
    }

    /// The sessions of an operator that have not ended at `now` and were used after `idle_since`, the newest first.
    pub async fn sessions_of(
        &self,
        operator_id: &str,
        now: i64,
        idle_since: i64,
    ) -> Result<Vec<StoredSession>, StorageError> {
        let rows: Vec<SessionRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(operator_id).bind(now).bind(idle_since).fetch_all(pool).await)?;
        rows.into_iter().map(StoredSession::try_from).collect()
    }

    /// Notes that a session is used, if that was last noted before `noted_before`.
    pub async fn touch_session(
        &self,
        session_hash: &[u8],
        now: i64,
        noted_before: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(TOUCH)
            .bind(session_hash).bind(now).bind(noted_before).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Deletes up to `limit` sessions that have ended at `now` or were not used after `idle_since`. Returns how many.
    pub async fn purge_sessions(&self, now: i64, idle_since: i64, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE)
            .bind(now).bind(idle_since).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }

    /// Whether the operator with this email address (in lower case) has signed in from that network.
    pub async fn is_known_network(&self, email_key: &str, network: &str) -> Result<bool, StorageError> {
        let count: i64 = on_read!(self, pool => sqlx::query_scalar(COUNT_NETWORK)
            .bind(email_key).bind(network).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    /// Forgets up to `limit` networks from which their operator has not signed in after `seen_before`. Returns how many.
    pub async fn purge_networks(&self, seen_before: i64, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE_NETWORKS)
            .bind(seen_before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }
}

impl Tx {
    /// Notes that an operator signs in. `false` if they are not active; then they may not sign in.
    pub async fn note_sign_in(&mut self, operator_id: &str, now: i64) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(SIGN_IN)
            .bind(operator_id).bind(now).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Notes the network that an operator signs in from.
    pub async fn see_network(
        &mut self,
        operator_id: &str,
        network: &str,
        now: i64,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(SEE_NETWORK)
            .bind(operator_id).bind(network).bind(now).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Adds a session.
    pub async fn insert_session(&mut self, session: &StoredSession) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&session.session_hash).bind(&session.session_id).bind(&session.operator_id)
            .bind(session.way.as_str()).bind(session.created_at).bind(session.last_used_at).bind(session.ends_at)
            .bind(session.authenticated_at).bind(session.source_ip.as_deref()).bind(session.user_agent.as_deref())
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Replaces the cookie of a session by the one whose hash is in `session`, and stores how and when the operator last
    /// proved who they are. `false` if the session is no longer there or has ended.
    pub async fn renew_session(
        &mut self,
        old_hash: &[u8],
        session: &StoredSession,
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(RENEW)
            .bind(old_hash).bind(&session.session_hash).bind(session.authenticated_at).bind(session.last_used_at)
            .bind(session.way.as_str())
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Ends a session of an operator. `false` if it is no longer there.
    pub async fn end_session(&mut self, operator_id: &str, session_id: &str) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(END)
            .bind(operator_id).bind(session_id).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Ends the sessions of an operator, except the one with the id `kept`. Returns how many.
    pub async fn end_sessions(&mut self, operator_id: &str, kept: Option<&str>) -> Result<u64, StorageError> {
        on_tx!(self.db, conn => sqlx::query(END_OTHERS)
            .bind(operator_id).bind(kept.unwrap_or_default()).execute(&mut *conn).await.map(|done| done.rows_affected()))
            .map_err(StorageError::from)
    }
}
