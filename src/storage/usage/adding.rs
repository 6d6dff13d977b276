//! Adds what a process has counted to what is stored: a statement for each table, and for counts one for each hour and outcome,
//! whatever the number of clients. The numbers of several processes add up. Rows of clients and secrets that no longer exist
//! are left out.
//!
//! Rows are written in one order, counts by hour and outcome before the id, so that two processes that write at the same
//! time do not deadlock. PostgreSQL needs an `ORDER BY` for it; SQLite has one writer, and takes the rows in the order in
//! which they are given.
//!
//! A request is added to its hour only, because adding the counts of many clients is the largest write of the service. Old
//! hours are added to their days later ([`Storage::fold_usage`]). So the count of a day is the sum of what is stored for the
//! day and for its hours.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rows::{FirstSeen, NetworkRow, SourceRow, UsageRows};
use crate::model::clock::UnixSeconds;
use crate::model::usage::{DAY, Outcome};
use crate::storage::engine::{
    DbTx, EngineSql, numbers_as_json, on_tx, on_write, over_rows, rows_as_json, statements,
};
use crate::storage::{Storage, StorageError, Tx};

/// Adds the numbers in `$1`, an object by id: SQLite reads it in two thirds of the time that it takes for an array of arrays.
#[derive(Debug, Clone, Copy)]
struct AddNumbers {
    /// For SQLite, if the row of every id exists, as nearly always. Otherwise SQLite refuses the whole statement.
    of_existing: &'static str,
    /// For any ids: leaves out those whose row does not exist.
    any: EngineSql,
}

macro_rules! add_numbers {
    (into $into:literal, key $key:literal of $table:literal, $values:literal, $after:literal) => {
        AddNumbers {
            of_existing: concat!(
                "INSERT INTO ",
                $into,
                " SELECT given.key",
                $values,
                " FROM jsonb_each($1) AS given WHERE 1 = 1 ",
                $after
            ),
            any: EngineSql {
                sqlite: concat!(
                    "INSERT INTO ",
                    $into,
                    " SELECT t.",
                    $key,
                    $values,
                    " FROM jsonb_each($1) AS given CROSS JOIN ",
                    $table,
                    " t ON t.",
                    $key,
                    " = given.key WHERE 1 = 1 ",
                    $after
                ),
                postgres: concat!(
                    "INSERT INTO ",
                    $into,
                    " SELECT t.",
                    $key,
                    $values,
                    " FROM jsonb_each(CAST($1 AS JSONB)) AS given (key, value) JOIN ",
                    $table,
                    " t ON t.",
                    $key,
                    " = given.key ORDER BY 1 ",
                    $after
                ),
            },
        }
    };
}

const ADD_HOURS: AddNumbers = add_numbers!(
    into "client_usage_hours (client_id, hour, outcome, times)",
    key "client_id" of "api_clients",
    ", CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST(given.value AS BIGINT)",
    "ON CONFLICT (client_id, hour, outcome) DO UPDATE SET times = client_usage_hours.times + excluded.times"
);
const ADD_DAYS: EngineSql = over_rows!(
    "INSERT INTO client_usage_days (client_id, day, outcome, times)
    SELECT c.client_id, CAST(given.value ->> 1 AS BIGINT), given.value ->> 2, CAST(given.value ->> 3 AS BIGINT) FROM",
    of "api_clients c ON c.client_id", "1, 2, 3",
    "ON CONFLICT (client_id, day, outcome) DO UPDATE SET times = client_usage_days.times + excluded.times"
);
const ADD_SECRET_HOURS: AddNumbers = add_numbers!(
    into "secret_usage_hours (secret_id, hour, times)",
    key "secret_id" of "client_secrets",
    ", CAST($2 AS BIGINT), CAST(given.value AS BIGINT)",
    "ON CONFLICT (secret_id, hour) DO UPDATE SET times = secret_usage_hours.times + excluded.times"
);
// A secret that was used before sources were stored is not new: its `last_used_at` is more than 60 seconds before this use. A
// later `last_used_at` may be of this use itself.
const ADD_SOURCES: EngineSql = over_rows!(
    "INSERT INTO secret_sources (secret_id, source_ip, used_at, first_used_at, is_new)
    SELECT s.secret_id, given.value ->> 1, CAST(given.value ->> 2 AS BIGINT),
        CASE WHEN s.last_used_at IS NULL OR s.last_used_at >= CAST(given.value ->> 2 AS BIGINT) - 60
            THEN CAST(given.value ->> 2 AS BIGINT) END,
        CASE WHEN s.last_used_at IS NULL OR s.last_used_at >= CAST(given.value ->> 2 AS BIGINT) - 60
            THEN 1 ELSE 0 END FROM",
    of "client_secrets s ON s.secret_id", "1",
    "ON CONFLICT (secret_id) DO UPDATE SET source_ip = excluded.source_ip, used_at = excluded.used_at, is_new = 0
        WHERE secret_sources.used_at <= excluded.used_at
    RETURNING secret_id, is_new"
);
const ADD_NETWORKS: EngineSql = over_rows!(
    "INSERT INTO client_networks (client_id, network, last_seen_at, first_seen_at)
    SELECT c.client_id, given.value ->> 1, CAST(given.value ->> 2 AS BIGINT), CAST(given.value ->> 2 AS BIGINT) FROM",
    of "api_clients c ON c.client_id", "1, 2",
    "ON CONFLICT (client_id, network) DO UPDATE SET last_seen_at = excluded.last_seen_at
        WHERE client_networks.last_seen_at < excluded.last_seen_at
    RETURNING client_id, network, CAST(CASE WHEN first_seen_at = last_seen_at THEN 1 ELSE 0 END AS BIGINT)"
);
// Updates the rows that are stored already. Nearly always these are all rows: then nothing else has to be written, and no
// row has to be returned, which costs about as much as writing it. For SQLite only: on PostgreSQL two processes would lock
// the rows in any order.
const UPDATE_SOURCES: &str =
    "UPDATE secret_sources SET source_ip = given.value ->> 1, used_at = given.value ->> 2, is_new = 0
    FROM jsonb_each($1) AS given WHERE secret_id = given.value ->> 0 AND used_at <= given.value ->> 2";
const UPDATE_NETWORKS: &str = "UPDATE client_networks SET last_seen_at = given.value ->> 2
    FROM jsonb_each($1) AS given
    WHERE client_id = given.value ->> 0 AND network = given.value ->> 1 AND last_seen_at <= given.value ->> 2";
// Keeps the last `$2` networks of each client in `$1`, and deletes the others.
const DROP_OLD_NETWORKS: EngineSql = over_rows!(
    "DELETE FROM client_networks WHERE (client_id, network) IN
        (SELECT client_id, network FROM
            (SELECT client_id, network,
                ROW_NUMBER() OVER (PARTITION BY client_id ORDER BY last_seen_at DESC, network) AS place
             FROM client_networks WHERE client_id IN (SELECT given.value ->> 0 FROM",
    ")) placed WHERE place > $2)"
);

statements! {
    ADD_HOUR = "INSERT INTO client_usage_hours (client_id, hour, outcome, times) VALUES ($1, $2, $3, 1)
        ON CONFLICT (client_id, hour, outcome) DO UPDATE SET times = client_usage_hours.times + 1";
    TAKE_HOURS = "DELETE FROM client_usage_hours WHERE (client_id, hour, outcome) IN
        (SELECT client_id, hour, outcome FROM client_usage_hours WHERE hour < $1 LIMIT $2)
        RETURNING client_id, hour, outcome, times";
    PURGE_DAYS = "DELETE FROM client_usage_days WHERE (client_id, day, outcome) IN
        (SELECT client_id, day, outcome FROM client_usage_days WHERE day < $1 LIMIT $2)";
    PURGE_SECRET_HOURS = "DELETE FROM secret_usage_hours WHERE (secret_id, hour) IN
        (SELECT secret_id, hour FROM secret_usage_hours WHERE hour < $1 LIMIT $2)";
}

/// How many networks are kept for a client.
const NETWORKS_MAX: i64 = 100;

/// Groups values by their keys.
fn by<Key: Ord, Value>(rows: impl Iterator<Item = (Key, Value)>) -> BTreeMap<Key, Vec<Value>> {
    let mut groups: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
    for (key, value) in rows {
        groups.entry(key).or_default().push(value);
    }
    groups
}

impl Tx {
    /// Adds `rows` to what is stored. Returns what was not stored before.
    pub async fn add_usage(&mut self, rows: &UsageRows) -> Result<FirstSeen, StorageError> {
        let counts = rows.counts.iter();
        let counts = by(counts.map(|row| ((row.hour, row.outcome.as_str()), (row.client_id, row.times))));
        for ((hour, outcome), counts) in counts {
            self.add_numbers(ADD_HOURS, counts, hour, Some(outcome)).await?;
        }
        let uses = rows.secret_uses.iter();
        for (hour, uses) in by(uses.map(|row| (row.hour, (row.secret_id, row.times)))) {
            self.add_numbers(ADD_SECRET_HOURS, uses, hour, None).await?;
        }
        let secrets = self.add_sources(&rows.sources).await?;
        let networks = self.add_networks(&rows.networks).await?;
        self.add_failures(&rows.failures).await?;
        self.has_written = true;
        Ok(FirstSeen { secrets, networks })
    }

    async fn add_numbers(
        &mut self,
        add: AddNumbers,
        numbers: Vec<(impl Serialize, i64)>,
        hour: UnixSeconds,
        outcome: Option<&str>,
    ) -> Result<(), StorageError> {
        let numbers = numbers_as_json(numbers)?;
        macro_rules! run {
            ($sql:expr, $conn:expr) => {{
                let query = sqlx::query($sql).bind(&numbers).bind(hour);
                let query = if let Some(outcome) = outcome { query.bind(outcome) } else { query };
                query.execute($conn).await.map(|_| ())
            }};
        }
        if let DbTx::Sqlite(tx) = &mut self.db {
            match run!(add.of_existing, &mut **tx) {
                Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {}
                added => return Ok(added?),
            }
        }
        let sql = self.db.choose(add.any);
        Ok(on_tx!(self.db, conn => run!(sql, &mut *conn))?)
    }

    async fn add_sources(&mut self, rows: &[SourceRow]) -> Result<Vec<String>, StorageError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sources = rows.iter();
        let sources = rows_as_json(sources.map(|row| (row.secret_id, row.source_ip, row.used_at)))?;
        if self.all_updated(UPDATE_SOURCES, &sources, rows.len()).await? {
            return Ok(Vec::new());
        }
        let sql = self.db.choose(ADD_SOURCES);
        let stored: Vec<(String, i64)> =
            on_tx!(self.db, conn => sqlx::query_as(sql).bind(&sources).fetch_all(&mut *conn).await)?;
        Ok(stored.into_iter().filter(|(_, is_new)| *is_new == 1).map(|(secret_id, _)| secret_id).collect())
    }

    async fn add_networks(&mut self, rows: &[NetworkRow]) -> Result<Vec<(String, String)>, StorageError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let networks = rows.iter();
        let networks = rows_as_json(networks.map(|row| (row.client_id, row.network, row.last_seen_at)))?;
        if self.all_updated(UPDATE_NETWORKS, &networks, rows.len()).await? {
            return Ok(Vec::new());
        }
        let (add, drop_old) = (self.db.choose(ADD_NETWORKS), self.db.choose(DROP_OLD_NETWORKS));
        let stored: Vec<(String, String, i64)> =
            on_tx!(self.db, conn => sqlx::query_as(add).bind(&networks).fetch_all(&mut *conn).await)?;
        let new = stored.into_iter().filter(|(.., is_new)| *is_new == 1);
        let new: Vec<(String, String)> = new.map(|(client_id, network, _)| (client_id, network)).collect();
        if !new.is_empty() {
            let of_clients = rows_as_json(new.iter().map(|(client_id, _)| [client_id]))?;
            on_tx!(self.db, conn => sqlx::query(drop_old)
                .bind(&of_clients).bind(NETWORKS_MAX).execute(&mut *conn).await.map(|_| ()))?;
        }
        Ok(new)
    }

    /// Whether `sql` updated all of `count` rows. Always `false` on PostgreSQL, where `sql` is not run.
    async fn all_updated(
        &mut self,
        sql: &'static str,
        rows: &str,
        count: usize,
    ) -> Result<bool, StorageError> {
        let DbTx::Sqlite(tx) = &mut self.db else { return Ok(false) };
        let found = sqlx::query(sql).bind(rows).execute(&mut **tx).await?.rows_affected();
        Ok(usize::try_from(found) == Ok(count))
    }

    /// Runs a statement over rows, if there are any.
    async fn over<Row: Serialize>(
        &mut self,
        sql: EngineSql,
        rows: impl ExactSizeIterator<Item = Row>,
    ) -> Result<(), StorageError> {
        if rows.len() == 0 {
            return Ok(());
        }
        let (sql, rows) = (self.db.choose(sql), rows_as_json(rows)?);
        on_tx!(self.db, conn => sqlx::query(sql).bind(&rows).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Counts a token of a client as issued, in the transaction that records the token.
    pub async fn count_issued(&mut self, client_id: &str, hour: UnixSeconds) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(ADD_HOUR).bind(client_id).bind(hour)
            .bind(Outcome::Issued.as_str()).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}

impl Storage {
    /// Adds up to `limit` counts of hours before `before` to their days, and deletes them. Returns how many.
    pub async fn fold_usage(&self, before: UnixSeconds, limit: u32) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        // Only one process gets each deleted row, even when two processes fold at once.
        let taken: Vec<(String, i64, String, i64)> = on_tx!(tx.db, conn => sqlx::query_as(TAKE_HOURS)
            .bind(before).bind(i64::from(limit)).fetch_all(&mut *conn).await)?;
        if taken.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        let mut days: BTreeMap<(&str, i64, &str), i64> = BTreeMap::new();
        for (client_id, hour, outcome, times) in &taken {
            *days.entry((client_id, hour - hour.rem_euclid(DAY), outcome)).or_default() += times;
        }
        let days = days.into_iter();
        tx.over(ADD_DAYS, days.map(|((client_id, day, outcome), times)| (client_id, day, outcome, times)))
            .await?;
        tx.has_written = true;
        tx.commit().await?;
        Ok(u64::try_from(taken.len()).unwrap_or(u64::MAX))
    }

    /// Deletes up to `limit` counts of secrets in hours before `hours_before`, and as many counts of clients on days before
    /// `days_before`. Returns the larger of the two numbers. If it is `limit`, there may be more.
    pub async fn purge_usage(
        &self,
        hours_before: UnixSeconds,
        days_before: UnixSeconds,
        limit: u32,
    ) -> Result<u64, StorageError> {
        let mut most = 0;
        for (sql, before) in [(PURGE_SECRET_HOURS, hours_before), (PURGE_DAYS, days_before)] {
            let deleted = on_write!(self, pool => sqlx::query(sql)
                .bind(before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))?;
            most = most.max(deleted);
        }
        Ok(most)
    }
}
