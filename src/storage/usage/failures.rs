//! Refused requests: rows of `failures`. The last [`OF_CLIENT_MAX`] of each client are kept, and the last [`OF_OTHERS_MAX`]
//! of the requests that name no existing client.

use crate::model::page::{Items, Page};
use crate::model::refusal::{Endpoint, Failure, Refusal};
use crate::storage::engine::{EngineSql, on_read, on_tx, over_rows, row, rows_as_json, statements};
use crate::storage::{Storage, StorageError, Tx};

/// How many refused requests are kept of a client.
const OF_CLIENT_MAX: i64 = 100;

/// How many refused requests are kept of those that name no existing client.
const OF_OTHERS_MAX: i64 = 1_000;

const ADD: EngineSql = over_rows!(
    "INSERT INTO failures (failure_id, client_id, named_client_id, at, endpoint, reason, detail, source_ip,
        secret_last_four, request_id)
    SELECT given.value ->> 0, c.client_id, given.value ->> 1, CAST(given.value ->> 2 AS BIGINT), given.value ->> 3,
        given.value ->> 4, given.value ->> 5, given.value ->> 6, given.value ->> 7, given.value ->> 8 FROM",
    "LEFT JOIN api_clients c ON c.client_id = given.value ->> 1 WHERE 1 = 1 ORDER BY 1 ON CONFLICT DO NOTHING"
);
const DROP_OLD: EngineSql = over_rows!(
    "DELETE FROM failures WHERE failure_id IN
        (SELECT failure_id FROM
            (SELECT failure_id, ROW_NUMBER() OVER (PARTITION BY client_id ORDER BY failure_id DESC) AS place
             FROM failures WHERE client_id IN (SELECT given.value ->> 1 FROM",
    ")) placed WHERE place > $2)"
);

macro_rules! columns {
    () => {
        "f.failure_id, COALESCE(f.client_id, f.named_client_id) AS client_id, c.workspace_id, f.at, f.endpoint, f.reason,
            f.detail, f.source_ip, f.secret_last_four, f.request_id
        FROM failures f LEFT JOIN api_clients c ON c.client_id = f.client_id"
    };
}

statements! {
    // Every id sorts before `~`, since ids are hexadecimal.
    ALL = concat!("SELECT ", columns!(), " WHERE f.failure_id < COALESCE(CAST($1 AS TEXT), '~')
        ORDER BY f.failure_id DESC LIMIT $2");
    OF_CLIENT = concat!("SELECT ", columns!(), " WHERE f.client_id = $1
            AND f.failure_id < COALESCE(CAST($2 AS TEXT), '~')
        ORDER BY f.failure_id DESC LIMIT $3");
    COUNT = "SELECT COUNT(*) FROM failures";
    COUNT_OF_CLIENT = "SELECT COUNT(*) FROM failures WHERE client_id = $1";
    DROP_OLD_OF_OTHERS = "DELETE FROM failures WHERE client_id IS NULL AND failure_id <=
        (SELECT o.failure_id FROM failures o WHERE o.client_id IS NULL ORDER BY o.failure_id DESC LIMIT 1 OFFSET $1)";
}

row! {
    struct FailureRow {
        failure_id: String,
        client_id: Option<String>,
        workspace_id: Option<String>,
        at: i64,
        endpoint: String,
        reason: String,
        detail: Option<String>,
        source_ip: Option<String>,
        secret_last_four: Option<String>,
        request_id: String,
    }
}

impl FailureRow {
    fn read(self) -> Result<Failure, StorageError> {
        let damaged = |column: &str, text: &str| {
            StorageError::Damaged(format!("failures.{column} is `{}`", text.escape_debug()))
        };
        Ok(Failure {
            endpoint: Endpoint::named(&self.endpoint).ok_or_else(|| damaged("endpoint", &self.endpoint))?,
            reason: Refusal::named(&self.reason).ok_or_else(|| damaged("reason", &self.reason))?,
            failure_id: self.failure_id,
            client_id: self.client_id,
            workspace_id: self.workspace_id,
            at: self.at,
            detail: self.detail,
            source_ip: self.source_ip,
            secret_last_four: self.secret_last_four,
            request_id: self.request_id,
        })
    }
}

impl Storage {
    /// A page of the refused requests of a client, newest first; with `None`, of all refused requests.
    pub async fn failures(
        &self,
        client_id: Option<&str>,
        page: &Page,
    ) -> Result<Items<Failure>, StorageError> {
        let (after, limit) = (page.after.as_deref(), i64::from(page.limit) + 1);
        let rows: Vec<FailureRow> = match client_id {
            Some(client_id) => on_read!(self, pool => sqlx::query_as(OF_CLIENT)
                .bind(client_id).bind(after).bind(limit).fetch_all(pool).await)?,
            None => {
                on_read!(self, pool => sqlx::query_as(ALL).bind(after).bind(limit).fetch_all(pool).await)?
            }
        };
        let total = match (page.count, client_id) {
            (false, _) => None,
            (true, Some(client_id)) => Some(on_read!(self, pool => sqlx::query_scalar(COUNT_OF_CLIENT)
                .bind(client_id).fetch_one(pool).await)?),
            (true, None) => Some(on_read!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?),
        };
        let cut = Items::cut(rows, page.limit, |row| row.failure_id.clone());
        let items = cut.items.into_iter().map(FailureRow::read).collect::<Result<_, _>>()?;
        Ok(Items { items, next_after: cut.next_after, total: None }.counted(total))
    }
}

impl Tx {
    /// Adds refused requests, and deletes the older ones that are not kept any more.
    pub(super) async fn add_failures(&mut self, failures: &[Failure]) -> Result<(), StorageError> {
        if failures.is_empty() {
            return Ok(());
        }
        let rows = rows_as_json(failures.iter().map(|failure| {
            (
                &failure.failure_id,
                &failure.client_id,
                failure.at,
                failure.endpoint.as_str(),
                failure.reason.as_str(),
                &failure.detail,
                &failure.source_ip,
                &failure.secret_last_four,
                &failure.request_id,
            )
        }))?;
        let (add, drop_old) = (self.db.choose(ADD), self.db.choose(DROP_OLD));
        on_tx!(self.db, conn => sqlx::query(add).bind(&rows).execute(&mut *conn).await.map(|_| ()))?;
        on_tx!(self.db, conn => sqlx::query(drop_old)
            .bind(&rows).bind(OF_CLIENT_MAX).execute(&mut *conn).await.map(|_| ()))?;
        on_tx!(self.db, conn => sqlx::query(DROP_OLD_OF_OTHERS)
            .bind(OF_OTHERS_MAX).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
