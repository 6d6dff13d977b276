//! Ways in: the password and the authenticator app of an operator, recovery codes, passkeys, and linked accounts.
//!
//! What may be used once is used by a conditional write: of two requests at the same time, one finds the condition false.

use crate::model::operator::{Identity, StoredPasskey, StoredPassword};
use crate::storage::engine::{on_read, on_tx, on_write, row, statements};
use crate::storage::error::parse;
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! passkey_columns {
    () => {
        "credential_id, operator_id, public_key, alg, sign_count, name, created_at, last_used_at"
    };
}

macro_rules! identity_columns {
    () => {
        "issuer, subject, operator_id, provider, created_at, last_used_at"
    };
}

macro_rules! select_password {
    () => {
        "SELECT operator_id, password_hash, status,
            CASE WHEN totp_confirmed_at IS NULL THEN NULL ELSE totp_secret END AS totp_secret FROM operators"
    };
}

statements! {
    FIND_PASSWORD = concat!(select_password!(), " WHERE email_key = $1");
    FIND_PASSWORD_BY_ID = concat!(select_password!(), " WHERE operator_id = $1");
    SET_PASSWORD = "UPDATE operators SET password_hash = $2, password_set_at = $3 WHERE operator_id = $1";
    SET_TOTP = "UPDATE operators SET totp_secret = $2, totp_last_step = $3, totp_confirmed_at = $4
        WHERE operator_id = $1";
    USE_TOTP_STEP = "UPDATE operators SET totp_last_step = $2
        WHERE operator_id = $1 AND totp_confirmed_at IS NOT NULL AND (totp_last_step IS NULL OR totp_last_step < $2)";
    PASSWORD_TIMES = "SELECT password_set_at, totp_confirmed_at FROM operators WHERE operator_id = $1";
    INSERT_CODE = "INSERT INTO operator_recovery_codes (operator_id, code_hash, used_at) VALUES ($1, $2, NULL)";
    USE_CODE = "UPDATE operator_recovery_codes SET used_at = $3
        WHERE operator_id = $1 AND code_hash = $2 AND used_at IS NULL";
    COUNT_CODES = "SELECT COUNT(*) FROM operator_recovery_codes WHERE operator_id = $1 AND used_at IS NULL";
    DELETE_CODES = "DELETE FROM operator_recovery_codes WHERE operator_id = $1";
    FIND_PASSKEY = concat!("SELECT ", passkey_columns!(), " FROM operator_passkeys WHERE credential_id = $1");
    LIST_PASSKEYS = concat!("SELECT ", passkey_columns!(), " FROM operator_passkeys WHERE operator_id = $1
        ORDER BY created_at, credential_id");
    INSERT_PASSKEY = concat!("INSERT INTO operator_passkeys (", passkey_columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING");
    // An authenticator that counts never repeats a number. If a number repeats, another authenticator may have a copy of
    // the key.
    USE_PASSKEY = "UPDATE operator_passkeys SET sign_count = $2, last_used_at = $3
        WHERE credential_id = $1 AND (sign_count = 0 OR sign_count < $2)";
    RENAME_PASSKEY = "UPDATE operator_passkeys SET name = $3 WHERE operator_id = $1 AND credential_id = $2";
    DELETE_PASSKEY = "DELETE FROM operator_passkeys WHERE operator_id = $1 AND credential_id = $2";
    DELETE_PASSKEYS = "DELETE FROM operator_passkeys WHERE operator_id = $1";
    FIND_IDENTITY = concat!("SELECT ", identity_columns!(), " FROM operator_identities
        WHERE issuer = $1 AND subject = $2");
    LIST_IDENTITIES = concat!("SELECT ", identity_columns!(), " FROM operator_identities WHERE operator_id = $1
        ORDER BY issuer, subject");
    INSERT_IDENTITY = concat!("INSERT INTO operator_identities (", identity_columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING");
    USE_IDENTITY = "UPDATE operator_identities SET last_used_at = $3 WHERE issuer = $1 AND subject = $2";
    DELETE_IDENTITY = "DELETE FROM operator_identities WHERE operator_id = $1 AND issuer = $2 AND subject = $3";
    DELETE_IDENTITIES = "DELETE FROM operator_identities WHERE operator_id = $1";
}

row! {
    struct PasswordRow {
        operator_id: String,
        password_hash: Option<String>,
        status: String,
        totp_secret: Option<Vec<u8>>,
    }
}

row! {
    struct PasskeyRow {
        credential_id: Vec<u8>,
        operator_id: String,
        public_key: Vec<u8>,
        alg: i64,
        sign_count: i64,
        name: String,
        created_at: i64,
        last_used_at: Option<i64>,
    }
}

row! {
    struct IdentityRow {
        issuer: String,
        subject: String,
        operator_id: String,
        provider: String,
        created_at: i64,
        last_used_at: Option<i64>,
    }
}

impl TryFrom<PasswordRow> for StoredPassword {
    type Error = StorageError;

    fn try_from(row: PasswordRow) -> Result<Self, StorageError> {
        let PasswordRow { operator_id, password_hash, status, totp_secret } = row;
        Ok(Self { operator_id, password_hash, status: parse("operators.status", &status)?, totp_secret })
    }
}

impl From<PasskeyRow> for StoredPasskey {
    fn from(row: PasskeyRow) -> Self {
        Self {
            credential_id: row.credential_id,
            operator_id: row.operator_id,
            public_key: row.public_key,
            alg: row.alg,
            sign_count: row.sign_count,
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl From<IdentityRow> for Identity {
    fn from(row: IdentityRow) -> Self {
        Self {
            issuer: row.issuer,
            subject: row.subject,
            operator_id: row.operator_id,
            provider: row.provider,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl Storage {
    /// The password of the operator with this email address (in lower case), and what else a sign-in with it is checked
    /// against.
    pub async fn password_by_email(&self, email_key: &str) -> Result<Option<StoredPassword>, StorageError> {
        let row: Option<PasswordRow> =
            on_read!(self, pool => sqlx::query_as(FIND_PASSWORD).bind(email_key).fetch_optional(pool).await)?;
        row.map(StoredPassword::try_from).transpose()
    }

    /// As [`Storage::password_by_email`], by the id of the operator.
    pub async fn password(&self, operator_id: &str) -> Result<Option<StoredPassword>, StorageError> {
        let row: Option<PasswordRow> = on_read!(self, pool => sqlx::query_as(FIND_PASSWORD_BY_ID)
            .bind(operator_id).fetch_optional(pool).await)?;
        row.map(StoredPassword::try_from).transpose()
    }

    /// When the password of an operator was set, and when their authenticator app was confirmed.
    pub async fn password_times(
        &self,
        operator_id: &str,
    ) -> Result<(Option<i64>, Option<i64>), StorageError> {
        let times: Option<(Option<i64>, Option<i64>)> = on_read!(self, pool => sqlx::query_as(PASSWORD_TIMES)
            .bind(operator_id).fetch_optional(pool).await)?;
        Ok(times.unwrap_or_default())
    }

    /// Uses the time step of a code (RFC 6238 §5.2). `false` if this step or a later one was used before.
    pub async fn use_totp_step(&self, operator_id: &str, step: i64) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(USE_TOTP_STEP)
            .bind(operator_id).bind(step).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Uses a recovery code. `false` if the code is unknown or was used before.
    pub async fn use_recovery_code(
        &self,
        operator_id: &str,
        code_hash: &[u8],
        now: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(USE_CODE)
            .bind(operator_id).bind(code_hash).bind(now).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// How many recovery codes of an operator are unused.
    pub async fn count_recovery_codes(&self, operator_id: &str) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(COUNT_CODES).bind(operator_id).fetch_one(pool).await)?)
    }

    /// A passkey by the id that its authenticator gave it.
    pub async fn passkey(&self, credential_id: &[u8]) -> Result<Option<StoredPasskey>, StorageError> {
        let row: Option<PasskeyRow> = on_read!(self, pool => sqlx::query_as(FIND_PASSKEY)
            .bind(credential_id).fetch_optional(pool).await)?;
        Ok(row.map(StoredPasskey::from))
    }

    /// The passkeys of an operator, the oldest first.
    pub async fn passkeys_of(&self, operator_id: &str) -> Result<Vec<StoredPasskey>, StorageError> {
        let rows: Vec<PasskeyRow> =
            on_read!(self, pool => sqlx::query_as(LIST_PASSKEYS).bind(operator_id).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(StoredPasskey::from).collect())
    }

    /// Notes the use of a passkey and its counter. `false` if the authenticator counts and its counter is not above the
    /// stored one, or if the passkey is no longer there.
    pub async fn use_passkey(
        &self,
        credential_id: &[u8],
        sign_count: i64,
        now: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(USE_PASSKEY)
            .bind(credential_id).bind(sign_count).bind(now).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Gives a passkey of an operator another name. `false` if they have no such passkey.
    pub async fn rename_passkey(
        &self,
        operator_id: &str,
        credential_id: &[u8],
        name: &str,
    ) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(RENAME_PASSKEY)
            .bind(operator_id).bind(credential_id).bind(name)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// A linked account by its provider's issuer identifier and its subject there.
    pub async fn identity(&self, issuer: &str, subject: &str) -> Result<Option<Identity>, StorageError> {
        let row: Option<IdentityRow> = on_read!(self, pool => sqlx::query_as(FIND_IDENTITY)
            .bind(issuer).bind(subject).fetch_optional(pool).await)?;
        Ok(row.map(Identity::from))
    }

    /// The linked accounts of an operator.
    pub async fn identities_of(&self, operator_id: &str) -> Result<Vec<Identity>, StorageError> {
        let rows: Vec<IdentityRow> =
            on_read!(self, pool => sqlx::query_as(LIST_IDENTITIES).bind(operator_id).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Identity::from).collect())
    }

    /// Notes the use of a linked account. `false` if it is no longer there.
    pub async fn use_identity(&self, issuer: &str, subject: &str, now: i64) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(USE_IDENTITY)
            .bind(issuer).bind(subject).bind(now).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}

impl Tx {
    /// Sets the password of an operator (a PHC string), or removes it.
    pub async fn set_password(
        &mut self,
        operator_id: &str,
        hash: Option<&str>,
        now: i64,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(SET_PASSWORD)
            .bind(operator_id).bind(hash).bind(hash.map(|_| now)).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Sets the authenticator app of an operator, by its sealed secret and the step that was used to confirm it, or
    /// removes it.
    pub async fn set_totp(
        &mut self,
        operator_id: &str,
        confirmed: Option<(&[u8], i64)>,
        now: i64,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(SET_TOTP)
            .bind(operator_id).bind(confirmed.map(|(sealed, _)| sealed)).bind(confirmed.map(|(_, step)| step))
            .bind(confirmed.map(|_| now)).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Replaces the recovery codes of an operator by the codes with these hashes.
    pub async fn set_recovery_codes(
        &mut self,
        operator_id: &str,
        hashes: &[Vec<u8>],
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(DELETE_CODES)
            .bind(operator_id).execute(&mut *conn).await.map(|_| ()))?;
        for hash in hashes {
            on_tx!(self.db, conn => sqlx::query(INSERT_CODE)
                .bind(operator_id).bind(hash).execute(&mut *conn).await.map(|_| ()))?;
        }
        Ok(())
    }

    /// Adds a passkey. `false` if there is one with this id already.
    pub async fn insert_passkey(&mut self, passkey: &StoredPasskey) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT_PASSKEY)
            .bind(&passkey.credential_id).bind(&passkey.operator_id).bind(&passkey.public_key).bind(passkey.alg)
            .bind(passkey.sign_count).bind(&passkey.name).bind(passkey.created_at).bind(passkey.last_used_at)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Removes a passkey of an operator. `false` if it is not there.
    pub async fn delete_passkey(
        &mut self,
        operator_id: &str,
        credential_id: &[u8],
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE_PASSKEY)
            .bind(operator_id).bind(credential_id).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Links an account to an operator. `false` if it is linked already.
    pub async fn insert_identity(&mut self, identity: &Identity) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT_IDENTITY)
            .bind(&identity.issuer).bind(&identity.subject).bind(&identity.operator_id).bind(&identity.provider)
            .bind(identity.created_at).bind(identity.last_used_at)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Notes the use of a linked account. `false` if it is no longer there.
    pub async fn use_identity(
        &mut self,
        issuer: &str,
        subject: &str,
        now: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(USE_IDENTITY)
            .bind(issuer).bind(subject).bind(now).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Unlinks an account of an operator. `false` if it is not linked.
    pub async fn delete_identity(
        &mut self,
        operator_id: &str,
        issuer: &str,
        subject: &str,
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE_IDENTITY)
            .bind(operator_id).bind(issuer).bind(subject).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Removes every way in of an operator.
    pub async fn delete_ways_in(&mut self, operator_id: &str) -> Result<(), StorageError> {
        self.set_password(operator_id, None, 0).await?;
        self.set_totp(operator_id, None, 0).await?;
        self.set_recovery_codes(operator_id, &[]).await?;
        for sql in [DELETE_PASSKEYS, DELETE_IDENTITIES] {
            on_tx!(self.db, conn => sqlx::query(sql)
                .bind(operator_id).execute(&mut *conn).await.map(|_| ()))?;
        }
        Ok(())
    }
}
