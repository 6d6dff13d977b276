//! The statements of lists of API clients.
//!
//! A statement is put together from fixed parts, one for each filter in the request, so that other filters cost nothing and
//! an index can be used. There is an index for each order of a list, of one workspace or of all, so that only the clients
//! of the page are read; only the index of uses is always of all. If few clients pass a filter, reading such an index would go
//! through nearly all clients. So with the filters of `may_find_few`, the clients that pass are found first, and then sorted.
//! Labels are searched one by one in the index of labels.

use super::list::{ClientFilter, ClientOrder, ClientSort};
use super::rows::{columns, metadata_json};
use crate::model::client::ClientRecord;
use crate::model::clock::UnixSeconds;
use crate::storage::engine::{DbTx, EngineSql};

const ENDS: &str = "COALESCE(expires_at, 9223372036854775807)";

const ALL: &str = "api_clients WHERE 1 = 1";

// Clients in the order of an index of `client_uses`, whose rows repeat the workspace and the ordinal of the client. `CROSS`
// keeps that order on SQLite.
const BY_USE: &str =
    "(SELECT client_id AS used_by, last_used_at, workspace_id AS used_in, ordinal AS use_ordinal
        FROM client_uses) uses CROSS JOIN api_clients WHERE client_id = used_by";

// A subquery reads only the index of labels: it finds the labels that pass the filter, in the order of the index. Without the
// subquery PostgreSQL would read each client before it looks at the label; SQLite does not.
const LABELLED: &str = ") labelled CROSS JOIN api_clients WHERE client_id = labelled_id";

const GRANTED: &str = "(SELECT client_id AS granted_to FROM client_products WHERE product = $3) grants
        CROSS JOIN api_clients WHERE client_id = granted_to";

// Metadata never contains U+0000, which PostgreSQL could not read.
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

// With this order SQLite reads the labels one by one from the index, and looks up only the clients that pass.
const ALONG_LABELS: EngineSql = EngineSql { sqlite: " ORDER BY LOWER(label), ordinal", postgres: "" };

/// Until the end of the transaction, PostgreSQL reads the whole table only if there is no other way, and assumes that a
/// random page costs about as much as the next one. By default it assumes four times as much, as on a rotating disk, and
/// would search all clients rather than the index of labels.
pub(super) const ALONG_INDEXES: &str = "SET LOCAL enable_seqscan = off; SET LOCAL random_page_cost = 1.1";

/// The values of `$1` to `$8` in the parts, in this order. Each statement is given all of them and uses some.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) workspace_id: Option<&'a str>,
    pub(super) label: Option<String>,
    pub(super) product: Option<&'a str>,
    pub(super) metadata: String,
    pub(super) secret_expires_before: Option<UnixSeconds>,
    pub(super) now: UnixSeconds,
    pub(super) unused_since: Option<UnixSeconds>,
    pub(super) among: Option<String>,
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

/// Binds `$1` to `$12`. `$9` to `$11` are where the page starts. `$12` is how many clients to read: one more than the page
/// has at most.
macro_rules! bound_to_page {
    ($query:expr, $values:expr, $page:expr) => {{
        let (ordinal, key) = $page.after.as_deref().and_then(|after| after.split_once(':')).unzip();
        let number: Option<i64> = key.and_then(|key| key.parse().ok());
        bound!($query, $values).bind(key).bind(number).bind(ordinal).bind(i64::from($page.limit) + 1)
    }};
}

pub(super) use {bound, bound_to_page};

impl<'a> Values<'a> {
    pub(super) fn of(workspace_id: Option<&'a str>, filter: &'a ClientFilter, now: UnixSeconds) -> Self {
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
    /// Whether a text of the filter contains U+0000. PostgreSQL has no text with this character and would refuse the query.
    pub(super) fn has_nul(&self) -> bool {
        let texts = [&self.label, &self.product, &self.status].into_iter().flatten();
        let pairs = self.metadata.iter().flat_map(|(key, value)| [key, value]);
        texts.chain(pairs).any(|text| text.contains('\0'))
    }

    /// Whether the filter looks for something that most clients may not have, and that an index finds: a label, a product, or
    /// disabled clients.
    pub(super) fn may_find_few(&self) -> bool {
        self.label.is_some() || self.product.is_some() || self.status.as_deref() == Some("disabled")
    }

    /// Whether a label is the only thing in the filter that most clients may not have.
    pub(super) fn seeks_label_alone(&self) -> bool {
        self.label.is_some() && !Self { label: None, ..self.clone() }.may_find_few()
    }

    /// The statement that finds the ids of up to `$9` clients, in no particular order.
    pub(super) fn found(&self, db: &DbTx, limited: bool) -> String {
        let source = if self.product.is_some() { GRANTED } else { ALL };
        let order = if limited && self.label.is_some() { db.choose(ALONG_LABELS) } else { "" };
        format!("SELECT client_id FROM {source}{}{order} LIMIT $9", self.conditions(db, limited))
    }

    /// The statement that finds the ids of up to `$9` clients, in order. With `among`, only ids in `$8` are found.
    pub(super) fn found_ids(&self, db: &DbTx, limited: bool, among: bool) -> String {
        let among = if among { db.choose(AMONG) } else { "" };
        let conditions = self.conditions(db, limited);
        format!("SELECT client_id FROM {ALL}{conditions}{among} ORDER BY client_id LIMIT $9")
    }

    /// The statement that counts all clients that pass the filter.
    pub(super) fn count(&self, db: &DbTx, limited: bool) -> String {
        format!("SELECT COUNT(*) FROM {ALL}{}", self.conditions(db, limited))
    }

    /// All conditions of the filter, each with ` AND ` before it.
    fn conditions(&self, db: &DbTx, limited: bool) -> String {
        self.conditions_in_index(limited) + &self.conditions_on_clients(db)
    }

    /// The conditions on what the indexes of labels contain.
    fn conditions_in_index(&self, limited: bool) -> String {
        let of_workspace = if limited { " AND workspace_id = $1" } else { "" };
        let labelled = if self.label.is_some() { " AND LOWER(label) LIKE $2 ESCAPE '!'" } else { "" };
        format!("{of_workspace}{labelled}")
    }

    /// The conditions on everything else.
    fn conditions_on_clients(&self, db: &DbTx) -> String {
        let mut sql = String::new();
        let mut when = |is_given: bool, part: &str| {
            if is_given {
                sql.push_str(part);
            }
        };
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
    /// The statement of a page. With `few`, `$8` names the clients that pass the filter. Otherwise the index in the order
    /// of the list is read as far as the page goes.
    pub(super) fn page(
        self,
        db: &DbTx,
        filter: &ClientFilter,
        limited: bool,
        few: bool,
        first: bool,
    ) -> String {
        let by_use = self.by == ClientOrder::LastUsedAt;
        let ordinal = if by_use { "use_ordinal" } else { "ordinal" };
        let (from, order) = (if first { String::new() } else { self.from(ordinal) }, self.order(ordinal));
        let start = concat!("SELECT ", columns!(), " FROM ");
        if few {
            // The clients in `$8` pass all conditions. Without conditions, the engine has no reason to choose an index that
            // goes through all clients.
            let (source, among) = if by_use { (BY_USE, AMONG_USES) } else { (ALL, AMONG) };
            return format!("{start}{source}{}{from}{order} LIMIT $12", db.choose(among));
        }
        if self.by == ClientOrder::Label && filter.label.is_some() && matches!(db, DbTx::Postgres(_)) {
            let (in_index, direction) = (filter.conditions_in_index(limited), self.direction());
            return format!(
                "{start}(SELECT client_id AS labelled_id, ordinal AS labelled_ordinal, LOWER(label) AS folded
                    FROM {ALL}{in_index}{from}{order}{LABELLED}{}
                    ORDER BY folded {direction}, labelled_ordinal {direction} LIMIT $12",
                filter.conditions_on_clients(db)
            );
        }
        let source = if by_use { BY_USE } else { ALL };
        let of_workspace = if by_use && limited { " AND used_in = $1" } else { "" };
        format!("{start}{source}{of_workspace}{}{from}{order} LIMIT $12", filter.conditions(db, limited))
    }

    /// What the list is sorted by first; clients that are equal in it are in the order of creation. `None` for the order of
    /// creation alone.
    fn key(self) -> Option<&'static str> {
        match self.by {
            ClientOrder::Label => Some("LOWER(label)"),
            ClientOrder::CreatedAt => None,
            ClientOrder::LastUsedAt => Some("last_used_at"),
            ClientOrder::ExpiresAt => Some(ENDS),
        }
    }

    fn direction(self) -> &'static str {
        if self.descending { "DESC" } else { "ASC" }
    }

    /// The condition on where to start.
    fn from(self, ordinal: &str) -> String {
        let compare = if self.descending { "<" } else { ">" };
        let after = if self.by == ClientOrder::Label { "$9" } else { "$10" };
        match self.key() {
            Some(key) => format!(" AND ({key}, {ordinal}) {compare} ({after}, $11)"),
            None => format!(" AND ordinal {compare} $11"),
        }
    }

    fn order(self, ordinal: &str) -> String {
        let direction = self.direction();
        let key = self.key().map(|key| format!("{key} {direction}, ")).unwrap_or_default();
        format!(" ORDER BY {key}{ordinal} {direction}")
    }

    /// The place of a client in the list, for a cursor.
    pub(super) fn place_of(self, ordinal: &str, record: &ClientRecord) -> String {
        let key = match self.by {
            ClientOrder::Label => record.client.label.to_ascii_lowercase(),
            ClientOrder::CreatedAt => String::new(),
            ClientOrder::LastUsedAt => record.last_used_at.unwrap_or(-1).to_string(),
            ClientOrder::ExpiresAt => record.client.expires_at.unwrap_or(i64::MAX).to_string(),
        };
        format!("{ordinal}:{key}")
    }
}

/// A `LIKE` pattern for "contains", with the special characters of patterns escaped. Both engines fold ASCII only (the
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
