//! The audit trail: rows of `audit_events`, added by the last statements of the transaction of the change that they record.
//! They get their numbers in the tree in the same transaction. As long as events from before the tree still wait for their
//! numbers, new events wait too. [`super::audit_tree`] keeps the tree.

use sqlx::{PgConnection, SqliteConnection};

use crate::model::audit::{Actor, AuditEvent, Place, Recorded};
use crate::model::audit_entry::{Entry, event_of};
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{DbTx, on_read, row, statements, within_limit};
use crate::storage::{Storage, StorageError, Tx};

macro_rules! columns {
    () => {
        "event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail, log, seq, entry"
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
    // The row of the tree is locked from here to the commit, so numbers become visible in order and without gaps.
    RESERVE = "UPDATE audit_trees SET size = size + CASE WHEN opened_at IS NULL THEN 0 ELSE $1 END
        WHERE ended_at IS NULL RETURNING log, CASE WHEN opened_at IS NULL THEN NULL ELSE size END";
    // The detail is in the entry. The column `detail` has it only for events from before there were entries.
    INSERT = "INSERT INTO audit_events (event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip,
            detail, log, seq, entry, leaf)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '{}', $10, $11, $12, $13)";
    LIST = concat!("SELECT ", columns!(), matching!(), "
            AND (CAST($7 AS TEXT) IS NULL OR event_id < $7)
        ORDER BY event_id DESC LIMIT $8");
}

/// Makes transactions take turns at the tree on PostgreSQL, before an `UPDATE … FROM turn` of its row. Transactions that
/// wait for an updated row all wake up at each update and queue again; those that wait for this lock wake up one by one.
macro_rules! turn {
    () => {
        "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(CAST(CAST('audit_trees' AS REGCLASS) AS BIGINT)))"
    };
}
pub(super) use turn;

/// `RESERVE` and `INSERT` as one statement, so that the tree is locked for one round trip less.
const APPEND_ON_POSTGRES: &str = concat!(
    turn!(),
    ", place AS
    (UPDATE audit_trees SET size = size + CASE WHEN opened_at IS NULL THEN 0 ELSE $1 END
        FROM turn WHERE ended_at IS NULL RETURNING log, opened_at, size - $1 AS first)
    INSERT INTO audit_events (event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail,
        log, seq, entry, leaf)
    SELECT new.event_id, new.at, new.actor, new.action, new.workspace_id, new.client_id, new.target, new.request_id,
        new.source_ip, '{}', CASE WHEN place.opened_at IS NOT NULL THEN place.log END,
        CASE WHEN place.opened_at IS NOT NULL THEN place.first + new.number - 1 END, new.entry, new.leaf
    FROM place, UNNEST(CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]), CAST($4 AS TEXT[]), CAST($5 AS TEXT[]), CAST($6 AS TEXT[]),
        CAST($7 AS TEXT[]), CAST($8 AS TEXT[]), CAST($9 AS TEXT[]), CAST($10 AS TEXT[]), CAST($11 AS TEXT[]),
        CAST($12 AS BYTEA[])) WITH ORDINALITY
        AS new (event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, entry, leaf, number)"
);

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
    pub(super) struct EventRow {
        pub(super) event_id: String,
        at: i64,
        actor: String,
        action: String,
        workspace_id: Option<String>,
        client_id: Option<String>,
        target: String,
        request_id: Option<String>,
        source_ip: Option<String>,
        detail: String,
        log: Option<i64>,
        seq: Option<i64>,
        entry: Option<String>,
    }
}

impl EventRow {
    /// The event as its columns describe it, and the entry.
    pub(super) fn by_columns(self) -> Result<Recorded, StorageError> {
        let place = self.log.zip(self.seq).map(|(log, seq)| Place { log, seq });
        let event = AuditEvent {
            event_id: self.event_id,
            at: self.at,
            actor: Actor { name: self.actor, request_id: self.request_id, source_ip: self.source_ip },
            action: self.action,
            workspace_id: self.workspace_id,
            client_id: self.client_id,
            target: self.target,
            detail: serde_json::from_str(&self.detail)
                .map_err(|error| StorageError::Damaged(format!("audit_events.detail: {error}")))?,
        };
        Ok(Recorded { event, place, entry: self.entry })
    }

    /// The event as its entry describes it; as the columns do if there is no entry, or if it cannot be read.
    fn by_entry(self) -> Result<Recorded, StorageError> {
        let mut recorded = self.by_columns()?;
        if let Some(event) = recorded.entry.as_deref().and_then(event_of) {
            recorded.event = event;
        }
        Ok(recorded)
    }
}

impl Storage {
    /// A page of the audit trail within reach, newest first.
    pub async fn audit_events(
        &self,
        reach: &Reach,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Items<Recorded>, StorageError> {
        if [&filter.workspace_id, &filter.client_id, &filter.action]
            .into_iter()
            .flatten()
            .any(|text| text.contains('\0'))
        {
            // PostgreSQL has no text with this character and would refuse the query.
            return Ok(Items::none(page));
        }
        let rows: Vec<EventRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(reach.limit()).bind(filter.workspace_id.as_deref()).bind(filter.client_id.as_deref())
            .bind(filter.action.as_deref()).bind(filter.since).bind(filter.until).bind(page.after.as_deref())
            .bind(i64::from(page.limit) + 1)
            .fetch_all(pool).await)?;
        let cut = Items::cut(rows, page.limit, |row| row.event_id.clone());
        let items = cut.items.into_iter().map(EventRow::by_entry).collect::<Result<_, _>>()?;
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

impl Tx {
    /// Records an audit event with the change of this transaction. [`Tx::commit`] writes it, after everything else.
    pub fn audit(&mut self, event: AuditEvent, entry: Entry) {
        self.events.push(event);
        self.entries.push(entry);
    }

    /// The audit events recorded so far, in order.
    pub fn events(&self) -> &[AuditEvent] {
        &self.events
    }

    /// Writes the recorded events, by the last statements before the commit.
    pub(in crate::storage) async fn write_events(&mut self) -> Result<(), StorageError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.events);
        let entries = std::mem::take(&mut self.entries);
        let has_written = match &mut self.db {
            DbTx::Sqlite(transaction) => append_on_sqlite(transaction, &events, &entries).await?,
            DbTx::Postgres(transaction) => {
                within_limit(async {
                    // The first statement may wait for a tree that is being replaced. The second one sees the tree that was
                    // begun meanwhile.
                    Ok(append_on_postgres(transaction, &events, &entries).await?
                        || append_on_postgres(transaction, &events, &entries).await?)
                })
                .await?
            }
        };
        if has_written { Ok(()) } else { Err(super::audit_tree::none_is_current()) }
    }
}

async fn append_on_sqlite(
    conn: &mut SqliteConnection,
    events: &[AuditEvent],
    entries: &[Entry],
) -> Result<bool, sqlx::Error> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let place: Option<(i64, Option<i64>)> =
        sqlx::query_as(RESERVE).bind(count).fetch_optional(&mut *conn).await?;
    let Some((log, size)) = place else { return Ok(false) };
    let mut seq = size.map(|size| size - count);
    for (event, entry) in events.iter().zip(entries) {
        sqlx::query(INSERT)
            .bind(&event.event_id)
            .bind(event.at)
            .bind(&event.actor.name)
            .bind(&event.action)
            .bind(event.workspace_id.as_deref())
            .bind(event.client_id.as_deref())
            .bind(&event.target)
            .bind(event.actor.request_id.as_deref())
            .bind(event.actor.source_ip.as_deref())
            .bind(seq.map(|_| log))
            .bind(seq)
            .bind(&entry.text)
            .bind(entry.leaf.as_slice())
            .execute(&mut *conn)
            .await?;
        seq = seq.map(|seq| seq + 1);
    }
    Ok(true)
}

async fn append_on_postgres(
    conn: &mut PgConnection,
    events: &[AuditEvent],
    entries: &[Entry],
) -> Result<bool, sqlx::Error> {
    fn column<'a, T>(events: &'a [AuditEvent], of: impl Fn(&'a AuditEvent) -> T) -> Vec<T> {
        events.iter().map(of).collect()
    }
    let done = sqlx::query(APPEND_ON_POSTGRES)
        .bind(i64::try_from(events.len()).unwrap_or(i64::MAX))
        .bind(column(events, |event| event.event_id.as_str()))
        .bind(column(events, |event| event.at))
        .bind(column(events, |event| event.actor.name.as_str()))
        .bind(column(events, |event| event.action.as_str()))
        .bind(column(events, |event| event.workspace_id.as_deref()))
        .bind(column(events, |event| event.client_id.as_deref()))
        .bind(column(events, |event| event.target.as_str()))
        .bind(column(events, |event| event.actor.request_id.as_deref()))
        .bind(column(events, |event| event.actor.source_ip.as_deref()))
        .bind(entries.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.leaf.as_slice()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}
