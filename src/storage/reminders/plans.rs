//! How the engine finds what ends next, for the test that checks the cost.

use super::ending::statement;
use crate::model::reminder::EndingKind;
use crate::storage::engine::{Db, within_limit};
use crate::storage::{Storage, StorageError};

impl Storage {
    /// The plan by which what ends after `from` and by `until` is found, as the engine writes its steps. On PostgreSQL,
    /// sequential and bitmap scans are switched off, so that a small table is planned like a large one.
    pub async fn plan_of_endings(
        &self,
        kind: EndingKind,
        from: i64,
        until: i64,
    ) -> Result<Vec<String>, StorageError> {
        // In order: the end and the id after which to search, the end up to which to search, and the limit.
        let values = [
            ("$1", from.to_string()),
            ("$2", "'x'".to_owned()),
            ("$3", until.to_string()),
            ("$4", "100".to_owned()),
        ];
        let sql =
            values.iter().fold(statement(kind).to_owned(), |sql, (name, value)| sql.replace(name, value));
        Ok(match &self.db {
            Db::Sqlite { read, .. } => {
                let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(read).await?;
                rows.into_iter().map(|(.., step)| step).collect()
            }
            Db::Postgres(pool) => {
                within_limit(async {
                    let mut connection = pool.acquire().await?;
                    for sql in ["SET enable_seqscan = off", "SET enable_bitmapscan = off"] {
                        sqlx::query(sql).execute(&mut *connection).await?;
                    }
                    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN {sql}"));
                    let steps = sqlx::query_scalar(sql).fetch_all(&mut *connection).await;
                    for sql in ["RESET enable_seqscan", "RESET enable_bitmapscan"] {
                        sqlx::query(sql).execute(&mut *connection).await?;
                    }
                    steps
                })
                .await?
            }
        })
    }
}
