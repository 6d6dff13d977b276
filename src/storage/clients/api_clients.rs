//! API clients: rows of `api_clients` with their grants in `client_products`.

use super::rows::{ClientRow, columns, metadata_json, signing_alg, words};
use crate::model::client::{ApiClient, ClientRecord};
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{on_tx, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM api_clients
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)");
    LIST = concat!("SELECT ", columns!(), " FROM api_clients
        WHERE (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)
            AND (CAST($2 AS TEXT) IS NULL OR ordinal < $2)
            AND (CAST($3 AS TEXT) IS NULL OR LOWER(label COLLATE \"C\") LIKE $3 ESCAPE '!')
            AND (CAST($4 AS TEXT) IS NULL OR EXISTS
                (SELECT 1 FROM client_products p WHERE p.client_id = api_clients.client_id AND p.product = $4))
            AND (CAST($5 AS TEXT) IS NULL OR (CASE WHEN disabled_at IS NULL THEN 'active' ELSE 'disabled' END) = $5)
        ORDER BY ordinal DESC LIMIT $6");
    INSERT = "INSERT INTO api_clients (client_id, ordinal, workspace_id, label, permissions, token_expiry_seconds,
            notification_emails, allowed_ips, signing_alg, expires_at, metadata, disabled_at, active_tokens,
            replace_grace_seconds, generation, status_list, status_idx, slots_suspended_at, created_at, updated_at,
            version, description)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
    LOCK = concat!("UPDATE api_clients SET version = version
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2) RETURNING ", columns!());
    UPDATE = "UPDATE api_clients SET label = $2, permissions = $3, token_expiry_seconds = $4, notification_emails = $5,
            allowed_ips = $6, signing_alg = $7, expires_at = $8, metadata = $9, disabled_at = $10, active_tokens = $11,
            replace_grace_seconds = $12, generation = $13, status_list = $14, status_idx = $15, slots_suspended_at = $16,
            updated_at = $17, version = $18, description = $19
        WHERE client_id = $1";
    DELETE = "DELETE FROM api_clients WHERE client_id = $1";
    GRANT = "INSERT INTO client_products (client_id, product) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    UNGRANT = "DELETE FROM client_products WHERE client_id = $1 AND product = $2";
    FIRST_MANAGER = concat!("SELECT ", columns!(), " FROM api_clients
        WHERE workspace_id = $1 AND permissions LIKE '%mintmark:manage%' ORDER BY ordinal LIMIT 1");
    WORKSPACE_OF = "SELECT workspace_id FROM api_clients
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)";
}

/// Which clients to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// The label contains this, ignoring case.
    pub label: Option<String>,
    /// Granted this product.
    pub product: Option<String>,
    /// `active` or `disabled`.
    pub status: Option<String>,
}

impl Storage {
    /// A client within reach, with its secrets that have not expired at `now`.
    pub async fn client(
        &self,
        reach: &Reach,
        client_id: &str,
        now: i64,
    ) -> Result<Option<ClientRecord>, StorageError> {
        let mut tx = Tx { db: self.db.snapshot().await?, changes: Vec::new() };
        let row: Option<ClientRow> = on_tx!(tx.db, conn => sqlx::query_as(FIND)
            .bind(client_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?;
        let Some(row) = row else {
            tx.rollback().await?;
            return Ok(None);
        };
        let secrets = tx.secrets(client_id).await?.into_iter().filter(|secret| secret.is_live(now)).collect();
        tx.rollback().await?;
        Ok(Some(ClientRecord { client: row.try_into()?, secrets }))
    }

    /// A page of the clients within reach, newest first, with their secrets that have not expired at `now`.
    pub async fn clients(
        &self,
        reach: &Reach,
        workspace_id: Option<&str>,
        filter: &ClientFilter,
        page: &Page,
        now: i64,
    ) -> Result<Items<ClientRecord>, StorageError> {
        if let Some(workspace_id) = workspace_id
            && !reach.covers(workspace_id)
        {
            return Ok(Items { items: Vec::new(), next_after: None });
        }
        if [&filter.label, &filter.product, &filter.status]
            .into_iter()
            .flatten()
            .any(|text| text.contains('\0'))
        {
            // PostgreSQL has no such text and would refuse the query.
            return Ok(Items { items: Vec::new(), next_after: None });
        }
        let label = filter.label.as_deref().map(contains_pattern);
        let mut tx = Tx { db: self.db.snapshot().await?, changes: Vec::new() };
        let rows: Vec<ClientRow> = on_tx!(tx.db, conn => sqlx::query_as(LIST)
            .bind(workspace_id.or(reach.limit())).bind(page.after.as_deref()).bind(label.as_deref())
            .bind(filter.product.as_deref()).bind(filter.status.as_deref()).bind(i64::from(page.limit) + 1)
            .fetch_all(&mut *conn).await)?;
        let cut = Items::cut(rows, page.limit, |row| row.ordinal.clone());
        let mut items = Vec::with_capacity(cut.items.len());
        for row in cut.items {
            let client = ApiClient::try_from(row)?;
            let mut secrets = tx.secrets(&client.client_id).await?;
            secrets.retain(|secret| secret.is_live(now));
            items.push(ClientRecord { client, secrets });
        }
        tx.rollback().await?;
        Ok(Items { items, next_after: cut.next_after })
    }
}

/// A `LIKE` pattern for "contains", with the pattern's own signs taken literally. Both sides fold ASCII only (the
/// collation `C` of the statement), so that the answer does not depend on the engine or its locale.
fn contains_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

impl Tx {
    /// Adds a client with its grants. `ordinal` is a UUIDv7 that places it in the list.
    pub async fn insert_client(&mut self, client: &ApiClient, ordinal: &str) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&client.client_id).bind(ordinal).bind(&client.workspace_id).bind(&client.label)
            .bind(words(&client.permissions)).bind(client.token_expiry.seconds())
            .bind(client.notification_emails.join("\n")).bind(words(&client.allowed_ips))
            .bind(signing_alg(client)).bind(client.expires_at).bind(metadata_json(client)).bind(client.disabled_at)
            .bind(client.active_tokens.as_str()).bind(client.active_tokens.grace_seconds())
            .bind(client.generation).bind(client.slot.map(|slot| slot.list))
            .bind(client.slot.map(|slot| i64::from(slot.idx))).bind(client.slots_suspended_at)
            .bind(client.created_at).bind(client.updated_at).bind(client.version)
            .bind(client.description.as_deref())
            .execute(&mut *conn).await.map(|_| ()))?;
        for product in &client.products {
            self.grant_product(&client.client_id, product).await?;
        }
        Ok(())
    }

    /// A client within reach, locked until the end of the transaction. Every change of a client begins here, so that
    /// changes of one client come one after the other.
    pub async fn lock_client(
        &mut self,
        reach: &Reach,
        client_id: &str,
    ) -> Result<Option<ApiClient>, StorageError> {
        let row: Option<ClientRow> = on_tx!(self.db, conn => sqlx::query_as(LOCK)
            .bind(client_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?;
        let Some(row) = row else { return Ok(None) };
        let mut client = ApiClient::try_from(row)?;
        // Read anew, since a statement that waited for the lock may have the grants from before the wait.
        client.products =
            self.granted_products(client_id).await?.into_iter().map(|product| product.product).collect();
        Ok(Some(client))
    }

    /// The workspace of a client within reach; it never changes. Lock the workspace before the client.
    pub async fn workspace_of_client(
        &mut self,
        reach: &Reach,
        client_id: &str,
    ) -> Result<Option<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(WORKSPACE_OF)
            .bind(client_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?)
    }

    /// The oldest client of a workspace that may manage.
    pub async fn first_manager(&mut self, workspace_id: &str) -> Result<Option<ApiClient>, StorageError> {
        let row: Option<ClientRow> = on_tx!(self.db, conn => sqlx::query_as(FIRST_MANAGER)
            .bind(workspace_id).fetch_optional(&mut *conn).await)?;
        row.map(ApiClient::try_from).transpose()
    }

    /// Writes the changeable members of a client, its grants excepted.
    pub async fn update_client(&mut self, client: &ApiClient) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(UPDATE)
            .bind(&client.client_id).bind(&client.label).bind(words(&client.permissions))
            .bind(client.token_expiry.seconds()).bind(client.notification_emails.join("\n"))
            .bind(words(&client.allowed_ips)).bind(signing_alg(client)).bind(client.expires_at)
            .bind(metadata_json(client)).bind(client.disabled_at)
            .bind(client.active_tokens.as_str()).bind(client.active_tokens.grace_seconds())
            .bind(client.generation).bind(client.slot.map(|slot| slot.list))
            .bind(client.slot.map(|slot| i64::from(slot.idx))).bind(client.slots_suspended_at)
            .bind(client.updated_at).bind(client.version)
            .bind(client.description.as_deref())
            .execute(&mut *conn).await?.rows_affected());
        Ok(touched(rows))
    }

    /// Removes a client with its secrets and grants.
    pub async fn delete_client(&mut self, client_id: &str) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE)
            .bind(client_id).execute(&mut *conn).await?.rows_affected());
        Ok(touched(rows))
    }

    /// Grants a product to a client.
    pub async fn grant_product(&mut self, client_id: &str, product: &str) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(GRANT)
            .bind(client_id).bind(product).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Takes a product from a client.
    pub async fn ungrant_product(&mut self, client_id: &str, product: &str) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(UNGRANT)
            .bind(client_id).bind(product).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
