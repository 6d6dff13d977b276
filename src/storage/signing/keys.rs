//! Signing keys: rows of `signing_keys`. Keys that are gone keep their row, so that a kid is never used again.

use crate::model::key::SigningKey;
use crate::storage::engine::{on_read, on_tx, row, statements};
use crate::storage::error::parse;
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! columns {
    () => {
        "kid, alg, use_for, phase, public_jwk, sealed_private, created_at, activates_at, retired_at, version"
    };
}

// The tokens that the key `$1` signed and that are not revoked, for `WHERE`. The index that finds them has only the first 8
// characters of each kid.
macro_rules! of_key {
    () => {
        "SUBSTR(kid, 1, 8) = SUBSTR($1, 1, 8) AND kid = $1 AND revoked_at IS NULL"
    };
}

pub(in crate::storage) use of_key;

statements! {
    LIST = concat!("SELECT ", columns!(), " FROM signing_keys WHERE phase <> 'gone' ORDER BY created_at, kid");
    CHANGE_SEQ = "SELECT change_seq FROM service_state WHERE id = 1";
    FIND = concat!("SELECT ", columns!(), " FROM signing_keys WHERE kid = $1");
    LOCK = concat!("UPDATE signing_keys SET version = version WHERE kid = $1 AND phase <> 'gone' RETURNING ", columns!());
    INSERT = concat!("INSERT INTO signing_keys (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT DO NOTHING");
    UPDATE = "UPDATE signing_keys SET phase = $2, sealed_private = $3, activates_at = $4, retired_at = $5, version = $6
        WHERE kid = $1";
    BEING_REVOKED = concat!("SELECT ", columns!(), " FROM signing_keys
        WHERE revoking_since IS NOT NULL ORDER BY revoking_since, kid");
    SET_REVOKING = "UPDATE signing_keys SET revoking_since = $2 WHERE kid = $1";
    LIVE_TOKENS = "SELECT k.kid, COUNT(*) FROM signing_keys k CROSS JOIN access_tokens t
        WHERE SUBSTR(t.kid, 1, 8) = SUBSTR(k.kid, 1, 8) AND t.kid = k.kid AND t.revoked_at IS NULL
            AND (t.expires_at IS NULL OR t.expires_at > $1) GROUP BY k.kid";
    HAS_LIVE_TOKENS = concat!("SELECT CASE WHEN EXISTS
            (SELECT 1 FROM access_tokens WHERE ", of_key!(), " AND expires_at IS NULL) OR EXISTS
            (SELECT 1 FROM access_tokens WHERE ", of_key!(), " AND expires_at > $2)
        THEN 1 ELSE 0 END");
    HOLDERS = concat!("SELECT client_id, COUNT(*) FROM access_tokens
        WHERE ", of_key!(), " AND (expires_at IS NULL OR expires_at > $2)
        GROUP BY client_id ORDER BY COUNT(*) DESC, client_id LIMIT 10");
    CLIENTS_OF = concat!("SELECT DISTINCT client_id FROM access_tokens
        WHERE ", of_key!(), " AND (expires_at IS NULL OR expires_at > $2) ORDER BY client_id");
    // A row of its own, and not that of the change counter: a change locks the counter only when it commits, but work on
    // keys takes other locks after this one.
    SERIALISE = "UPDATE turns SET number = number WHERE name = 'signing_keys'";
}

row! {
    struct KeyRow {
        kid: String,
        alg: String,
        use_for: String,
        phase: String,
        public_jwk: String,
        sealed_private: Option<Vec<u8>>,
        created_at: i64,
        activates_at: i64,
        retired_at: Option<i64>,
        version: i64,
    }
}

impl TryFrom<KeyRow> for SigningKey {
    type Error = StorageError;

    fn try_from(row: KeyRow) -> Result<Self, StorageError> {
        Ok(Self {
            kid: row.kid,
            alg: parse("signing_keys.alg", &row.alg)?,
            use_for: parse("signing_keys.use_for", &row.use_for)?,
            phase: parse("signing_keys.phase", &row.phase)?,
            public_jwk: row.public_jwk,
            sealed_private: row.sealed_private,
            created_at: row.created_at,
            activates_at: row.activates_at,
            retired_at: row.retired_at,
            version: row.version,
        })
    }
}

impl Storage {
    /// The keys that are not gone, oldest first, with the value of the change counter at which that was true.
    pub async fn signing_keys(&self) -> Result<(Vec<SigningKey>, i64), StorageError> {
        let mut tx = self.snapshot().await?;
        let keys = tx.signing_keys().await?;
        let seq = on_tx!(tx.db, conn => sqlx::query_scalar(CHANGE_SEQ).fetch_one(&mut *conn).await)?;
        tx.rollback().await?;
        Ok((keys, seq))
    }

    /// A key by its kid, gone or not.
    pub async fn signing_key(&self, kid: &str) -> Result<Option<SigningKey>, StorageError> {
        let row: Option<KeyRow> =
            on_read!(self, pool => sqlx::query_as(FIND).bind(kid).fetch_optional(pool).await)?;
        row.map(SigningKey::try_from).transpose()
    }

    /// The deleted keys whose tokens are still being revoked, in the order in which the revocation began.
    pub async fn keys_being_revoked(&self) -> Result<Vec<SigningKey>, StorageError> {
        let rows: Vec<KeyRow> = on_read!(self, pool => sqlx::query_as(BEING_REVOKED).fetch_all(pool).await)?;
        rows.into_iter().map(SigningKey::try_from).collect()
    }

    /// How many recorded tokens are neither revoked nor expired at `now`, by kid. A replaced token counts until its revocation
    /// is written.
    pub async fn live_tokens_by_kid(&self, now: i64) -> Result<Vec<(String, i64)>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(LIVE_TOKENS).bind(now).fetch_all(pool).await)?)
    }
}

impl Tx {
    /// Makes other transactions that change signing keys wait until this one ends.
    pub async fn serialise_key_changes(&mut self) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(SERIALISE).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// The keys that are not gone, oldest first.
    pub async fn signing_keys(&mut self) -> Result<Vec<SigningKey>, StorageError> {
        let rows: Vec<KeyRow> = on_tx!(self.db, conn => sqlx::query_as(LIST).fetch_all(&mut *conn).await)?;
        rows.into_iter().map(SigningKey::try_from).collect()
    }

    /// A key that is not gone, locked until the end of the transaction. Lock it before reading its tokens: tokens that were
    /// being recorded are then committed and visible, and no more are added.
    pub async fn lock_signing_key(&mut self, kid: &str) -> Result<Option<SigningKey>, StorageError> {
        let row: Option<KeyRow> =
            on_tx!(self.db, conn => sqlx::query_as(LOCK).bind(kid).fetch_optional(&mut *conn).await)?;
        row.map(SigningKey::try_from).transpose()
    }

    /// As [`Storage::live_tokens_by_kid`], in this transaction.
    pub async fn live_tokens_by_kid(&mut self, now: i64) -> Result<Vec<(String, i64)>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_as(LIVE_TOKENS).bind(now).fetch_all(&mut *conn).await)?)
    }

    /// Whether a recorded token that a key signed is live at `now`, as [`Tx::live_tokens_by_kid`] counts.
    pub async fn key_has_live_tokens(&mut self, kid: &str, now: i64) -> Result<bool, StorageError> {
        let found: i32 = on_tx!(self.db, conn => sqlx::query_scalar(HAS_LIVE_TOKENS)
            .bind(kid).bind(now).fetch_one(&mut *conn).await)?;
        Ok(found != 0)
    }

    /// The clients with the most live recorded tokens of a key at `now`, at most ten, each with the number of these tokens.
    pub async fn holders_of_key(&mut self, kid: &str, now: i64) -> Result<Vec<(String, i64)>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_as(HOLDERS).bind(kid).bind(now).fetch_all(&mut *conn).await)?)
    }

    /// The clients with live recorded tokens of a key at `now`, in the order in which to lock them.
    pub async fn clients_with_tokens_of_key(
        &mut self,
        kid: &str,
        now: i64,
    ) -> Result<Vec<String>, StorageError> {
        Ok(
            on_tx!(self.db, conn => sqlx::query_scalar(CLIENTS_OF).bind(kid).bind(now).fetch_all(&mut *conn).await)?,
        )
    }

    /// Adds a key. `false` if the kid exists or once existed.
    pub async fn insert_signing_key(&mut self, key: &SigningKey) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&key.kid).bind(key.alg.as_str()).bind(key.use_for.as_str()).bind(key.phase.as_str())
            .bind(&key.public_jwk).bind(key.sealed_private.as_deref()).bind(key.created_at).bind(key.activates_at)
            .bind(key.retired_at).bind(key.version)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Notes since when the tokens of a key are being revoked; `None` once all of them are.
    pub async fn set_revoking(&mut self, kid: &str, since: Option<i64>) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(SET_REVOKING)
            .bind(kid).bind(since).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Writes the phase, the times, the private key and the version of a signing key.
    pub async fn update_signing_key(&mut self, key: &SigningKey) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(UPDATE)
            .bind(&key.kid).bind(key.phase.as_str()).bind(key.sealed_private.as_deref()).bind(key.activates_at)
            .bind(key.retired_at).bind(key.version)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}
