//! Client secrets: rows of `client_secrets`. Only MACs come here; the plain secret cannot.

use crate::model::clock::UnixSeconds;
use crate::model::secret::ClientSecret;
use crate::storage::engine::{on_tx, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! columns {
    () => {
        "secret_id, client_id, mac, last_four, created_at, expires_at, last_used_at"
    };
}

statements! {
    OF_CLIENT = concat!("SELECT ", columns!(), " FROM client_secrets WHERE client_id = $1 ORDER BY secret_id");
    INSERT = concat!("INSERT INTO client_secrets (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)");
    EXPIRE_OTHERS = "UPDATE client_secrets SET expires_at = $3
        WHERE client_id = $1 AND secret_id <> $2 AND (expires_at IS NULL OR expires_at > $3)";
    DELETE = "DELETE FROM client_secrets WHERE client_id = $1 AND secret_id = $2";
    DELETE_EXPIRED = "DELETE FROM client_secrets WHERE client_id = $1 AND expires_at <= $2";
    TOUCH = "UPDATE client_secrets SET last_used_at = $2
        WHERE secret_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
}

row! {
    struct SecretRow {
        secret_id: String,
        client_id: String,
        mac: Vec<u8>,
        last_four: String,
        created_at: i64,
        expires_at: Option<i64>,
        last_used_at: Option<i64>,
    }
}

impl From<SecretRow> for ClientSecret {
    fn from(row: SecretRow) -> Self {
        Self {
            secret_id: row.secret_id,
            client_id: row.client_id,
            mac: row.mac,
            last_four: row.last_four,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl Storage {
    /// Notes when secrets were last accepted. Changes no version and no cache.
    pub async fn touch_secrets(&self, uses: &[(String, UnixSeconds)]) -> Result<(), StorageError> {
        self.touch(TOUCH, uses).await
    }
}

impl Tx {
    /// All secrets of a client, expired ones too, oldest first.
    pub async fn secrets(&mut self, client_id: &str) -> Result<Vec<ClientSecret>, StorageError> {
        let rows: Vec<SecretRow> =
            on_tx!(self.db, conn => sqlx::query_as(OF_CLIENT).bind(client_id).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(ClientSecret::from).collect())
    }

    /// Adds a secret to a client.
    pub async fn insert_secret(&mut self, secret: &ClientSecret) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&secret.secret_id).bind(&secret.client_id).bind(&secret.mac).bind(&secret.last_four)
            .bind(secret.created_at).bind(secret.expires_at).bind(secret.last_used_at)
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Lets every other secret of the client end at `at`, those that end sooner excepted.
    pub async fn expire_other_secrets(
        &mut self,
        client_id: &str,
        kept: &str,
        at: UnixSeconds,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(EXPIRE_OTHERS)
            .bind(client_id).bind(kept).bind(at).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Removes one secret of a client.
    pub async fn delete_secret(&mut self, client_id: &str, secret_id: &str) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE)
            .bind(client_id).bind(secret_id).execute(&mut *conn).await?.rows_affected());
        Ok(touched(rows))
    }

    /// Removes the secrets of a client that have expired at `now`.
    pub async fn delete_expired_secrets(
        &mut self,
        client_id: &str,
        now: UnixSeconds,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(DELETE_EXPIRED)
            .bind(client_id).bind(now).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
