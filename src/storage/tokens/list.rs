//! Lists of recorded tokens: those of one client, or of every client within reach.
//!
//! As for the lists of clients, the statement is put together from fixed parts.

use sqlx::AssertSqlSafe;

use super::recorded::{TokenRow, columns};
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::model::token::RecordedToken;
use crate::storage::engine::on_tx;
use crate::storage::{Storage, StorageError};

// The columns of clients have other names here, since tokens have the same columns.
macro_rules! clients_of_workspace {
    () => {
        "(SELECT client_id AS holder, workspace_id AS home FROM api_clients) c CROSS JOIN access_tokens"
    };
}

/// Which recorded tokens to list, by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ListedTokens {
    /// Neither revoked nor expired. Those of a disabled client count too: they are valid again once the client is enabled.
    #[default]
    Live,
    /// Revoked, as long as their rows are kept.
    Revoked,
    /// All whose rows are kept.
    All,
}

/// Which recorded tokens to list. What is not given does not narrow the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Only this client's.
    pub client_id: Option<String>,
    /// Those that end before this instant; never-expiring ones do not.
    pub expires_before: Option<i64>,
    /// Whether they never expire.
    pub never_expires: Option<bool>,
    /// Their state.
    pub status: ListedTokens,
}

impl TokenFilter {
    /// The tables and the conditions. `$1` is the client, `$2` the workspace, `$3` the instant before which they end, `$4`
    /// now; with a cursor, `$5`, `$6` and `$7` are the place after which the page begins.
    fn tables_and_conditions(&self, limited: bool, has_cursor: bool) -> String {
        // The tokens of a deleted client are kept for a while, but the client can no longer be accessed. The tokens of one
        // workspace are found client by client, so that those of other workspaces cost nothing. Either list is read in its
        // order, from where the page begins. SQLite joins in the order of a `CROSS JOIN`.
        let mut sql = String::from(match (limited, has_cursor) {
            (false, _) => {
                "access_tokens
                WHERE EXISTS (SELECT 1 FROM api_clients c WHERE c.client_id = access_tokens.client_id)"
            }
            (true, false) => concat!(clients_of_workspace!(), " WHERE client_id = c.holder AND c.home = $2"),
            (true, true) => concat!(
                clients_of_workspace!(),
                " WHERE client_id = c.holder AND c.home = $2 AND c.holder <= $5"
            ),
        });
        let mut when = |is_given: bool, part: &str| {
            if is_given {
                sql.push_str(part);
            }
        };
        when(self.client_id.is_some(), " AND client_id = $1");
        when(self.expires_before.is_some(), " AND expires_at < $3");
        when(self.never_expires == Some(true), " AND expires_at IS NULL");
        when(self.never_expires == Some(false), " AND expires_at IS NOT NULL");
        when(
            self.status == ListedTokens::Live,
            " AND revoked_at IS NULL AND (revoke_at IS NULL OR revoke_at > $4)
                AND (expires_at IS NULL OR expires_at > $4)",
        );
        when(self.status == ListedTokens::Revoked, " AND (revoked_at IS NOT NULL OR revoke_at <= $4)");
        when(has_cursor, " AND (client_id, issued_at, jti) < ($5, $6, $7)");
        sql
    }

    /// The statement of a page.
    fn page(&self, limited: bool, has_cursor: bool) -> String {
        let client = if limited { "c.holder" } else { "client_id" };
        format!(
            concat!(
                "SELECT ",
                columns!(),
                " FROM {} ORDER BY {client} DESC, issued_at DESC, jti DESC LIMIT $8"
            ),
            self.tables_and_conditions(limited, has_cursor),
            client = client
        )
    }

    /// The statement that counts the tokens of all pages.
    fn count(&self, limited: bool) -> String {
        format!("SELECT COUNT(*) FROM {}", self.tables_and_conditions(limited, false))
    }
}

/// The place of a token in its list, for a cursor.
fn place(token: &RecordedToken) -> String {
    format!("{}:{}:{}", token.client_id, token.issued_at, token.jti)
}

fn read_place(after: &str) -> Option<(&str, i64, &str)> {
    let (client_id, rest) = after.split_once(':')?;
    let (issued_at, jti) = rest.split_once(':')?;
    Some((client_id, issued_at.parse().ok()?, jti))
}

impl Storage {
    /// A page of the recorded tokens of the clients within reach, client by client, the newest first. This is the order of
    /// an index that exists anyway, so that recording a token costs no more.
    pub async fn recorded_tokens(
        &self,
        reach: &Reach,
        filter: &TokenFilter,
        page: &Page,
        now: i64,
    ) -> Result<Items<RecordedToken>, StorageError> {
        if filter.client_id.as_deref().is_some_and(|client_id| client_id.contains('\0')) {
            // PostgreSQL has no such text and would refuse the query.
            return Ok(Items::none(page));
        }
        let after = page.after.as_deref().and_then(read_place);
        let limited = reach.limit().is_some();
        let sql = filter.page(limited, after.is_some());
        let mut tx = self.snapshot().await?;
        let rows: Vec<TokenRow> = on_tx!(tx.db, conn => sqlx::query_as(AssertSqlSafe(sql))
            .bind(filter.client_id.as_deref()).bind(reach.limit()).bind(filter.expires_before).bind(now)
            .bind(after.map(|(client_id, ..)| client_id)).bind(after.map(|(_, at, _)| at)).bind(after.map(|(.., jti)| jti))
            .bind(i64::from(page.limit) + 1).fetch_all(&mut *conn).await)?;
        let total = if page.count {
            let sql = AssertSqlSafe(filter.count(limited));
            on_tx!(tx.db, conn => sqlx::query_scalar(sql)
                .bind(filter.client_id.as_deref()).bind(reach.limit()).bind(filter.expires_before).bind(now)
                .fetch_one(&mut *conn).await.map(Some))?
        } else {
            None
        };
        tx.rollback().await?;
        let tokens = rows.into_iter().map(RecordedToken::from).collect();
        Ok(Items::cut(tokens, page.limit, place).counted(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::engine::Db;

    /// A later page must not read the pages before it, nor sort the tokens of all clients.
    #[tokio::test]
    async fn a_page_reads_only_what_it_shows() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/mintmark.db", folder.path().display());
        let storage = Storage::open(&url, 2).await.unwrap();
        let Db::Sqlite { read, .. } = &storage.db else { panic!("a sqlite: URL opens SQLite") };
        for status in [ListedTokens::Live, ListedTokens::Revoked, ListedTokens::All] {
            for limited in [false, true] {
                for has_cursor in [false, true] {
                    let sql = TokenFilter { status, ..TokenFilter::default() }.page(limited, has_cursor);
                    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                    let plan: Vec<(i64, i64, i64, String)> =
                        sqlx::query_as(sql).fetch_all(read).await.unwrap();
                    let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
                    let of_tokens = steps.iter().find(|step| step.contains("access_tokens")).unwrap();
                    // The first page of all clients has no place to search for: it scans the index in the order of the list.
                    let by = if limited || has_cursor { "(client_id" } else { "USING INDEX" };
                    assert!(of_tokens.contains(by), "{status:?} {limited} {has_cursor}: {steps:?}");
                    if limited {
                        // Client by client, as far as the page goes: not all of them before the first token.
                        let by = "SEARCH api_clients USING COVERING INDEX api_clients_of_workspace (workspace_id=?";
                        assert!(steps[0].starts_with(by) && of_tokens.starts_with("SEARCH"), "{steps:?}");
                        assert!(!steps.iter().any(|step| step.contains("SUBQUERY")), "{steps:?}");
                    }
                    assert!(!steps.contains(&"USE TEMP B-TREE FOR ORDER BY"), "{steps:?}");
                }
            }
        }
        storage.close().await;
    }
}
