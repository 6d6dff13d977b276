//! Secrets, clients and recorded tokens in the order of their ends. With nothing to find, each statement is one probe of an
//! index.

use crate::model::reminder::{End, Ending, EndingKind};
use crate::storage::engine::{on_tx, row, statements};
use crate::storage::{StorageError, Tx};

// Reads the rows of an index after an end and up to an instant, and then their clients. A client may have been deleted.
macro_rules! ending {
    ($columns:literal, $from:literal, $id:literal, $only:literal) => {
        concat!(
            "SELECT e.ends_at, e.id, e.began_at, e.client_id, c.client_id AS found_client_id, ",
            $columns,
            ", w.suspended_at FROM (SELECT expires_at AS ends_at, ",
            $id,
            " AS id, t.* FROM ",
            $from,
            " t WHERE expires_at IS NOT NULL AND expires_at >= $1 AND expires_at <= $3 AND (expires_at > $1 OR ",
            $id,
            " > $2)",
            $only,
            " ORDER BY expires_at, ",
            $id,
            " LIMIT $4) e LEFT JOIN api_clients c ON c.client_id = e.client_id
            LEFT JOIN workspaces w ON w.workspace_id = c.workspace_id ORDER BY e.ends_at, e.id"
        )
    };
}

statements! {
    SECRETS = ending!("e.last_four, e.last_used_at, CAST(NULL AS TEXT) AS scope, CAST(0 AS BIGINT) AS renewed",
        "(SELECT secret_id, client_id, created_at AS began_at, last_four, last_used_at, expires_at FROM client_secrets)",
        "secret_id", "");
    CLIENTS = ending!("CAST(NULL AS TEXT) AS last_four, CAST(NULL AS BIGINT) AS last_used_at, CAST(NULL AS TEXT) AS scope,
            CAST(0 AS BIGINT) AS renewed",
        "(SELECT client_id, created_at AS began_at, expires_at FROM api_clients)", "client_id", "");
    TOKENS = ending!("CAST(NULL AS TEXT) AS last_four, CAST(NULL AS BIGINT) AS last_used_at, e.scope,
            CAST(CASE WHEN e.issued_by = 'client' AND EXISTS (SELECT 1 FROM access_tokens n
                WHERE n.client_id = e.client_id AND n.revoked_at IS NULL
                    AND COALESCE(n.expires_at, 9223372036854775807) > e.ends_at
                    AND n.issued_by = 'client' AND n.scope = e.scope) THEN 1 ELSE 0 END AS BIGINT) AS renewed",
        "(SELECT jti, client_id, issued_at AS began_at, scope, issued_by, revoked_at, expires_at FROM access_tokens)", "jti",
        " AND revoked_at IS NULL");
}

row! {
    struct EndingRow {
        ends_at: i64,
        id: String,
        began_at: i64,
        client_id: String,
        found_client_id: Option<String>,
        last_four: Option<String>,
        last_used_at: Option<i64>,
        scope: Option<String>,
        renewed: i64,
        suspended_at: Option<i64>,
    }
}

/// The statement of a kind.
pub(super) fn statement(kind: EndingKind) -> &'static str {
    match kind {
        EndingKind::Secret => SECRETS,
        EndingKind::Client => CLIENTS,
        EndingKind::Token => TOKENS,
    }
}

impl Tx {
    /// Reads up to `limit` rows that end after `reached` and by `until`, in order. Returns what ends, without what belongs
    /// to deleted clients; and, if there may be more rows, the end of the last row.
    pub async fn ending(
        &mut self,
        kind: EndingKind,
        reached: &End,
        until: i64,
        limit: u32,
    ) -> Result<(Vec<Ending>, Option<End>), StorageError> {
        let sql = statement(kind);
        let rows: Vec<EndingRow> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(reached.at).bind(&reached.id).bind(until).bind(i64::from(limit)).fetch_all(&mut *conn).await)?;
        // If `limit` rows were read, there may be more after the last one.
        let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
        let last = rows.last().filter(|_| is_full).map(|row| End { at: row.ends_at, id: row.id.clone() });
        let found = rows.into_iter().filter(|row| row.found_client_id.is_some()).map(|row| Ending {
            end: End { at: row.ends_at, id: row.id },
            began_at: row.began_at,
            client_id: row.client_id,
            last_four: row.last_four,
            last_used_at: row.last_used_at,
            scope: row.scope,
            is_suspended: row.suspended_at.is_some(),
            is_renewed: row.renewed != 0,
        });
        Ok((found.collect(), last))
    }
}
