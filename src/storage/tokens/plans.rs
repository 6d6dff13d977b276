//! How the engine runs the statements on the live tokens of a client, for the test that holds what they cost.

use super::{live, revoking};
use crate::storage::engine::{Db, EngineSql};
use crate::storage::{Storage, StorageError};

/// Each statement with literals for its parameters, in their order.
const STATEMENTS: [(&str, EngineSql, &[&str]); 12] = [
    ("slots", live::SLOTS, &["'CLIENT'", "NOW"]),
    ("count", live::COUNT, &["'CLIENT'", "NOW"]),
    ("count with scopes", revoking::COUNT_WITH_SCOPES, &["'CLIENT'", "NOW", "'[\"gst\"]'"]),
    ("ids", live::IDS, &["'CLIENT'", "NOW", "10"]),
    ("ids with scopes", live::IDS_WITH_SCOPES, &["'CLIENT'", "NOW", "10", "'[\"gst\"]'"]),
    ("ids beyond", live::IDS_BEYOND, &["'CLIENT'", "NOW", "10", "5"]),
    ("revoke", revoking::REVOKE_OF_CLIENT, &["'CLIENT'", "NOW", "NOW"]),
    ("revoke with scopes", revoking::REVOKE_WITH_SCOPES, &["'CLIENT'", "NOW", "NOW", "'[\"gst\"]'"]),
    ("revoke beyond", revoking::REVOKE_BEYOND, &["'[[\"CLIENT\", 5]]'", "NOW"]),
    ("revoke due", revoking::REVOKE_DUE, &["'CLIENT'", "NOW", "NOW", "10"]),
    ("replace at once", revoking::REPLACE_AT_ONCE, &["'CLIENT'", "NOW", "'new'", "NOW"]),
    ("replace later", revoking::REPLACE_LATER, &["'CLIENT'", "NOW", "'new'", "NOW"]),
];

impl Storage {
    /// The plan of each statement on the tokens of `client_id` (an id without quotes) that live at `now`: its name, and the
    /// steps as the engine writes them.
    pub async fn plans_for_live_tokens(
        &self,
        client_id: &str,
        now: i64,
    ) -> Result<Vec<(&'static str, Vec<String>)>, StorageError> {
        let mut plans = Vec::with_capacity(STATEMENTS.len());
        for (name, pair, literals) in STATEMENTS {
            let written = |sql: &str| {
                literals.iter().enumerate().fold(sql.to_owned(), |sql, (index, literal)| {
                    sql.replace(
                        &format!("${}", index + 1),
                        &literal.replace("CLIENT", client_id).replace("NOW", &now.to_string()),
                    )
                })
            };
            let steps = match &self.db {
                Db::Sqlite { read, .. } => {
                    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", written(pair.sqlite)));
                    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(read).await?;
                    rows.into_iter().map(|(.., step)| step).collect()
                }
                Db::Postgres(pool) => {
                    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN {}", written(pair.postgres)));
                    sqlx::query_scalar(sql).fetch_all(pool).await?
                }
            };
            plans.push((name, steps));
        }
        Ok(plans)
    }
}
