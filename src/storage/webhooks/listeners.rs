//! Which active webhooks get the events of a commit: one indexed read for each kind of event.

use super::records::read_events;
use crate::model::webhook::Events;
use crate::storage::engine::{EngineSql, json_array, on_tx, row, statements};
use crate::storage::{StorageError, Tx};

macro_rules! selected {
    () => {
        "SELECT webhook_id, workspace_id, host, events FROM webhooks WHERE disabled_reason IS NULL AND "
    };
}

statements! {
    TO_STATUS_LISTS = concat!(selected!(), "names_status_lists = 1 ORDER BY webhook_id");
    TO_CHECKPOINTS = concat!(selected!(), "names_checkpoints = 1 ORDER BY webhook_id");
}

const OF_WORKSPACES: EngineSql = EngineSql {
    sqlite: concat!(selected!(), "workspace_id IN (SELECT value FROM json_each($1)) ORDER BY webhook_id"),
    postgres: concat!(
        selected!(),
        "workspace_id IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB))) ORDER BY webhook_id"
    ),
};

/// A webhook that may get an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its id.
    pub webhook_id: String,
    /// The workspace whose events it gets; a webhook of the workspace `platform` gets the events of all workspaces.
    pub workspace_id: String,
    /// Host and port of its URL.
    pub host: String,
    /// The events it gets.
    pub events: Events,
}

row! {
    struct ListenerRow {
        webhook_id: String,
        workspace_id: String,
        host: String,
        events: Option<String>,
    }
}

impl From<ListenerRow> for Listener {
    fn from(row: ListenerRow) -> Self {
        Self {
            webhook_id: row.webhook_id,
            workspace_id: row.workspace_id,
            host: row.host,
            events: read_events(row.events.as_deref()),
        }
    }
}

impl Tx {
    /// The active webhooks of these workspaces.
    pub async fn webhooks_of(&mut self, workspace_ids: &[&str]) -> Result<Vec<Listener>, StorageError> {
        let (sql, ids) = (self.db.choose(OF_WORKSPACES), json_array(workspace_ids));
        let rows: Vec<ListenerRow> =
            on_tx!(self.db, conn => sqlx::query_as(sql).bind(&ids).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(Listener::from).collect())
    }

    /// The active webhooks, of any workspace, that name the event of a changed status list.
    pub async fn webhooks_to_status_lists(&mut self) -> Result<Vec<Listener>, StorageError> {
        self.listeners(TO_STATUS_LISTS).await
    }

    /// The active webhooks, of any workspace, that name the event of a checkpoint.
    pub async fn webhooks_to_checkpoints(&mut self) -> Result<Vec<Listener>, StorageError> {
        self.listeners(TO_CHECKPOINTS).await
    }

    async fn listeners(&mut self, sql: &'static str) -> Result<Vec<Listener>, StorageError> {
        let rows: Vec<ListenerRow> =
            on_tx!(self.db, conn => sqlx::query_as(sql).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().map(Listener::from).collect())
    }
}
