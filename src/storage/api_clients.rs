//! API clients: rows of `api_clients` with their grants in `client_products`.

use sqlx::FromRow;

use super::engine::{on_read, on_tx, statements};
use super::error::parse;
use super::{Storage, StorageError, Tx, touched};
use crate::model::client::{ActiveTokens, ApiClient, ClientRecord};
use crate::model::expiry::TokenExpiry;
use crate::model::page::{Items, Page};
use crate::model::product::Product;
use crate::model::reach::Reach;
use crate::model::secret::ClientSecret;
use crate::model::status::Slot;

macro_rules! columns {
    () => {
        "client_id, ordinal, workspace_id, label, permissions, token_expiry_seconds, notification_emails, allowed_ips,
            signing_alg, expires_at, metadata, disabled_at, active_tokens, replace_grace_seconds, generation, status_list,
            status_idx, slots_suspended_at, created_at, updated_at, version,
            (SELECT string_agg(g.product, ' ') FROM client_products g WHERE g.client_id = api_clients.client_id)
                AS products"
    };
}

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
            version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";
    LOCK = concat!("UPDATE api_clients SET version = version
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2) RETURNING ", columns!());
    UPDATE = "UPDATE api_clients SET label = $2, permissions = $3, token_expiry_seconds = $4, notification_emails = $5,
            allowed_ips = $6, signing_alg = $7, expires_at = $8, metadata = $9, disabled_at = $10, active_tokens = $11,
            replace_grace_seconds = $12, generation = $13, status_list = $14, status_idx = $15, slots_suspended_at = $16,
            updated_at = $17, version = $18
        WHERE client_id = $1";
    DELETE = "DELETE FROM api_clients WHERE client_id = $1";
    GRANT = "INSERT INTO client_products (client_id, product) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    UNGRANT = "DELETE FROM client_products WHERE client_id = $1 AND product = $2";
    SNAPSHOT = "SELECT w.suspended_at, w.never_expires_allowed, (SELECT change_seq FROM service_state WHERE id = 1)
        FROM api_clients c JOIN workspaces w ON w.workspace_id = c.workspace_id WHERE c.client_id = $1";
    SEQ = "SELECT change_seq FROM service_state WHERE id = 1";
    FIRST_MANAGER = concat!("SELECT ", columns!(), " FROM api_clients
        WHERE workspace_id = $1 AND permissions LIKE '%mintmark:manage%' ORDER BY ordinal LIMIT 1");
    ALL_IDS = "SELECT client_id FROM api_clients ORDER BY client_id";
    WORKSPACE_OF = "SELECT workspace_id FROM api_clients
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)";
    IDS_OF_WORKSPACE = "SELECT client_id FROM api_clients WHERE workspace_id = $1 ORDER BY client_id";
    IDS_SIGNED_BY = "SELECT client_id FROM api_clients
        WHERE signing_alg IS NULL OR signing_alg = $1 OR updated_at > $2 ORDER BY client_id";
    EXPIRED_UNMARKED = "SELECT client_id FROM api_clients
        WHERE expires_at IS NOT NULL AND expires_at <= $1 AND slots_suspended_at IS NULL ORDER BY client_id LIMIT $2";
    WITHOUT_SLOT = "SELECT client_id FROM api_clients WHERE status_list IS NULL ORDER BY client_id LIMIT $1";
}

/// What the list of clients is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// The label contains this, whatever its case.
    pub label: Option<String>,
    /// Granted this product.
    pub product: Option<String>,
    /// `active` or `disabled`.
    pub status: Option<String>,
}

/// All that authenticating a client and issuing to it needs, read in one state of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCredentials {
    /// The client.
    pub client: ApiClient,
    /// When its workspace was suspended.
    pub workspace_suspended_at: Option<i64>,
    /// Whether clients of its workspace may have never-expiring tokens.
    pub workspace_never_expires_allowed: bool,
    /// All its secrets; whether one is live is for the moment of use to say.
    pub secrets: Vec<ClientSecret>,
    /// The granted products, by code.
    pub products: Vec<Product>,
}

#[derive(FromRow)]
struct ClientRow {
    client_id: String,
    ordinal: String,
    workspace_id: String,
    label: String,
    permissions: String,
    token_expiry_seconds: Option<i64>,
    notification_emails: String,
    allowed_ips: String,
    signing_alg: Option<String>,
    expires_at: Option<i64>,
    metadata: String,
    disabled_at: Option<i64>,
    active_tokens: String,
    replace_grace_seconds: i64,
    generation: i64,
    status_list: Option<i64>,
    status_idx: Option<i64>,
    slots_suspended_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    version: i64,
    products: Option<String>,
}

impl TryFrom<ClientRow> for ApiClient {
    type Error = StorageError;

    fn try_from(row: ClientRow) -> Result<Self, StorageError> {
        let mut products: Vec<String> =
            row.products.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        products.sort_unstable();
        Ok(Self {
            client_id: row.client_id,
            workspace_id: row.workspace_id,
            label: row.label,
            products,
            permissions: row
                .permissions
                .split_ascii_whitespace()
                .map(|name| parse("api_clients.permissions", name))
                .collect::<Result<_, _>>()?,
            token_expiry: TokenExpiry::from_seconds(row.token_expiry_seconds),
            notification_emails: row.notification_emails.lines().map(str::to_owned).collect(),
            allowed_ips: row
                .allowed_ips
                .split_ascii_whitespace()
                .map(|network| parse("api_clients.allowed_ips", network))
                .collect::<Result<_, _>>()?,
            signing_alg: row.signing_alg.map(|alg| parse("api_clients.signing_alg", &alg)).transpose()?,
            expires_at: row.expires_at,
            metadata: serde_json::from_str(&row.metadata)
                .map_err(|error| StorageError::Damaged(format!("api_clients.metadata: {error}")))?,
            disabled_at: row.disabled_at,
            active_tokens: match row.active_tokens.as_str() {
                "many" => ActiveTokens::Many,
                "replace" => ActiveTokens::Replace { grace_seconds: row.replace_grace_seconds },
                other => {
                    let other = other.escape_debug();
                    return Err(StorageError::Damaged(format!("api_clients.active_tokens is `{other}`")));
                }
            },
            generation: row.generation,
            slot: Slot::from_columns(row.status_list, row.status_idx),
            slots_suspended_at: row.slots_suspended_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}

fn words<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn metadata_json(client: &ApiClient) -> String {
    serde_json::json!(client.metadata).to_string()
}

fn status_alg(client: &ApiClient) -> Option<&'static str> {
    client.signing_alg.map(crate::model::key::Alg::as_str)
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
            // PostgreSQL knows no such text and would refuse the question.
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

    /// Everything about a client that authentication and issuing need, by `client_id` alone, with the value of the
    /// change counter at which it was true. The only read of a tenant's noun without a reach.
    pub async fn credentials(
        &self,
        client_id: &str,
    ) -> Result<(Option<StoredCredentials>, i64), StorageError> {
        let mut tx = Tx { db: self.db.snapshot().await?, changes: Vec::new() };
        let found: Option<(Option<i64>, i64, i64)> =
            on_tx!(tx.db, conn => sqlx::query_as(SNAPSHOT).bind(client_id).fetch_optional(&mut *conn).await)?;
        let Some((workspace_suspended_at, never_expires_allowed, change_seq)) = found else {
            let change_seq = on_tx!(tx.db, conn => sqlx::query_scalar(SEQ).fetch_one(&mut *conn).await)?;
            tx.rollback().await?;
            return Ok((None, change_seq));
        };
        let row: ClientRow = on_tx!(tx.db, conn => sqlx::query_as(FIND)
            .bind(client_id).bind(None::<&str>).fetch_one(&mut *conn).await)?;
        let secrets = tx.secrets(client_id).await?;
        let products = tx.granted_products(client_id).await?;
        tx.rollback().await?;
        let client = row.try_into()?;
        let workspace_never_expires_allowed = never_expires_allowed != 0;
        let stored = StoredCredentials {
            client,
            workspace_suspended_at,
            workspace_never_expires_allowed,
            secrets,
            products,
        };
        Ok((Some(stored), change_seq))
    }

    /// Every `client_id`, for work that goes through all of them.
    pub async fn client_ids(&self) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(ALL_IDS).fetch_all(pool).await)?)
    }

    /// Up to `limit` clients that ended by `now` and whose slots do not say so yet.
    pub async fn clients_ended_unmarked(&self, now: i64, limit: u32) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(EXPIRED_UNMARKED)
            .bind(now).bind(i64::from(limit)).fetch_all(pool).await)?)
    }

    /// Up to `limit` clients that were made before there were slots.
    pub async fn clients_without_slot(&self, limit: u32) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(WITHOUT_SLOT)
            .bind(i64::from(limit)).fetch_all(pool).await)?)
    }
}

/// A `LIKE` pattern for "contains", with the pattern's own signs taken literally. Both sides fold ASCII only (the
/// collation `C` of the statement), so that the answer does not hang on the engine or its locale.
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
            .bind(status_alg(client)).bind(client.expires_at).bind(metadata_json(client)).bind(client.disabled_at)
            .bind(client.active_tokens.as_str()).bind(client.active_tokens.grace_seconds())
            .bind(client.generation).bind(client.slot.map(|slot| slot.list))
            .bind(client.slot.map(|slot| i64::from(slot.idx))).bind(client.slots_suspended_at).bind(client.created_at).bind(client.updated_at).bind(client.version)
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

    /// The workspace of a client within reach; it never changes. Whoever holds both locks the workspace first.
    pub async fn workspace_of_client(
        &mut self,
        reach: &Reach,
        client_id: &str,
    ) -> Result<Option<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(WORKSPACE_OF)
            .bind(client_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?)
    }

    /// The clients of a workspace, in the order in which to lock them.
    pub async fn client_ids_of_workspace(&mut self, workspace_id: &str) -> Result<Vec<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(IDS_OF_WORKSPACE)
            .bind(workspace_id).fetch_all(&mut *conn).await)?)
    }

    /// The clients that may hold tokens by `alg`, in the order in which to lock them: by their algorithm, by that of the
    /// platform, or by one they had until after `since`.
    pub async fn client_ids_signed_by(
        &mut self,
        alg: crate::model::key::Alg,
        since: i64,
    ) -> Result<Vec<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(IDS_SIGNED_BY)
            .bind(alg.as_str()).bind(since).fetch_all(&mut *conn).await)?)
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
            .bind(words(&client.allowed_ips)).bind(status_alg(client)).bind(client.expires_at)
            .bind(metadata_json(client)).bind(client.disabled_at)
            .bind(client.active_tokens.as_str()).bind(client.active_tokens.grace_seconds())
            .bind(client.generation).bind(client.slot.map(|slot| slot.list))
            .bind(client.slot.map(|slot| i64::from(slot.idx))).bind(client.slots_suspended_at)
            .bind(client.updated_at).bind(client.version)
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
