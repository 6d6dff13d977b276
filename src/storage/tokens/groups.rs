//! Many recorded tokens in one statement: what a statement costs is mostly the way to the database and back, so tokens
//! that are recorded together go there together. Tokens that differ only by id and slot, as a client gets them that requests
//! many at once, are written as one item with a list of these, which is checked once.

use std::collections::HashSet;

use serde::Serialize;

use crate::model::token::RecordedToken;
use crate::storage::engine::{DbTx, within_limit};
use crate::storage::{IssueGuard, StorageError, Tx};

// What must still be true of the client `c`, its workspace `w`, its secret `s` and the key `k` for the tokens of the item
// `t`, an array as `Item` writes it.
macro_rules! still_true {
    () => {
        "c.client_id = t.value ->> 1 AND c.generation = CAST(t.value ->> 2 AS BIGINT) AND c.disabled_at IS NULL
            AND (c.expires_at IS NULL OR c.expires_at > CAST(t.value ->> 4 AS BIGINT))
            AND w.suspended_at IS NULL AND w.deleted_at IS NULL AND k.phase IN ('pending', 'active')
            AND (s.expires_at IS NULL OR s.expires_at > CAST(t.value ->> 4 AS BIGINT))"
    };
}

macro_rules! record_group {
    ($($from:expr),*) => {
        concat!(
            "INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at,
                expires_at, issued_by, status_list, status_idx)
            SELECT i.value ->> 0, c.client_id, c.workspace_id, t.value ->> 3, c.generation, t.value ->> 6,
                t.value ->> 7, CAST(t.value ->> 8 AS BIGINT), CAST(t.value ->> 9 AS BIGINT), t.value ->> 10,
                CAST(t.value ->> 11 AS BIGINT), CAST(i.value ->> 1 AS BIGINT) ",
            $($from),*
        )
    };
}

// A form for each engine, since each expands an array by a function of its own. `CROSS` makes SQLite look up each token by
// key. PostgreSQL must lock the rows. A row that another transaction holds is skipped: somebody who waits for one client must
// not hold up all others.
const RECORD_GROUP_SQLITE: &str = record_group!(
    "FROM jsonb_each($1) t
        CROSS JOIN api_clients c
        CROSS JOIN workspaces w ON w.workspace_id = c.workspace_id
        CROSS JOIN signing_keys k ON k.kid = t.value ->> 3
        CROSS JOIN client_secrets s ON s.secret_id = t.value ->> 5 AND s.client_id = c.client_id
        CROSS JOIN jsonb_each(t.value, '$[0]') i
    WHERE ",
    still_true!()
);

macro_rules! record_group_on_postgres {
    ($locks:literal) => {
        record_group!(
            "FROM jsonb_array_elements(CAST($1 AS JSONB)) t CROSS JOIN LATERAL (
                SELECT c.client_id, c.workspace_id, c.generation FROM workspaces w
                    JOIN api_clients c ON c.workspace_id = w.workspace_id
                    JOIN signing_keys k ON k.kid = t.value ->> 3
                    JOIN client_secrets s ON s.secret_id = t.value ->> 5 AND s.client_id = c.client_id
                WHERE ",
            still_true!(),
            $locks,
            ") c CROSS JOIN LATERAL jsonb_array_elements(t.value -> 0) i"
        )
    };
}

const RECORD_GROUP_POSTGRES: &str = record_group_on_postgres!(" FOR SHARE SKIP LOCKED");
const RECORD_GROUP_ALONE_POSTGRES: &str = record_group_on_postgres!(
    " FOR SHARE OF w SKIP LOCKED FOR UPDATE OF c SKIP LOCKED FOR SHARE OF k, s SKIP LOCKED"
);

// Which tokens of a group were added. Asked only when not all were: a row that an insertion returns is passed from thread
// to thread, and nearly always it would be all of them.
macro_rules! recorded_of_group {
    ($from:literal) => {
        concat!("SELECT jti FROM access_tokens WHERE jti IN (SELECT i.value ->> 0 FROM ", $from, " i)")
    };
}

const RECORDED_OF_GROUP_SQLITE: &str =
    recorded_of_group!("jsonb_each($1) t CROSS JOIN jsonb_each(t.value, '$[0]')");
const RECORDED_OF_GROUP_POSTGRES: &str = recorded_of_group!(
    "jsonb_array_elements(CAST($1 AS JSONB)) t CROSS JOIN LATERAL jsonb_array_elements(t.value -> 0)"
);

/// Tokens that differ only by their ids and the indexes of their slots.
struct Item<'a> {
    tokens: Vec<(&'a str, Option<u32>)>,
    common: Common<'a>,
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
    /// As the statements read it: by place.
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

impl Tx {
    /// Adds tokens that their clients requested with a secret, as [`Tx::record_token`] does for one, in this order. With
    /// `alone` their clients' rows are then held by this transaction alone.
    ///
    /// Returns the ids of those that were added. The others may not be issued, or another transaction holds a row that
    /// says whether they may: ask for each by itself.
    pub async fn record_tokens(
        &mut self,
        tokens: &[(&RecordedToken, &IssueGuard)],
        alone: bool,
    ) -> Result<HashSet<String>, StorageError> {
        if tokens.is_empty() {
            return Ok(HashSet::new());
        }
        let mut items: Vec<Item<'_>> = Vec::new();
        for (token, guard) in tokens {
            let own = (token.jti.as_str(), token.slot.map(|slot| slot.idx));
            let common = Common::of(token, guard);
            match items.last_mut().filter(|last| last.common == common) {
                Some(last) => last.tokens.push(own),
                None => items.push(Item { tokens: vec![own], common }),
            }
        }
        let group: Vec<_> = items.iter().map(Item::in_columns).collect();
        let group = serde_json::to_string(&group).map_err(|error| sqlx::Error::Encode(error.into()))?;
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
        if usize::try_from(added) == Ok(tokens.len()) {
            return Ok(tokens.iter().map(|(token, _)| token.jti.clone()).collect());
        }
        if added == 0 {
            return Ok(HashSet::new());
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
        Ok(added.into_iter().collect())
    }
}
