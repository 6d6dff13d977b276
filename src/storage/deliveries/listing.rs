//! Lists deliveries, and counts what waits and what is given up.

use super::claiming::channel;
use crate::model::delivery::{Channel, Delivery};
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{on_read, row, statements};
use crate::storage::{Storage, StorageError};

// A delivery about an operator has the id of the operator in place of that of a client.
macro_rules! select {
    () => {
        "SELECT d.delivery_id, d.channel, d.kind, d.recipient, d.workspace_id, d.about_id, d.body, d.occurrences,
            d.queued_at, d.attempts, d.next_attempt_at, d.sent_at, d.dead_at, d.last_attempt_at, d.last_status,
            d.last_error, d.last_reply, c.label, o.name
        FROM deliveries d LEFT JOIN api_clients c ON c.client_id = d.about_id
            LEFT JOIN operators o ON o.operator_id = d.about_id"
    };
}

macro_rules! within {
    () => {
        " WHERE (CAST($1 AS TEXT) IS NULL OR d.workspace_id = $1)"
    };
}

statements! {
    ONE = concat!(select!(), within!(), " AND d.delivery_id = $2");
    LIST = concat!(select!(), within!(), "
            AND (CAST($2 AS TEXT) IS NULL OR d.delivery_id < $2)
            AND (CAST($3 AS TEXT) IS NULL OR d.channel = $3)
            AND (CAST($4 AS BIGINT) IS NULL OR d.dead_at IS NOT NULL)
        ORDER BY d.delivery_id DESC LIMIT $5");
    OF_WEBHOOK = concat!(select!(), " WHERE d.channel = 'webhook' AND d.recipient = $1
            AND (CAST($2 AS TEXT) IS NULL OR d.delivery_id < $2)
        ORDER BY d.delivery_id DESC LIMIT $3");
    WAITING = concat!("SELECT COUNT(*), MIN(d.queued_at), COUNT(CASE WHEN d.attempts > 0 THEN 1 END) FROM deliveries d",
        within!(), " AND d.sent_at IS NULL AND d.dead_at IS NULL");
    DEAD = concat!("SELECT COUNT(*) FROM deliveries d", within!(), " AND d.dead_at IS NOT NULL");
    OLDEST = "SELECT MIN(queued_at) FROM deliveries WHERE channel = $1 AND sent_at IS NULL AND dead_at IS NULL";
    COUNT_DEAD = "SELECT COUNT(*) FROM deliveries WHERE channel = $1 AND dead_at IS NOT NULL";
    COUNT_WAITING = "SELECT COUNT(*) FROM deliveries WHERE sent_at IS NULL AND dead_at IS NULL";
}

/// Which deliveries to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those of this channel.
    pub channel: Option<Channel>,
    /// Only those that are given up.
    pub dead: bool,
}

/// What waits, and what is given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many deliveries wait.
    pub waiting: i64,
    /// When the oldest of them was queued.
    pub since: Option<i64>,
    /// How many of them were tried without success, or are being tried.
    pub tried: i64,
    /// How many are given up.
    pub dead: i64,
}

row! {
    struct DeliveryRow {
        delivery_id: String,
        channel: String,
        kind: String,
        recipient: String,
        workspace_id: Option<String>,
        about_id: String,
        body: String,
        occurrences: i64,
        queued_at: i64,
        attempts: i64,
        next_attempt_at: i64,
        sent_at: Option<i64>,
        dead_at: Option<i64>,
        last_attempt_at: Option<i64>,
        last_status: Option<i64>,
        last_error: Option<String>,
        last_reply: Option<String>,
        label: Option<String>,
        name: Option<String>,
    }
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StorageError;

    fn try_from(row: DeliveryRow) -> Result<Self, StorageError> {
        Ok(Self {
            channel: channel(&row.channel)?,
            delivery_id: row.delivery_id,
            kind: row.kind,
            recipient: row.recipient,
            workspace_id: row.workspace_id,
            about_id: row.about_id,
            is_about_client: row.label.is_some(),
            about: row.label.or(row.name),
            body: row.body,
            occurrences: row.occurrences,
            queued_at: row.queued_at,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            sent_at: row.sent_at,
            dead_at: row.dead_at,
            last_attempt_at: row.last_attempt_at,
            last_status: row.last_status,
            last_error: row.last_error,
            last_reply: row.last_reply,
        })
    }
}

fn page_of(rows: Vec<DeliveryRow>, limit: u32) -> Result<Items<Delivery>, StorageError> {
    let rows = rows.into_iter().map(Delivery::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Items::cut(rows, limit, |delivery| delivery.delivery_id.clone()))
}

impl Storage {
    /// A delivery within reach.
    pub async fn delivery(&self, reach: &Reach, delivery_id: &str) -> Result<Option<Delivery>, StorageError> {
        let row: Option<DeliveryRow> = on_read!(self, pool => sqlx::query_as(ONE)
            .bind(reach.limit()).bind(delivery_id).fetch_optional(pool).await)?;
        row.map(Delivery::try_from).transpose()
    }

    /// A page of the deliveries within reach, newest first; with [`Reach::Platform`] also those that belong to no workspace.
    pub async fn deliveries(
        &self,
        reach: &Reach,
        filter: DeliveryFilter,
        page: &Page,
    ) -> Result<Items<Delivery>, StorageError> {
        let rows: Vec<DeliveryRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(reach.limit()).bind(page.after.as_deref()).bind(filter.channel.map(Channel::as_str))
            .bind(filter.dead.then_some(1_i64)).bind(i64::from(page.limit) + 1).fetch_all(pool).await)?;
        page_of(rows, page.limit)
    }

    /// A page of the deliveries of a webhook, newest first.
    pub async fn deliveries_of_webhook(
        &self,
        webhook_id: &str,
        page: &Page,
    ) -> Result<Items<Delivery>, StorageError> {
        let rows: Vec<DeliveryRow> = on_read!(self, pool => sqlx::query_as(OF_WEBHOOK)
            .bind(webhook_id).bind(page.after.as_deref()).bind(i64::from(page.limit) + 1).fetch_all(pool).await)?;
        page_of(rows, page.limit)
    }

    /// What waits within reach, and what is given up.
    pub async fn backlog(&self, reach: &Reach) -> Result<Backlog, StorageError> {
        let (waiting, since, tried) =
            on_read!(self, pool => sqlx::query_as(WAITING).bind(reach.limit()).fetch_one(pool).await)?;
        let dead =
            on_read!(self, pool => sqlx::query_scalar(DEAD).bind(reach.limit()).fetch_one(pool).await)?;
        Ok(Backlog { waiting, since, tried, dead })
    }

    /// When the oldest waiting delivery of a channel was queued, and how many deliveries of the channel are given up.
    pub async fn backlog_of(&self, channel: Channel) -> Result<(Option<i64>, i64), StorageError> {
        let oldest = on_read!(self, pool => sqlx::query_scalar(OLDEST)
            .bind(channel.as_str()).fetch_one(pool).await)?;
        let dead = on_read!(self, pool => sqlx::query_scalar(COUNT_DEAD)
            .bind(channel.as_str()).fetch_one(pool).await)?;
        Ok((oldest, dead))
    }

    /// How many deliveries wait.
    pub async fn count_waiting_deliveries(&self) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(COUNT_WAITING).fetch_one(pool).await)?)
    }
}
