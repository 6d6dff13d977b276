//! Lists of API clients: which ones, in which order, page by page. A page costs the same few statements however many
//! clients it has.
//!
//! The statement is put together from fixed parts, one for each filter in the request, so that other filters cost nothing
//! and an index can be used. In whatever order a workspace is listed, there is an index in that order, so that only the
//! clients of the page are read. A filter that few clients pass would have to go through nearly all of them this way: so
//! those are found first, and then put into order.

use std::collections::{BTreeMap, HashMap};

use sqlx::AssertSqlSafe;

use super::rows::{ClientRow, columns, metadata_json};
use crate::model::client::{ApiClient, ClientRecord};
use crate::model::clock::UnixSeconds;
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{DbTx, EngineSql, json_array, on_tx};
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
    /// Has a live secret that ends before this instant.
    pub secret_expires_before: Option<UnixSeconds>,
    /// Got no token since this instant.
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
    /// The member to sort by. Equal clients are in the order of creation.
    pub by: ClientOrder,
    /// Whether the greatest come first.
    pub descending: bool,
}

impl Default for ClientSort {
    fn default() -> Self {
        Self { by: ClientOrder::CreatedAt, descending: true }
    }
}

const ENDS: &str = "COALESCE(expires_at, 9223372036854775807)";

/// How many clients are put into order one by one. With more, so many of all pass the filter that a page of them is soon
/// found in the order of the list.
const FEW: usize = 1_000;

const ALL: &str = "api_clients WHERE 1 = 1";

// In the order of an index on uses; a client has the same workspace and ordinal there. `CROSS` keeps that order on SQLite.
const BY_USE: &str =
    "(SELECT client_id AS used_by, last_used_at, workspace_id AS used_in, ordinal AS use_ordinal
        FROM client_uses) uses CROSS JOIN api_clients WHERE client_id = used_by";

const GRANTED: &str = "(SELECT client_id AS granted_to FROM client_products WHERE product = $3) grants
        CROSS JOIN api_clients WHERE client_id = granted_to";

// Metadata has no U+0000, which PostgreSQL could not read.
const METADATA: EngineSql = EngineSql {
    sqlite: " AND NOT EXISTS (SELECT 1 FROM json_each($4) wanted WHERE NOT EXISTS
            (SELECT 1 FROM json_each(metadata) had WHERE had.key = wanted.key AND had.value = wanted.value))",
    postgres: " AND CAST(metadata AS JSONB) @> CAST($4 AS JSONB)",
};

const AMONG: EngineSql = EngineSql {
    sqlite: " AND client_id IN (SELECT value FROM json_each($8))",
    postgres: " AND client_id IN (SELECT jsonb_array_elements_text(CAST($8 AS JSONB)))",
};

const AMONG_USES: EngineSql = EngineSql {
    sqlite: " AND used_by IN (SELECT value FROM json_each($8))",
    postgres: " AND used_by IN (SELECT jsonb_array_elements_text(CAST($8 AS JSONB)))",
};

// SQLite reads labels from the index in this order, one beside the other, and looks up only clients that pass.
const ALONG_LABELS: EngineSql = EngineSql { sqlite: " ORDER BY LOWER(label), ordinal", postgres: "" };

const USES: EngineSql = EngineSql {
    sqlite: "SELECT client_id, last_used_at FROM client_uses
        WHERE last_used_at >= 0 AND client_id IN (SELECT value FROM json_each($1))",
    postgres: "SELECT client_id, last_used_at FROM client_uses
        WHERE last_used_at >= 0 AND client_id IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB)))",
};

/// The values of the parts, in the order of their numbers. Each statement is given all of them and uses some.
#[derive(Debug)]
struct Values<'a> {
    workspace_id: Option<&'a str>,
    label: Option<String>,
    product: Option<&'a str>,
    metadata: String,
    secret_expires_before: Option<UnixSeconds>,
    now: UnixSeconds,
    unused_since: Option<UnixSeconds>,
    among: Option<String>,
}

/// Binds `$1` to `$8`.
macro_rules! bound {
    ($query:expr, $values:expr) => {
        $query
            .bind($values.workspace_id)
            .bind($values.label.as_deref())
            .bind($values.product)
            .bind(&$values.metadata)
            .bind($values.secret_expires_before)
            .bind($values.now)
            .bind($values.unused_since)
            .bind($values.among.as_deref())
    };
}

impl<'a> Values<'a> {
    fn of(workspace_id: Option<&'a str>, filter: &'a ClientFilter, now: UnixSeconds) -> Self {
        Self {
            workspace_id,
            label: filter.label.as_deref().map(contains_pattern),
            product: filter.product.as_deref(),
            metadata: metadata_json(&filter.metadata),
            secret_expires_before: filter.secret_expires_before,
            now,
            unused_since: filter.unused_since,
            among: None,
        }
    }
}

impl ClientFilter {
    /// PostgreSQL has no text with this character and would refuse the query.
    fn has_nul(&self) -> bool {
        let texts = [&self.label, &self.product, &self.status].into_iter().flatten();
        let pairs = self.metadata.iter().flat_map(|(key, value)| [key, value]);
        texts.chain(pairs).any(|text| text.contains('\0'))
    }

    /// Whether it looks for something that most clients may not have.
    fn may_find_few(&self) -> bool {
        self.label.is_some() || self.product.is_some() || self.status.as_deref() == Some("disabled")
    }

    /// The conditions, each with ` AND ` before it.
    fn conditions(&self, db: &DbTx, limited: bool) -> String {
        let mut sql = String::new();
        let mut when = |is_given: bool, part: &str| {
            if is_given {
                sql.push_str(part);
            }
        };
        when(limited, " AND workspace_id = $1");
        when(self.label.is_some(), " AND LOWER(label) LIKE $2 ESCAPE '!'");
        when(
            self.product.is_some(),
            " AND EXISTS (SELECT 1 FROM client_products p WHERE p.client_id = api_clients.client_id AND p.product = $3)",
        );
        match self.status.as_deref() {
            None => {}
            Some("active") => when(true, " AND disabled_at IS NULL"),
            Some("disabled") => when(true, " AND disabled_at IS NOT NULL"),
            Some(_) => when(true, " AND 1 = 0"),
        }
        when(!self.metadata.is_empty(), db.choose(METADATA));
        when(
            self.secret_expires_before.is_some(),
            " AND client_id IN
                (SELECT s.client_id FROM client_secrets s WHERE s.expires_at < $5 AND s.expires_at > $6)",
        );
        when(
            self.unused_since.is_some(),
            " AND NOT EXISTS (SELECT 1 FROM client_uses u WHERE u.client_id = api_clients.client_id
                AND u.last_used_at >= $7)",
        );
        sql
    }
}

impl ClientSort {
    /// Where the clients come from: the tables, and the first condition.
    fn source(self, limited: bool) -> String {
        match self.by {
            ClientOrder::LastUsedAt if limited => format!("{BY_USE} AND used_in = $1"),
            ClientOrder::LastUsedAt => BY_USE.to_owned(),
            _ => ALL.to_owned(),
        }
    }

    /// What the list is ordered by before the order of creation; `None` for that alone.
    fn key(self) -> Option<&'static str> {
        match self.by {
            ClientOrder::Label => Some("LOWER(label)"),
            ClientOrder::CreatedAt => None,
            ClientOrder::LastUsedAt => Some("last_used_at"),
            ClientOrder::ExpiresAt => Some(ENDS),
        }
    }

    /// The rest of the statement: where to start, the order, and the limit.
    fn place(self, is_first_page: bool) -> String {
        let (compare, direction) = if self.descending { ("<", "DESC") } else { (">", "ASC") };
        let after = if self.by == ClientOrder::Label { "$9" } else { "$10" };
        let ordinal = if self.by == ClientOrder::LastUsedAt { "use_ordinal" } else { "ordinal" };
        let from = match self.key() {
            _ if is_first_page => String::new(),
            Some(key) => format!(" AND ({key}, {ordinal}) {compare} ({after}, $11)"),
            None => format!(" AND ordinal {compare} $11"),
        };
        let key = self.key().map(|key| format!("{key} {direction}, ")).unwrap_or_default();
        format!("{from} ORDER BY {key}{ordinal} {direction} LIMIT $12")
    }

    /// The place of a client in the list, for a cursor.
    fn place_of(self, ordinal: &str, record: &ClientRecord) -> String {
        let key = match self.by {
            ClientOrder::Label => record.client.label.to_ascii_lowercase(),
            ClientOrder::CreatedAt => String::new(),
            ClientOrder::LastUsedAt => record.last_used_at.unwrap_or(-1).to_string(),
            ClientOrder::ExpiresAt => record.client.expires_at.unwrap_or(i64::MAX).to_string(),
        };
        format!("{ordinal}:{key}")
    }
}

/// A `LIKE` pattern for "contains", with the pattern's own signs taken literally. Both engines fold ASCII only (the
/// column has the collation `C` on PostgreSQL), so that the answer does not depend on the engine or its locale.
fn contains_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

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
        let after = page.after.as_deref().and_then(|after| after.split_once(':'));
        let (ordinal, key) = after.unzip();
        let number: Option<i64> = key.and_then(|key| key.parse().ok());
        let mut tx = self.snapshot().await?;
        let limited = values.workspace_id.is_some();
        let conditions = filter.conditions(&tx.db, limited);
        let few = if filter.may_find_few() || limited && sort.by == ClientOrder::LastUsedAt {
            tx.few_found(filter, &values).await?
        } else {
            None
        };
        values.among = few.as_deref().map(json_array);
        let among = if sort.by == ClientOrder::LastUsedAt { AMONG_USES } else { AMONG };
        let sql = format!(
            concat!("SELECT ", columns!(), " FROM {}{}{}"),
            sort.source(limited && few.is_none()),
            // Those that are named pass all conditions; without these no index tempts the engine to go through all clients.
            if few.is_some() { tx.db.choose(among) } else { conditions.as_str() },
            sort.place(after.is_none())
        );
        let rows: Vec<ClientRow> = on_tx!(tx.db, conn => bound!(sqlx::query_as(AssertSqlSafe(sql)), values)
            .bind(key).bind(number).bind(ordinal).bind(i64::from(page.limit) + 1)
            .fetch_all(&mut *conn).await)?;
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
            let sql = format!("SELECT COUNT(*) FROM api_clients WHERE 1 = 1{conditions}");
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
    /// All clients that the filter finds, in no order; `None` if they are more than [`FEW`].
    async fn few_found(
        &mut self,
        filter: &ClientFilter,
        values: &Values<'_>,
    ) -> Result<Option<Vec<String>>, StorageError> {
        let limited = values.workspace_id.is_some();
        let source = if filter.product.is_some() { GRANTED } else { ALL };
        let order = if limited && filter.label.is_some() { self.db.choose(ALONG_LABELS) } else { "" };
        let sql =
            format!("SELECT client_id FROM {source}{}{order} LIMIT $9", filter.conditions(&self.db, limited));
        let limit = i64::try_from(FEW + 1).unwrap_or(i64::MAX);
        let found: Vec<String> = on_tx!(self.db, conn => bound!(sqlx::query_scalar(AssertSqlSafe(sql)), values)
            .bind(limit).fetch_all(&mut *conn).await)?;
        Ok(Some(found).filter(|found| found.len() <= FEW))
    }

    /// Up to `limit` clients within reach that the filter finds, by id; with `among` only such as are named in it.
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
        let sql = format!(
            "SELECT client_id FROM api_clients WHERE 1 = 1{}{} ORDER BY client_id LIMIT $9",
            filter.conditions(&self.db, values.workspace_id.is_some()),
            if among.is_some() { self.db.choose(AMONG) } else { "" },
        );
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
