//! API clients: rows of `api_clients` with their grants in `client_products`.

use std::collections::BTreeMap;

use super::rows::{ClientRow, columns, metadata_json, signing_alg, words};
use crate::model::client::{ApiClient, ClientRecord};
use crate::model::reach::Reach;
use crate::storage::engine::{DbTx, EngineSql, json_array, on_tx, statements, within_limit};
use crate::storage::{Storage, StorageError, Tx, touched};

const FREE_POSTGRES: &str = "SELECT client_id FROM api_clients WHERE client_id = $1 FOR UPDATE SKIP LOCKED";

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM api_clients
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)");
    INSERT = "INSERT INTO api_clients (client_id, ordinal, workspace_id, label, permissions, token_expiry_seconds,
            notification_emails, allowed_ips, signing_alg, expires_at, metadata, disabled_at, active_tokens,
            replace_grace_seconds, generation, status_list, status_idx, slots_suspended_at, created_at, updated_at,
            version, description)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
    // -1 means that the client was not used yet.
    INSERT_UNUSED = "INSERT INTO client_uses (client_id, workspace_id, ordinal, last_used_at) VALUES ($1, $2, $3, -1)";
    LOCK = concat!("UPDATE api_clients SET version = version
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2) RETURNING ", columns!());
    UPDATE = "UPDATE api_clients SET label = $2, permissions = $3, token_expiry_seconds = $4, notification_emails = $5,
            allowed_ips = $6, signing_alg = $7, expires_at = $8, metadata = $9, disabled_at = $10, active_tokens = $11,
            replace_grace_seconds = $12, generation = $13, status_list = $14, status_idx = $15, slots_suspended_at = $16,
            updated_at = $17, version = $18, description = $19
        WHERE client_id = $1";
    DELETE = "DELETE FROM api_clients WHERE client_id = $1";
    FIRST_MANAGER = concat!("SELECT ", columns!(), " FROM api_clients
        WHERE workspace_id = $1 AND permissions LIKE '%mintmark:manage%' ORDER BY ordinal LIMIT 1");
    WORKSPACE_OF = "SELECT workspace_id FROM api_clients
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)";
}

// Each engine has its own function to expand an array. SQLite needs the WHERE to tell ON CONFLICT from the ON of a join.
const GRANT: EngineSql = EngineSql {
    sqlite: "INSERT INTO client_products (client_id, product) SELECT $1, value FROM json_each($2)
        WHERE 1 = 1 ON CONFLICT DO NOTHING",
    postgres: "INSERT INTO client_products (client_id, product)
        SELECT $1, jsonb_array_elements_text(CAST($2 AS JSONB)) ON CONFLICT DO NOTHING",
};
const WORKSPACES_OF: EngineSql = EngineSql {
    sqlite: "SELECT client_id, workspace_id FROM api_clients
        WHERE client_id IN (SELECT value FROM json_each($1)) AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)",
    postgres: "SELECT client_id, workspace_id FROM api_clients
        WHERE client_id IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB)))
            AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)",
};
const UNGRANT: EngineSql = EngineSql {
    sqlite: "DELETE FROM client_products WHERE client_id = $1 AND product IN (SELECT value FROM json_each($2))",
    postgres: "DELETE FROM client_products
        WHERE client_id = $1 AND product IN (SELECT jsonb_array_elements_text(CAST($2 AS JSONB)))",
};

impl Storage {
    /// A client within reach, with its secrets that have not expired at `now`.
    pub async fn client(
        &self,
        reach: &Reach,
        client_id: &str,
        now: i64,
    ) -> Result<Option<ClientRecord>, StorageError> {
        let mut tx = self.snapshot().await?;
        let row: Option<ClientRow> = on_tx!(tx.db, conn => sqlx::query_as(FIND)
            .bind(client_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?;
        let Some(row) = row else {
            tx.rollback().await?;
            return Ok(None);
        };
        let secrets = tx.secrets(client_id).await?.into_iter().filter(|secret| secret.is_live(now)).collect();
        let last_used_at = tx.last_uses(&[client_id]).await?.remove(client_id);
        tx.rollback().await?;
        Ok(Some(ClientRecord { client: row.try_into()?, secrets, last_used_at }))
    }
}

impl Tx {
    /// Adds a client with its grants. `ordinal` is a UUIDv7 that determines its place in lists.
    pub async fn insert_client(&mut self, client: &ApiClient, ordinal: &str) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&client.client_id).bind(ordinal).bind(&client.workspace_id).bind(&client.label)
            .bind(words(&client.permissions)).bind(client.token_expiry.seconds())
            .bind(client.notification_emails.join("\n")).bind(words(&client.allowed_ips))
            .bind(signing_alg(client)).bind(client.expires_at).bind(metadata_json(&client.metadata)).bind(client.disabled_at)
            .bind(client.active_tokens.to_string()).bind(client.active_tokens.grace_seconds())
            .bind(client.generation).bind(client.slot.map(|slot| slot.list))
            .bind(client.slot.map(|slot| i64::from(slot.idx))).bind(client.slots_suspended_at)
            .bind(client.created_at).bind(client.updated_at).bind(client.version)
            .bind(client.description.as_deref())
            .execute(&mut *conn).await.map(|_| ()))?;
        on_tx!(self.db, conn => sqlx::query(INSERT_UNUSED)
            .bind(&client.client_id).bind(&client.workspace_id).bind(ordinal)
            .execute(&mut *conn).await.map(|_| ()))?;
        self.grant_products(&client.client_id, &client.products).await
    }

    /// A client within reach, locked until the end of the transaction. Every change of the record of a client begins here, so
    /// that no two changes of one record run at the same time.
    pub async fn lock_client(
        &mut self,
        reach: &Reach,
        client_id: &str,
    ) -> Result<Option<ApiClient>, StorageError> {
        let row: Option<ClientRow> = on_tx!(self.db, conn => sqlx::query_as(LOCK)
            .bind(client_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?;
        let Some(row) = row else { return Ok(None) };
        let mut client = ApiClient::try_from(row)?;
        // Read again, since on PostgreSQL a statement that waited for the lock may have the grants from before the wait.
        client.products =
            self.granted_products(client_id).await?.into_iter().map(|product| product.product).collect();
        Ok(Some(client))
    }

    /// As [`Tx::lock_client`], for a client of any workspace, but also `None` while another transaction has locked the client:
    /// for work that can be done later. On SQLite there is no such transaction: only one writes at a time.
    pub async fn lock_client_unless_held(
        &mut self,
        client_id: &str,
    ) -> Result<Option<ApiClient>, StorageError> {
        if let DbTx::Postgres(tx) = &mut self.db {
            let free = sqlx::query_scalar(FREE_POSTGRES).bind(client_id);
            let free: Option<String> = within_limit(free.fetch_optional(&mut **tx)).await?;
            if free.is_none() {
                return Ok(None);
            }
        }
        self.lock_client(&Reach::Platform, client_id).await
    }

    /// The workspace of a client within reach. A client never changes its workspace. Lock the workspace before the client.
    pub async fn workspace_of_client(
        &mut self,
        reach: &Reach,
        client_id: &str,
    ) -> Result<Option<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(WORKSPACE_OF)
            .bind(client_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?)
    }

    /// The workspaces of those of `client_ids` that are within reach, by client.
    pub async fn workspaces_of_clients(
        &mut self,
        reach: &Reach,
        client_ids: &[&str],
    ) -> Result<BTreeMap<String, String>, StorageError> {
        let (sql, ids) = (self.db.choose(WORKSPACES_OF), json_array(client_ids));
        let rows: Vec<(String, String)> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(&ids).bind(reach.limit()).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().collect())
    }

    /// The oldest client of a workspace with the permission `mintmark:manage`.
    pub async fn first_manager(&mut self, workspace_id: &str) -> Result<Option<ApiClient>, StorageError> {
        let row: Option<ClientRow> = on_tx!(self.db, conn => sqlx::query_as(FIRST_MANAGER)
            .bind(workspace_id).fetch_optional(&mut *conn).await)?;
        row.map(ApiClient::try_from).transpose()
    }

    /// Writes the changeable members of a client, except its grants.
    pub async fn update_client(&mut self, client: &ApiClient) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(UPDATE)
            .bind(&client.client_id).bind(&client.label).bind(words(&client.permissions))
            .bind(client.token_expiry.seconds()).bind(client.notification_emails.join("\n"))
            .bind(words(&client.allowed_ips)).bind(signing_alg(client)).bind(client.expires_at)
            .bind(metadata_json(&client.metadata)).bind(client.disabled_at)
            .bind(client.active_tokens.to_string()).bind(client.active_tokens.grace_seconds())
            .bind(client.generation).bind(client.slot.map(|slot| slot.list))
            .bind(client.slot.map(|slot| i64::from(slot.idx))).bind(client.slots_suspended_at)
            .bind(client.updated_at).bind(client.version)
            .bind(client.description.as_deref())
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Removes a client with its secrets, its grants and its usage. The rows of its tokens stay.
    pub async fn delete_client(&mut self, client_id: &str) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE)
            .bind(client_id).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Grants products to a client.
    pub async fn grant_products(
        &mut self,
        client_id: &str,
        products: &[impl AsRef<str>],
    ) -> Result<(), StorageError> {
        self.change_grants(GRANT, client_id, products).await
    }

    /// Removes products from a client.
    pub async fn ungrant_products(
        &mut self,
        client_id: &str,
        products: &[impl AsRef<str>],
    ) -> Result<(), StorageError> {
        self.change_grants(UNGRANT, client_id, products).await
    }

    async fn change_grants(
        &mut self,
        pair: EngineSql,
        client_id: &str,
        products: &[impl AsRef<str>],
    ) -> Result<(), StorageError> {
        if products.is_empty() {
            return Ok(());
        }
        let sql = self.db.choose(pair);
        let products = json_array(products);
        on_tx!(self.db, conn => sqlx::query(sql)
            .bind(client_id).bind(&products).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
