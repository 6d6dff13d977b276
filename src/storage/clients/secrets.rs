//! Client secrets: rows of `client_secrets`. A row has the MAC and the last four characters of a secret; the whole secret never
//! gets here.

use std::collections::HashMap;
use std::ops::Deref;

use crate::model::clock::UnixSeconds;
use crate::model::secret::ClientSecret;
use crate::storage::engine::{EngineSql, json_array, on_tx, row, statements};
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
    TOUCH_CLIENT = "UPDATE client_uses SET last_used_at = $2 WHERE client_id = $1 AND last_used_at < $2";
}

const TOUCH: EngineSql = EngineSql {
    sqlite: "UPDATE client_secrets SET last_used_at = used.value FROM jsonb_each($1) used
        WHERE secret_id = used.key AND (last_used_at IS NULL OR last_used_at < used.value)",
    postgres: "UPDATE client_secrets SET last_used_at = $2
        WHERE secret_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
};
const TOUCH_CLIENT_OF: EngineSql = EngineSql {
    sqlite: "UPDATE client_uses SET last_used_at = used.at
        FROM (SELECT s.client_id AS client_id, MAX(given.value) AS at FROM jsonb_each($1) given
            CROSS JOIN client_secrets s ON s.secret_id = given.key GROUP BY s.client_id) used
        WHERE client_uses.client_id = used.client_id AND client_uses.last_used_at < used.at",
    postgres: "UPDATE client_uses SET last_used_at = $2
        WHERE client_id = (SELECT client_id FROM client_secrets WHERE secret_id = $1) AND last_used_at < $2",
};

const OF_CLIENTS: EngineSql = EngineSql {
    sqlite: concat!(
        "SELECT ",
        columns!(),
        " FROM client_secrets
        WHERE client_id IN (SELECT value FROM json_each($1)) AND (expires_at IS NULL OR expires_at > $2)
        ORDER BY secret_id"
    ),
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM client_secrets
        WHERE client_id IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB)))
            AND (expires_at IS NULL OR expires_at > $2)
        ORDER BY secret_id"
    ),
};

const WITH_IDS: EngineSql = EngineSql {
    sqlite: concat!(
        "SELECT ",
        columns!(),
        " FROM client_secrets WHERE secret_id IN (SELECT value FROM json_each($1)) ORDER BY secret_id"
    ),
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM client_secrets WHERE secret_id IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB))) ORDER BY secret_id"
    ),
};

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
            // The rest is in other tables, which `Storage::uses_of_secrets` reads.
            last_used_from: None,
            first_used_at: None,
            used_last_24h: 0,
        }
    }
}

impl Storage {
    /// Writes when secrets, and so their clients, were last accepted. Changes no version and invalidates no cache.
    pub async fn touch_secrets(
        &self,
        uses: &[(impl Deref<Target = str>, UnixSeconds)],
    ) -> Result<(), StorageError> {
        self.touch(&[TOUCH, TOUCH_CLIENT_OF], uses).await
    }
}

impl Tx {
    /// All secrets of a client, expired ones too, oldest first.
    pub async fn secrets(&mut self, client_id: &str) -> Result<Vec<ClientSecret>, StorageError> {
        let rows: Vec<SecretRow> =
            on_tx!(self.db, conn => sqlx::query_as(OF_CLIENT).bind(client_id).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(ClientSecret::from).collect())
    }

    /// The secrets with these ids. Those that do not exist are left out.
    pub async fn secrets_with_ids(&mut self, secret_ids: &[&str]) -> Result<Vec<ClientSecret>, StorageError> {
        let (sql, ids) = (self.db.choose(WITH_IDS), json_array(secret_ids));
        let rows: Vec<SecretRow> =
            on_tx!(self.db, conn => sqlx::query_as(sql).bind(&ids).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(ClientSecret::from).collect())
    }

    /// The secrets of these clients, without those that have expired at `now`: by client, oldest first.
    pub(super) async fn secrets_of_clients(
        &mut self,
        client_ids: &[&str],
        now: UnixSeconds,
    ) -> Result<HashMap<String, Vec<ClientSecret>>, StorageError> {
        let (sql, ids) = (self.db.choose(OF_CLIENTS), json_array(client_ids));
        let rows: Vec<SecretRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(&ids).bind(now).fetch_all(&mut *conn).await)?;
        let mut by_client: HashMap<String, Vec<ClientSecret>> = HashMap::new();
        for row in rows {
            by_client.entry(row.client_id.clone()).or_default().push(row.into());
        }
        Ok(by_client)
    }

    /// Writes that a client got a token at `at` without authenticating.
    pub async fn touch_client(&mut self, client_id: &str, at: UnixSeconds) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(TOUCH_CLIENT)
            .bind(client_id).bind(at).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Adds a secret to a client.
    pub async fn insert_secret(&mut self, secret: &ClientSecret) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&secret.secret_id).bind(&secret.client_id).bind(&secret.mac).bind(&secret.last_four)
            .bind(secret.created_at).bind(secret.expires_at).bind(secret.last_used_at)
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Makes every secret of the client but `kept` expire at `at`, unless it expires sooner.
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
            .bind(client_id).bind(secret_id).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
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
