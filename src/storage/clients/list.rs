//! Lists of API clients: which ones, in which order, page by page. A page costs the same few statements however many
//! clients it has.

use std::collections::{BTreeMap, HashMap};

use sqlx::AssertSqlSafe;

use super::rows::ClientRow;
use super::statements::{ALONG_INDEXES, Values, bound, bound_to_page};
use crate::model::client::{ApiClient, ClientRecord};
use crate::model::clock::UnixSeconds;
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{DbTx, EngineSql, json_array, on_tx, within_limit};
use crate::storage::{Storage, StorageError, Tx};

/// Which clients to list. What is not given does not narrow the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// The label contains this, ignoring the case of ASCII letters.
    pub label: Option<String>,
    /// Granted this product.
    pub product: Option<String>,
    /// `active` or `disabled`.
    pub status: Option<String>,
    /// Has all these pairs in its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Has a live secret that expires before this instant.
    pub secret_expires_before: Option<UnixSeconds>,
    /// Has not authenticated or got a token since this instant.
    pub unused_since: Option<UnixSeconds>,
}

/// What a list of clients is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientOrder {
    /// Their labels, ignoring the case of ASCII letters.
    Label,
    /// When they were created.
    #[default]
    CreatedAt,
    /// When they last authenticated or got a token; those that never did count as the longest ago.
    LastUsedAt,
    /// When they expire; clients that do not expire count as the latest.
    ExpiresAt,
}

/// The order of a list of clients; by default the newest come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSort {
    /// The member to sort by. Clients that are equal in it are sorted by their creation, in the same direction.
    pub by: ClientOrder,
    /// Whether the greatest come first.
    pub descending: bool,
}

impl Default for ClientSort {
    fn default() -> Self {
        Self { by: ClientOrder::CreatedAt, descending: true }
    }
}

/// With a filter that few clients may pass, all that pass are found first and then sorted, if they are no more than this. If
/// they are more, clients are read in the order of the list until a page of them has passed the filter, which is soon.
const FEW: usize = 1_000;

const USES: EngineSql = EngineSql {
    sqlite: "SELECT client_id, last_used_at FROM client_uses
        WHERE last_used_at >= 0 AND client_id IN (SELECT value FROM json_each($1))",
    postgres: "SELECT client_id, last_used_at FROM client_uses
        WHERE last_used_at >= 0 AND client_id IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB)))",
};

impl Storage {
    /// A page of the clients within reach, with their secrets that have not expired at `now`.
    pub async fn clients(
        &self,
        reach: &Reach,
        workspace_id: Option<&str>,
        filter: &ClientFilter,
        sort: ClientSort,
        page: &Page,
        now: UnixSeconds,
    ) -> Result<Items<ClientRecord>, StorageError> {
        if workspace_id.is_some_and(|workspace_id| !reach.covers(workspace_id)) || filter.has_nul() {
            return Ok(Items::none(page));
        }
        let mut values = Values::of(workspace_id.or(reach.limit()), filter, now);
        let mut tx = self.snapshot().await?;
        if filter.label.is_some() {
            tx.prefer_indexes().await?;
        }
        let limited = values.workspace_id.is_some();
        let may_be_few = match sort.by {
            // The index of labels gives the clients in the order of the list already.
            ClientOrder::Label if filter.seeks_label_alone() && !page.count => false,
            // The index of uses is of all workspaces, and one workspace may have few of its clients.
            ClientOrder::LastUsedAt => limited || filter.may_find_few(),
            _ => filter.may_find_few(),
        };
        let few = if may_be_few { tx.few_found(filter, &values).await? } else { None };
        values.among = few.as_deref().map(json_array);
        let sql = sort.page(&tx.db, filter, limited, few.is_some(), page.after.is_none());
        let rows: Vec<ClientRow> = on_tx!(tx.db, conn => bound_to_page!(
            sqlx::query_as(AssertSqlSafe(sql)), values, page).fetch_all(&mut *conn).await)?;
        let ids: Vec<&str> = rows.iter().map(|row| row.client_id.as_str()).collect();
        let mut secrets = tx.secrets_of_clients(&ids, now).await?;
        let mut uses = tx.last_uses(&ids).await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let ordinal = row.ordinal.clone();
            let client = ApiClient::try_from(row)?;
            let secrets = secrets.remove(&client.client_id).unwrap_or_default();
            let last_used_at = uses.remove(&client.client_id);
            records.push((ordinal, ClientRecord { client, secrets, last_used_at }));
        }
        let total = if let Some(few) = few.filter(|_| page.count) {
            i64::try_from(few.len()).ok()
        } else if page.count {
            let sql = filter.count(&tx.db, limited);
            on_tx!(tx.db, conn => bound!(sqlx::query_scalar(AssertSqlSafe(sql)), values)
                .fetch_one(&mut *conn).await.map(Some))?
        } else {
            None
        };
        tx.rollback().await?;
        let cut = Items::cut(records, page.limit, |(ordinal, record)| sort.place_of(ordinal, record));
        Ok(cut.counted(total).map(|(_, record)| record))
    }
}

impl Tx {
    /// From here on PostgreSQL reads indexes rather than whole tables.
    pub(super) async fn prefer_indexes(&mut self) -> Result<(), StorageError> {
        if let DbTx::Postgres(conn) = &mut self.db {
            within_limit(sqlx::raw_sql(ALONG_INDEXES).execute(&mut **conn)).await?;
        }
        Ok(())
    }

    /// All clients that the filter finds, in no particular order; `None` if they are more than [`FEW`].
    async fn few_found(
        &mut self,
        filter: &ClientFilter,
        values: &Values<'_>,
    ) -> Result<Option<Vec<String>>, StorageError> {
        let sql = filter.found(&self.db, values.workspace_id.is_some());
        let limit = i64::try_from(FEW + 1).unwrap_or(i64::MAX);
        let found: Vec<String> = on_tx!(self.db, conn => bound!(sqlx::query_scalar(AssertSqlSafe(sql)), values)
            .bind(limit).fetch_all(&mut *conn).await)?;
        Ok(Some(found).filter(|found| found.len() <= FEW))
    }

    /// Up to `limit` clients within reach that the filter finds, in the order of their ids; with `among`, only those that it
    /// names.
    pub async fn client_ids_found(
        &mut self,
        reach: &Reach,
        filter: &ClientFilter,
        among: Option<&[&str]>,
        limit: u32,
        now: UnixSeconds,
    ) -> Result<Vec<String>, StorageError> {
        if filter.has_nul() {
            return Ok(Vec::new());
        }
        let mut values = Values::of(reach.limit(), filter, now);
        values.among = among.map(json_array);
        let sql = filter.found_ids(&self.db, values.workspace_id.is_some(), among.is_some());
        Ok(on_tx!(self.db, conn => bound!(sqlx::query_scalar(AssertSqlSafe(sql)), values)
            .bind(i64::from(limit)).fetch_all(&mut *conn).await)?)
    }

    /// When clients last authenticated or got a token, by client; those that never did are left out.
    pub async fn last_uses(
        &mut self,
        client_ids: &[&str],
    ) -> Result<HashMap<String, UnixSeconds>, StorageError> {
        let sql = self.db.choose(USES);
        let ids = json_array(client_ids);
        let rows: Vec<(String, i64)> =
            on_tx!(self.db, conn => sqlx::query_as(sql).bind(&ids).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().collect())
    }
}
