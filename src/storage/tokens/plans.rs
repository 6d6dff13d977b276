//! How the engine runs the statements that find tokens, for the tests that check the cost.

use sqlx::AssertSqlSafe;

use super::{live, revoking, status_lists};
use crate::storage::engine::{Db, EngineSql, within_limit};
use crate::storage::signing;
use crate::storage::{Storage, StorageError};

/// The statements on the live tokens of a client, each with literals for its parameters, in their order.
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

/// The names of the statements on the tokens of a key or of a status list.
const OF_KEY_OR_LIST: [&str; 7] =
    ["LIVE_TOKENS", "HAS_LIVE_TOKENS", "HOLDERS", "CLIENTS_OF", "IDS_OF_KEY", "REVOKE_OF_KEY", "LAST_END"];

impl Storage {
    /// The plan of each statement on the tokens of `client_id` (an id without quotes) that are live at `now`: the name of the
    /// statement, and the steps as the engine writes them.
    pub async fn plans_for_live_tokens(
        &self,
        client_id: &str,
        now: i64,
    ) -> Result<Vec<(&'static str, Vec<String>)>, StorageError> {
        let now = now.to_string();
        let mut plans = Vec::with_capacity(STATEMENTS.len());
        for (name, pair, literals) in STATEMENTS {
            let literals: Vec<String> = literals
                .iter()
                .map(|literal| literal.replace("CLIENT", client_id).replace("NOW", &now))
                .collect();
            plans.push((name, self.plan(self.db.choose(pair), &literals).await?));
        }
        Ok(plans)
    }

    /// As [`Storage::plans_for_live_tokens`], of each statement on the tokens of a key (a kid without quotes) or a status
    /// list.
    pub async fn plans_for_keys_and_lists(
        &self,
        kid: &str,
        list: i64,
        now: i64,
    ) -> Result<Vec<(&'static str, Vec<String>)>, StorageError> {
        let of_tokens = [live::STATEMENTS, revoking::STATEMENTS, status_lists::STATEMENTS];
        let all = of_tokens.into_iter().chain(signing::STATEMENTS.iter().copied()).flatten();
        let mut plans = Vec::with_capacity(OF_KEY_OR_LIST.len());
        for (name, sql) in all.filter(|(name, _)| OF_KEY_OR_LIST.contains(name)) {
            let first = match *name {
                "LAST_END" => list.to_string(),
                "LIVE_TOKENS" => now.to_string(),
                _ => format!("'{kid}'"),
            };
            plans.push((*name, self.plan(sql, &[first, now.to_string()]).await?));
        }
        Ok(plans)
    }

    async fn plan(&self, sql: &str, literals: &[String]) -> Result<Vec<String>, StorageError> {
        let sql = literals
            .iter()
            .enumerate()
            .fold(sql.to_owned(), |sql, (index, literal)| sql.replace(&format!("${}", index + 1), literal));
        Ok(match &self.db {
            Db::Sqlite { read, .. } => {
                let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(read).await?;
                rows.into_iter().map(|(.., step)| step).collect()
            }
            Db::Postgres(pool) => {
                let sql = AssertSqlSafe(format!("EXPLAIN {sql}"));
                within_limit(sqlx::query_scalar(sql).fetch_all(pool)).await?
            }
        })
    }
}
