//! Records many tokens in one statement. What a statement costs is mostly the round trip to the database, so tokens that
//! are recorded together are sent together. Successive tokens that differ only by id and by the index of their slot, as when a
//! client requests many at once, are written as one item, with an object of the ids and indexes. Each item is checked once.

use std::collections::HashSet;

use serde::{Serialize, Serializer};

use crate::model::clock::Stopwatch;
use crate::model::token::RecordedToken;
use crate::storage::engine::{Db, DbTx, on_read, on_write, within_limit};
use crate::storage::{IssueGuard, Storage, StorageError, Tx};

// The columns of the items in `given`: arrays as `Item` writes them. They are read once for all the tokens of an item.
macro_rules! columns {
    () => {
        "given.value, given.value ->> 1 AS client_id, CAST(given.value ->> 2 AS BIGINT) AS generation,
            given.value ->> 3 AS kid, CAST(given.value ->> 4 AS BIGINT) AS now, given.value ->> 5 AS secret_id,
            given.value ->> 6 AS scope, given.value ->> 7 AS products, CAST(given.value ->> 8 AS BIGINT) AS issued_at,
            CAST(given.value ->> 9 AS BIGINT) AS expires_at, given.value ->> 10 AS issued_by,
            CAST(given.value ->> 11 AS BIGINT) AS status_list"
    };
}

// What must still be true of the client `c`, its workspace `w`, its secret `s` and the key `k` for the tokens of the item
// `t`.
macro_rules! still_true {
    () => {
        "c.client_id = t.client_id AND c.generation = t.generation AND c.disabled_at IS NULL
            AND (c.expires_at IS NULL OR c.expires_at > t.now)
            AND w.suspended_at IS NULL AND w.deleted_at IS NULL AND k.phase IN ('pending', 'active')
            AND (s.expires_at IS NULL OR s.expires_at > t.now)"
    };
}

macro_rules! record_group {
    ($($from:expr),*) => {
        concat!(
            "INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at,
                expires_at, issued_by, status_list, status_idx)
            SELECT i.key, c.client_id, c.workspace_id, t.kid, c.generation, t.scope, t.products, t.issued_at,
                t.expires_at, t.issued_by, t.status_list, CAST(i.value AS BIGINT) ",
            $($from),*
        )
    };
}

// A form for each engine, since each has its own function to expand an array. `CROSS` makes SQLite look up the rows of each
// item by their keys. PostgreSQL must lock these rows. It skips a row that another transaction holds: waiting for one client
// must not delay all others.
const RECORD_GROUP_SQLITE: &str = concat!(
    "WITH t AS MATERIALIZED (SELECT ",
    columns!(),
    " FROM jsonb_each($1) AS given) ",
    record_group!(
        "FROM t
            CROSS JOIN api_clients c
            CROSS JOIN workspaces w ON w.workspace_id = c.workspace_id
            CROSS JOIN signing_keys k ON k.kid = t.kid
            CROSS JOIN client_secrets s ON s.secret_id = t.secret_id AND s.client_id = c.client_id
            CROSS JOIN jsonb_each(t.value, '$[0]') i
        WHERE ",
        still_true!()
    )
);

macro_rules! record_group_on_postgres {
    ($locks:literal) => {
        record_group!(
            "FROM (SELECT ",
            columns!(),
            " FROM jsonb_array_elements(CAST($1 AS JSONB)) AS given (value)) t CROSS JOIN LATERAL (
                SELECT c.client_id, c.workspace_id, c.generation FROM workspaces w
                    JOIN api_clients c ON c.workspace_id = w.workspace_id
                    JOIN signing_keys k ON k.kid = t.kid
                    JOIN client_secrets s ON s.secret_id = t.secret_id AND s.client_id = c.client_id
                WHERE ",
            still_true!(),
            $locks,
            ") c CROSS JOIN LATERAL jsonb_each_text(t.value -> 0) i (key, value)"
        )
    };
}

const RECORD_GROUP_POSTGRES: &str = record_group_on_postgres!(" FOR SHARE SKIP LOCKED");
const RECORD_GROUP_ALONE_POSTGRES: &str = record_group_on_postgres!(
    " FOR SHARE OF w SKIP LOCKED FOR UPDATE OF c SKIP LOCKED FOR SHARE OF k, s SKIP LOCKED"
);

// Which tokens of a group were added. This is asked only when some were and some were not: nearly always all of them are
// added, and each row that `RETURNING` gave back would be passed from thread to thread.
macro_rules! recorded_of_group {
    ($from:literal) => {
        concat!("SELECT jti FROM access_tokens WHERE jti IN (SELECT i.key FROM ", $from, " i)")
    };
}

const RECORDED_OF_GROUP_SQLITE: &str =
    recorded_of_group!("jsonb_each($1) t CROSS JOIN jsonb_each(t.value, '$[0]')");
const RECORDED_OF_GROUP_POSTGRES: &str = recorded_of_group!(
    "jsonb_array_elements(CAST($1 AS JSONB)) t CROSS JOIN LATERAL jsonb_each(t.value -> 0)"
);

/// Tokens that differ only by their ids and the indexes of their slots.
struct Item<'a> {
    tokens: Slots<'a>,
    common: Common<'a>,
}

/// The index of each token's slot by the token's id: an object, so that the engine gives both as key and value.
struct Slots<'a>(Vec<(&'a str, Option<u32>)>);

impl Serialize for Slots<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[derive(PartialEq, Eq)]
struct Common<'a> {
    client_id: &'a str,
    generation: i64,
    kid: &'a str,
    now: i64,
    secret_id: Option<&'a str>,
    scope: &'a str,
    products: &'a str,
    issued_at: i64,
    expires_at: Option<i64>,
    issued_by: &'a str,
    list: Option<i64>,
}

impl<'a> Common<'a> {
    fn of(token: &'a RecordedToken, guard: &'a IssueGuard) -> Self {
        Self {
            client_id: &token.client_id,
            generation: token.generation,
            kid: &token.kid,
            now: guard.now,
            secret_id: guard.secret_id(),
            scope: &token.scope,
            products: &token.products,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            issued_by: &token.issued_by,
            list: token.slot.map(|slot| slot.list),
        }
    }
}

impl Item<'_> {
    /// The item as the statements read it: an array, whose values they find by index.
    fn in_columns(&self) -> impl Serialize {
        let Common { client_id, generation, kid, now, secret_id, scope, products, .. } = &self.common;
        let Common { issued_at, expires_at, issued_by, list, .. } = &self.common;
        (
            &self.tokens,
            client_id,
            generation,
            kid,
            now,
            secret_id,
            scope,
            products,
            issued_at,
            expires_at,
            issued_by,
            list,
        )
    }
}

/// A group as the statements read it.
fn to_json(tokens: &[(&RecordedToken, &IssueGuard)]) -> Result<String, sqlx::Error> {
    let mut items: Vec<Item<'_>> = Vec::new();
    for (token, guard) in tokens {
        let own = (token.jti.as_str(), token.slot.map(|slot| slot.idx));
        let common = Common::of(token, guard);
        match items.last_mut().filter(|last| last.common == common) {
            Some(last) => last.tokens.0.push(own),
            None => items.push(Item { tokens: Slots(vec![own]), common }),
        }
    }
    let group: Vec<_> = items.iter().map(Item::in_columns).collect();
    serde_json::to_string(&group).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// For each token of a group whether it was added, if `added` of them means all or none; `None` otherwise.
fn all_or_none(tokens: &[(&RecordedToken, &IssueGuard)], added: u64) -> Option<Vec<bool>> {
    match usize::try_from(added) {
        Ok(added) if added == tokens.len() => Some(vec![true; added]),
        Ok(0) => Some(vec![false; tokens.len()]),
        _ => None,
    }
}

/// For each token of a group whether its id is among those that were added.
fn which(tokens: &[(&RecordedToken, &IssueGuard)], added: Vec<String>) -> Vec<bool> {
    let added: HashSet<String> = added.into_iter().collect();
    tokens.iter().map(|(token, _)| added.contains(&token.jti)).collect()
}

impl Storage {
    /// Adds tokens as [`Tx::record_tokens`] does, in a transaction of this one statement, which saves the round trips to begin
    /// and to commit one. What was added is durable when this returns.
    ///
    /// Returns for each token whether it was added, in order.
    ///
    /// # Errors
    /// [`StorageError`], as [`Tx::commit`].
    pub async fn record_tokens(
        &self,
        tokens: &[(&RecordedToken, &IssueGuard)],
    ) -> Result<Vec<bool>, StorageError> {
        let (record, recorded) = match &self.db {
            Db::Sqlite { .. } => (RECORD_GROUP_SQLITE, RECORDED_OF_GROUP_SQLITE),
            Db::Postgres(_) => (RECORD_GROUP_POSTGRES, RECORDED_OF_GROUP_POSTGRES),
        };
        let group = to_json(tokens)?;
        let began = Stopwatch::start();
        let done = on_write!(self, pool => sqlx::query(record)
            .bind(&group).execute(pool).await.map(|done| done.rows_affected()));
        self.timings.commit.observe(began.elapsed());
        let added = done?;
        self.writes.note(self.db.check_in_place(), added > 0)?;
        if let Some(all_or_none) = all_or_none(tokens, added) {
            return Ok(all_or_none);
        }
        let added = on_read!(self, pool => sqlx::query_scalar(recorded).bind(&group).fetch_all(pool).await)?;
        Ok(which(tokens, added))
    }
}

impl Tx {
    /// Adds tokens that their clients requested with a secret, as [`Tx::record_token`] does for one, in this order (tokens that
    /// differ only by id and slot in any order). With `alone`, this transaction alone then holds the rows of their clients.
    ///
    /// Returns for each token whether it was added, in order. A token is not added if it must not be issued, or if another
    /// transaction holds a row that has to be checked. [`Tx::record_token`] waits for that row: record such a token with it.
    pub async fn record_tokens(
        &mut self,
        tokens: &[(&RecordedToken, &IssueGuard)],
        alone: bool,
    ) -> Result<Vec<bool>, StorageError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let group = to_json(tokens)?;
        let added = match &mut self.db {
            DbTx::Sqlite(tx) => {
                sqlx::query(RECORD_GROUP_SQLITE).bind(&group).execute(&mut **tx).await?.rows_affected()
            }
            DbTx::Postgres(tx) => {
                let sql = if alone { RECORD_GROUP_ALONE_POSTGRES } else { RECORD_GROUP_POSTGRES };
                within_limit(sqlx::query(sql).bind(&group).execute(&mut **tx)).await?.rows_affected()
            }
        };
        self.has_written = true;
        if let Some(all_or_none) = all_or_none(tokens, added) {
            return Ok(all_or_none);
        }
        let added: Vec<String> = match &mut self.db {
            DbTx::Sqlite(tx) => {
                sqlx::query_scalar(RECORDED_OF_GROUP_SQLITE).bind(&group).fetch_all(&mut **tx).await?
            }
            DbTx::Postgres(tx) => {
                let asked = sqlx::query_scalar(RECORDED_OF_GROUP_POSTGRES).bind(&group);
                within_limit(asked.fetch_all(&mut **tx)).await?
            }
        };
        Ok(which(tokens, added))
    }
}
