//! How the engine finds the clients of a page, for the test that checks the cost.

use sqlx::AssertSqlSafe;

use super::list::{ClientFilter, ClientSort};
use super::statements::{Values, bound, bound_to_page};
use crate::model::page::Page;
use crate::storage::engine::{DbTx, within_limit};
use crate::storage::{Storage, StorageError};

impl Storage {
    /// The plan by which a page is read if too many clients pass the filter to find all of them first: the steps as the
    /// engine writes them. If `workspace_id` is `None`, the page is of all workspaces. On PostgreSQL, sequential scans, bitmap
    /// scans and sorts are switched off, so that a small table is planned like a large one.
    pub async fn plan_of_clients(
        &self,
        workspace_id: Option<&str>,
        filter: &ClientFilter,
        sort: ClientSort,
        page: &Page,
    ) -> Result<Vec<String>, StorageError> {
        let values = Values::of(workspace_id, filter, 0);
        let mut tx = self.snapshot().await?;
        if filter.label.is_some() {
            tx.prefer_indexes().await?;
        }
        let sql = sort.page(&tx.db, filter, workspace_id.is_some(), false, page.after.is_none());
        let steps = match &mut tx.db {
            DbTx::Sqlite(conn) => {
                let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                let rows: Vec<(i64, i64, i64, String)> =
                    bound_to_page!(sqlx::query_as(sql), values, page).fetch_all(&mut **conn).await?;
                rows.into_iter().map(|(.., step)| step).collect()
            }
            DbTx::Postgres(conn) => {
                within_limit(async {
                    for way in ["seqscan", "bitmapscan", "sort"] {
                        let sql = AssertSqlSafe(format!("SET LOCAL enable_{way} = off"));
                        sqlx::query(sql).execute(&mut **conn).await?;
                    }
                    let sql = AssertSqlSafe(format!("EXPLAIN {sql}"));
                    bound_to_page!(sqlx::query_scalar(sql), values, page).fetch_all(&mut **conn).await
                })
                .await?
            }
        };
        tx.rollback().await?;
        Ok(steps)
    }
}
