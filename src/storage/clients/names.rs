//! What a list shows about the API clients that its rows refer to. One statement reads it for all rows.

use std::collections::BTreeMap;

use crate::model::client::ClientName;
use crate::model::reach::Reach;
use crate::storage::engine::{EngineSql, json_array, on_read, row};
use crate::storage::{Storage, StorageError};

// A client that was not used yet has -1 as its `last_used_at`.
macro_rules! named {
    ($among:literal) => {
        concat!(
            "SELECT c.client_id, c.label, c.workspace_id, w.name AS workspace_name, c.notification_emails,
                    NULLIF(u.last_used_at, -1) AS last_used_at
                FROM api_clients c JOIN workspaces w ON w.workspace_id = c.workspace_id
                    LEFT JOIN client_uses u ON u.client_id = c.client_id
                WHERE c.client_id IN (",
            $among,
            ") AND (CAST($2 AS TEXT) IS NULL OR c.workspace_id = $2)"
        )
    };
}

const NAMED: EngineSql = EngineSql {
    sqlite: named!("SELECT value FROM json_each($1)"),
    postgres: named!("SELECT jsonb_array_elements_text(CAST($1 AS JSONB))"),
};

row! {
    struct NameRow {
        client_id: String,
        label: String,
        workspace_id: String,
        workspace_name: String,
        notification_emails: String,
        last_used_at: Option<i64>,
    }
}

impl Storage {
    /// The clients within reach that have one of these ids.
    pub async fn client_names(
        &self,
        reach: &Reach,
        client_ids: &[&str],
    ) -> Result<BTreeMap<String, ClientName>, StorageError> {
        if client_ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (sql, ids) = (self.db.choose(NAMED), json_array(client_ids));
        let rows: Vec<NameRow> = on_read!(self, pool => sqlx::query_as(sql)
            .bind(&ids).bind(reach.limit()).fetch_all(pool).await)?;
        let name = |row: NameRow| {
            let name = ClientName {
                label: row.label,
                workspace_id: row.workspace_id,
                workspace_name: row.workspace_name,
                contacts: row.notification_emails.lines().map(str::to_owned).collect(),
                last_used_at: row.last_used_at,
            };
            (row.client_id, name)
        };
        Ok(rows.into_iter().map(name).collect())
    }
}
