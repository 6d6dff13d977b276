//! Records of webhooks: rows of `webhooks`. A transaction that locks a webhook and its workspace locks the workspace first.

use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::model::webhook::{AUDIT_CHECKPOINT, Disabled, Events, STATUS_LIST_CHANGED, Webhook};
use crate::storage::engine::{on_read, on_tx, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! columns {
    () => {
        "webhook_id, workspace_id, url, host, events, description, disabled_reason, public_key, failing_since, created_at,
            updated_at, version"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM webhooks
        WHERE webhook_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)");
    LIST = concat!("SELECT ", columns!(), " FROM webhooks
        WHERE workspace_id = $1 AND (CAST($2 AS TEXT) IS NULL OR webhook_id > $2) ORDER BY webhook_id LIMIT $3");
    COUNT = "SELECT COUNT(*) FROM webhooks WHERE workspace_id = $1";
    INSERT = concat!("INSERT INTO webhooks (", columns!(), ", names_status_lists, names_checkpoints)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");
    LOCK = concat!("UPDATE webhooks SET version = version
        WHERE webhook_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2) RETURNING ", columns!());
    UPDATE = "UPDATE webhooks SET url = $2, host = $3, events = $4, description = $5, disabled_reason = $6, public_key = $7,
        failing_since = $8, updated_at = $9, version = $10, names_status_lists = $11, names_checkpoints = $12
        WHERE webhook_id = $1";
    DELETE = "DELETE FROM webhooks WHERE webhook_id = $1";
    DELETE_OF_WORKSPACE = "DELETE FROM webhooks WHERE workspace_id = $1 RETURNING webhook_id";
    FAILS = "UPDATE webhooks SET failing_since = COALESCE(failing_since, CAST($2 AS BIGINT)) WHERE webhook_id = $1
        RETURNING failing_since";
    WORKS = "UPDATE webhooks SET failing_since = NULL WHERE webhook_id = $1 AND failing_since IS NOT NULL";
}

row! {
    struct WebhookRow {
        webhook_id: String,
        workspace_id: String,
        url: String,
        host: String,
        events: Option<String>,
        description: Option<String>,
        disabled_reason: Option<String>,
        public_key: String,
        failing_since: Option<i64>,
        created_at: i64,
        updated_at: i64,
        version: i64,
    }
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StorageError;

    fn try_from(row: WebhookRow) -> Result<Self, StorageError> {
        let disabled = row.disabled_reason.map(|reason| {
            let damaged =
                || StorageError::Damaged(format!("webhooks.disabled_reason is `{}`", reason.escape_debug()));
            reason.parse().map_err(|()| damaged())
        });
        Ok(Self {
            webhook_id: row.webhook_id,
            workspace_id: row.workspace_id,
            url: row.url,
            host: row.host,
            events: read_events(row.events.as_deref()),
            description: row.description,
            disabled: disabled.transpose()?,
            public_key: row.public_key,
            failing_since: row.failing_since,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}

/// The events in a row: patterns, separated by spaces; `None` for the usual events.
pub(super) fn read_events(patterns: Option<&str>) -> Events {
    patterns.map_or(Events::Usual, |patterns| {
        Events::Named(patterns.split_ascii_whitespace().map(str::to_owned).collect())
    })
}

fn written(events: &Events) -> Option<String> {
    events.patterns().map(|patterns| patterns.join(" "))
}

fn names(webhook: &Webhook, event: &str) -> i64 {
    i64::from(webhook.events.include(event))
}

impl Storage {
    /// A webhook within reach.
    pub async fn webhook(&self, reach: &Reach, webhook_id: &str) -> Result<Option<Webhook>, StorageError> {
        let row: Option<WebhookRow> = on_read!(self, pool => sqlx::query_as(FIND)
            .bind(webhook_id).bind(reach.limit()).fetch_optional(pool).await)?;
        row.map(Webhook::try_from).transpose()
    }

    /// A page of the webhooks of a workspace, in the order in which they were created.
    pub async fn webhooks(&self, workspace_id: &str, page: &Page) -> Result<Items<Webhook>, StorageError> {
        let rows: Vec<WebhookRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(workspace_id).bind(page.after.as_deref()).bind(i64::from(page.limit) + 1).fetch_all(pool).await)?;
        let cut = Items::cut(rows, page.limit, |row| row.webhook_id.clone());
        let items = cut.items.into_iter().map(Webhook::try_from).collect::<Result<_, _>>()?;
        let mut total = None;
        if page.count {
            total = Some(
                on_read!(self, pool => sqlx::query_scalar(COUNT).bind(workspace_id).fetch_one(pool).await)?,
            );
        }
        Ok(Items { items, next_after: cut.next_after, total: None }.counted(total))
    }
}

impl Tx {
    /// How many webhooks a workspace has.
    pub async fn count_webhooks(&mut self, workspace_id: &str) -> Result<i64, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(COUNT).bind(workspace_id).fetch_one(&mut *conn).await)?)
    }

    /// Adds a webhook.
    pub async fn insert_webhook(&mut self, webhook: &Webhook) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&webhook.webhook_id).bind(&webhook.workspace_id).bind(&webhook.url).bind(&webhook.host)
            .bind(written(&webhook.events)).bind(webhook.description.as_deref())
            .bind(webhook.disabled.map(Disabled::as_str)).bind(&webhook.public_key).bind(webhook.failing_since)
            .bind(webhook.created_at).bind(webhook.updated_at).bind(webhook.version)
            .bind(names(webhook, STATUS_LIST_CHANGED)).bind(names(webhook, AUDIT_CHECKPOINT))
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// A webhook within reach, locked until the end of the transaction.
    pub async fn lock_webhook(
        &mut self,
        reach: &Reach,
        webhook_id: &str,
    ) -> Result<Option<Webhook>, StorageError> {
        let row: Option<WebhookRow> = on_tx!(self.db, conn => sqlx::query_as(LOCK)
            .bind(webhook_id).bind(reach.limit()).fetch_optional(&mut *conn).await)?;
        row.map(Webhook::try_from).transpose()
    }

    /// Writes the changeable members of a webhook.
    pub async fn update_webhook(&mut self, webhook: &Webhook) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(UPDATE)
            .bind(&webhook.webhook_id).bind(&webhook.url).bind(&webhook.host).bind(written(&webhook.events))
            .bind(webhook.description.as_deref()).bind(webhook.disabled.map(Disabled::as_str))
            .bind(&webhook.public_key).bind(webhook.failing_since).bind(webhook.updated_at).bind(webhook.version)
            .bind(names(webhook, STATUS_LIST_CHANGED)).bind(names(webhook, AUDIT_CHECKPOINT))
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Removes a webhook with its keys.
    pub async fn delete_webhook(&mut self, webhook_id: &str) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE)
            .bind(webhook_id).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Removes the webhooks of a workspace with their keys. Returns their ids.
    pub async fn delete_webhooks_of_workspace(
        &mut self,
        workspace_id: &str,
    ) -> Result<Vec<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(DELETE_OF_WORKSPACE)
            .bind(workspace_id).fetch_all(&mut *conn).await)?)
    }

    /// Notes that a delivery to a webhook succeeded, if others failed before.
    pub async fn note_webhook_success(&mut self, webhook_id: &str) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(WORKS).bind(webhook_id).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Notes that a delivery to a webhook failed. Returns since when deliveries to it fail; `None` if there is no such webhook.
    pub async fn note_webhook_failure(
        &mut self,
        webhook_id: &str,
        now: i64,
    ) -> Result<Option<i64>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(FAILS)
            .bind(webhook_id).bind(now).fetch_optional(&mut *conn).await)?)
    }
}
