//! Upkeep of the audit tree (`audit_upkeep`): which process does it, events that wait for a number, and entries that are
//! old enough to be deleted.

use sqlx::PgConnection;

use super::audit::EventRow;
use crate::model::audit::Recorded;
use crate::model::audit_entry::Entry;
use crate::storage::engine::{DbTx, on_read, on_tx, on_write, row, statements, within_limit};
use crate::storage::{Storage, StorageError, Tx, touched};

statements! {
    LEASE = "UPDATE audit_upkeep SET lease_owner = $1, lease_until = $2
        WHERE id = 1 AND (lease_owner = $1 OR lease_until <= $3)";
    RELEASE = "UPDATE audit_upkeep SET lease_until = 0 WHERE id = 1 AND lease_owner = $1";
    COUNT_WAITING = "SELECT COUNT(*) FROM (SELECT 1 FROM audit_events WHERE seq IS NULL LIMIT $1) waiting";
    WAITING = "SELECT event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail, log, seq,
            entry
        FROM audit_events WHERE seq IS NULL AND event_id > $1 ORDER BY event_id LIMIT $2";
    NUMBER = "UPDATE audit_events SET log = $2, seq = $3, entry = $4, leaf = $5, detail = '{}'
        WHERE event_id = $1 AND seq IS NULL";
    GROW = "UPDATE audit_trees SET size = $2 WHERE log = $1";
    DUE = "SELECT event_id FROM audit_events WHERE event_id > (SELECT pruned_to FROM audit_upkeep WHERE id = 1)
            AND event_id < $1 ORDER BY event_id LIMIT $2";
    // The action, its time, the actor, the workspace, the client and the target are left, and the leaf keeps its place in the
    // tree.
    PRUNE = "UPDATE audit_events SET entry = NULL, detail = '{}', request_id = NULL, source_ip = NULL
        WHERE event_id > (SELECT pruned_to FROM audit_upkeep WHERE id = 1) AND event_id <= $1";
    PRUNED_TO = "SELECT pruned_to FROM audit_upkeep WHERE id = 1";
    ASTRAY = "SELECT COUNT(*) FROM audit_events
        WHERE seq IS NOT NULL AND log NOT IN (SELECT log FROM audit_trees)";
    PRUNED = "UPDATE audit_upkeep SET pruned_to = $1 WHERE id = 1";
}

/// As `NUMBER`, for many events at once.
const NUMBER_ON_POSTGRES: &str = "UPDATE audit_events
    SET log = $1, seq = new.seq, entry = new.entry, leaf = new.leaf, detail = '{}'
    FROM UNNEST(CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]), CAST($4 AS TEXT[]), CAST($5 AS BYTEA[]))
        AS new (event_id, seq, entry, leaf)
    WHERE audit_events.event_id = new.event_id AND audit_events.seq IS NULL";

row! {
    struct IdRow {
        event_id: String,
    }
}

/// An event that is given a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The event.
    pub event_id: String,
    /// Its entry.
    pub entry: Entry,
}

impl Storage {
    /// Takes or renews the lease of upkeep until `until`. `false` while another process has it.
    pub async fn lease_audit_upkeep(&self, owner: &str, now: i64, until: i64) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(LEASE)
            .bind(owner).bind(until).bind(now).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Gives the lease back.
    pub async fn release_audit_upkeep(&self, owner: &str) -> Result<(), StorageError> {
        on_write!(self, pool => sqlx::query(RELEASE).bind(owner).execute(pool).await.map(|_| ()))
    }

    /// How many events wait for a number, counted up to `limit`.
    pub async fn count_waiting_events(&self, limit: u32) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(COUNT_WAITING)
            .bind(i64::from(limit)).fetch_one(pool).await)?)
    }

    /// The id of the last event whose entry was deleted; empty if none was.
    pub async fn pruned_to(&self) -> Result<String, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(PRUNED_TO).fetch_one(pool).await)?)
    }

    /// How many events have a number in a tree that does not exist.
    pub async fn count_events_astray(&self) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(ASTRAY).fetch_one(pool).await)?)
    }

    /// Deletes the entries, addresses, request ids and details of up to `limit` events whose id sorts before `before`, the
    /// oldest first. Their leaves stay. Returns how many events.
    pub async fn prune_audit_events(&self, before: &str, limit: u32) -> Result<u64, StorageError> {
        let due: Vec<IdRow> = on_read!(self, pool => sqlx::query_as(DUE)
            .bind(before).bind(i64::from(limit)).fetch_all(pool).await)?;
        let Some(last) = due.last() else { return Ok(0) };
        let mut tx = self.begin().await?;
        on_tx!(tx.db, conn => sqlx::query(PRUNE).bind(&last.event_id).execute(&mut *conn).await.map(|_| ()))?;
        on_tx!(tx.db, conn => sqlx::query(PRUNED).bind(&last.event_id).execute(&mut *conn).await.map(|_| ()))?;
        tx.has_written = true;
        tx.commit().await?;
        Ok(u64::try_from(due.len()).unwrap_or(u64::MAX))
    }
}

impl Tx {
    /// Up to `limit` events that wait for a number and whose id sorts after `after`, in that order.
    pub async fn waiting_events(&mut self, after: &str, limit: u32) -> Result<Vec<Recorded>, StorageError> {
        let rows: Vec<EventRow> = on_tx!(self.db, conn => sqlx::query_as(WAITING)
            .bind(after).bind(i64::from(limit)).fetch_all(&mut *conn).await)?;
        rows.into_iter().map(EventRow::by_columns).collect()
    }

    /// Numbers events from `first` on, which is the size of the locked tree `log`.
    pub async fn number_events(
        &mut self,
        log: i64,
        first: i64,
        events: &[Numbered],
    ) -> Result<(), StorageError> {
        self.has_written = true;
        match &mut self.db {
            DbTx::Sqlite(transaction) => {
                for (event, seq) in events.iter().zip(first..) {
                    sqlx::query(NUMBER)
                        .bind(&event.event_id)
                        .bind(log)
                        .bind(seq)
                        .bind(&event.entry.text)
                        .bind(event.entry.leaf.as_slice())
                        .execute(&mut **transaction)
                        .await?;
                }
            }
            DbTx::Postgres(transaction) => {
                within_limit(number_on_postgres(transaction, log, first, events)).await?;
            }
        }
        let size = first + i64::try_from(events.len()).unwrap_or_default();
        Ok(
            on_tx!(self.db, conn => sqlx::query(GROW).bind(log).bind(size).execute(&mut *conn).await.map(|_| ()))?,
        )
    }
}

async fn number_on_postgres(
    conn: &mut PgConnection,
    log: i64,
    first: i64,
    events: &[Numbered],
) -> Result<(), sqlx::Error> {
    let numbers = events.iter().zip(first..).map(|(_, seq)| seq);
    sqlx::query(NUMBER_ON_POSTGRES)
        .bind(log)
        .bind(events.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>())
        .bind(numbers.collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.entry.text.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.entry.leaf.as_slice()).collect::<Vec<_>>())
        .execute(conn)
        .await
        .map(|_| ())
}
