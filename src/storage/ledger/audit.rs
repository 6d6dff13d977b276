//! The audit trail: rows of `audit_events`, written in the transaction of the change they record.

use crate::model::audit::{Actor, AuditEvent};
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{on_read, on_tx, on_write, row, statements};
use crate::storage::{Storage, StorageError, Tx};

macro_rules! columns {
    () => {
        "event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail"
    };
}

macro_rules! matching {
    () => {
        " FROM audit_events
        WHERE (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)
            AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)
            AND (CAST($3 AS TEXT) IS NULL OR client_id = $3)
            AND (CAST($4 AS TEXT) IS NULL OR action = $4)
            AND (CAST($5 AS BIGINT) IS NULL OR at >= $5)
            AND (CAST($6 AS BIGINT) IS NULL OR at < $6)"
    };
}

statements! {
    COUNT = concat!("SELECT COUNT(*)", matching!());
    INSERT = concat!("INSERT INTO audit_events (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    LIST = concat!("SELECT ", columns!(), matching!(), "
            AND (CAST($7 AS TEXT) IS NULL OR event_id < $7)
        ORDER BY event_id DESC LIMIT $8");
    PURGE = "DELETE FROM audit_events WHERE event_id IN
        (SELECT event_id FROM audit_events WHERE event_id < $1 ORDER BY event_id LIMIT $2)";
}

/// Which events to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only this workspace.
    pub workspace_id: Option<String>,
    /// Only this API client.
    pub client_id: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// From this instant on.
    pub since: Option<i64>,
    /// Before this instant.
    pub until: Option<i64>,
}

row! {
    struct EventRow {
        event_id: String,
        at: i64,
        actor: String,
        action: String,
        workspace_id: Option<String>,
        client_id: Option<String>,
        target: String,
        request_id: Option<String>,
        source_ip: Option<String>,
        detail: String,
    }
}

impl TryFrom<EventRow> for AuditEvent {
    type Error = StorageError;

    fn try_from(row: EventRow) -> Result<Self, StorageError> {
        Ok(Self {
            event_id: row.event_id,
            at: row.at,
            actor: Actor { name: row.actor, request_id: row.request_id, source_ip: row.source_ip },
            action: row.action,
            workspace_id: row.workspace_id,
            client_id: row.client_id,
            target: row.target,
            detail: serde_json::from_str(&row.detail)
                .map_err(|error| StorageError::Damaged(format!("audit_events.detail: {error}")))?,
        })
    }
}

impl Storage {
    /// A page of the audit trail within reach, newest first.
    pub async fn audit_events(
        &self,
        reach: &Reach,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Items<AuditEvent>, StorageError> {
        if [&filter.workspace_id, &filter.client_id, &filter.action]
            .into_iter()
            .flatten()
            .any(|text| text.contains('\0'))
        {
            // PostgreSQL has no such text and would refuse the query.
            return Ok(Items::none(page));
        }
        let rows: Vec<EventRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(reach.limit()).bind(filter.workspace_id.as_deref()).bind(filter.client_id.as_deref())
            .bind(filter.action.as_deref()).bind(filter.since).bind(filter.until).bind(page.after.as_deref())
            .bind(i64::from(page.limit) + 1)
            .fetch_all(pool).await)?;
        let cut = Items::cut(rows, page.limit, |row| row.event_id.clone());
        let items = cut.items.into_iter().map(AuditEvent::try_from).collect::<Result<_, _>>()?;
        let mut total = None;
        if page.count {
            total = Some(on_read!(self, pool => sqlx::query_scalar(COUNT)
                .bind(reach.limit()).bind(filter.workspace_id.as_deref()).bind(filter.client_id.as_deref())
                .bind(filter.action.as_deref()).bind(filter.since).bind(filter.until)
                .fetch_one(pool).await)?);
        }
        Ok(Items { items, next_after: cut.next_after, total: None }.counted(total))
    }
}

impl Storage {
    /// Deletes up to `limit` of the oldest events whose id sorts before `before`. Returns how many.
    pub async fn purge_audit_events(&self, before: &str, limit: u32) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE)
            .bind(before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))
    }
}

impl Tx {
    /// Records an audit event with the change of this transaction. It is written by [`Tx::commit`], after everything else.
    pub fn audit(&mut self, event: AuditEvent) {
        self.events.push(event);
    }

    /// The audit events recorded so far, in order.
    pub fn events(&self) -> &[AuditEvent] {
        &self.events
    }

    /// Writes the recorded events, as the last statements before the commit.
    pub(in crate::storage) async fn write_events(&mut self) -> Result<(), StorageError> {
        for event in std::mem::take(&mut self.events) {
            on_tx!(self.db, conn => sqlx::query(INSERT)
                .bind(&event.event_id).bind(event.at).bind(&event.actor.name).bind(&event.action)
                .bind(event.workspace_id.as_deref()).bind(event.client_id.as_deref()).bind(&event.target)
                .bind(event.actor.request_id.as_deref()).bind(event.actor.source_ip.as_deref())
                .bind(serde_json::Value::Object(event.detail.clone()).to_string())
                .execute(&mut *conn).await.map(|_| ()))?;
        }
        Ok(())
    }
}
