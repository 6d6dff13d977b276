//! Many recorded tokens in one statement. On SQLite what a statement costs is mostly the way to the writer's thread and
//! back, so tokens that are recorded together go there together.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, Sqlite, Transaction};

use super::engine::DbTx;
use super::{IssueGuard, Standing, StorageError, Tx};
use crate::model::token::RecordedToken;

/// How many tokens one statement takes.
const AT_ONCE: usize = 8;

/// How many values each of them has.
const VALUES: usize = 13;

/// The statement of [`Tx::record_token`] for [`AT_ONCE`] tokens; it returns the ids of those that were born. The joins
/// are in an order that asks by key for each token, which `CROSS` holds the engine to.
static RECORD_MANY: LazyLock<String> = LazyLock::new(|| {
    let mut rows = String::new();
    for row in 0..AT_ONCE {
        rows.push_str(if row == 0 { "(" } else { ", (" });
        for value in 1..=VALUES {
            let comma = if value == 1 { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(rows, "{comma}${}", row * VALUES + value);
        }
        rows.push(')');
    }
    format!(
        "WITH v (jti, client_id, generation, kid, at, secret_id, scope, products, issued_at, expires_at, issued_by, list,
            idx) AS (VALUES {rows})
        INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at, expires_at,
            issued_by, status_list, status_idx)
        SELECT v.jti, c.client_id, c.workspace_id, k.kid, c.generation, v.scope, v.products, v.issued_at, v.expires_at,
            v.issued_by, v.list, v.idx
        FROM v
            CROSS JOIN api_clients c ON c.client_id = v.client_id
            CROSS JOIN workspaces w ON w.workspace_id = c.workspace_id
            CROSS JOIN signing_keys k ON k.kid = v.kid
            CROSS JOIN client_secrets s ON s.secret_id = v.secret_id AND s.client_id = c.client_id
        WHERE c.generation = v.generation AND c.disabled_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > v.at)
            AND w.suspended_at IS NULL AND w.deleted_at IS NULL AND k.phase IN ('pending', 'active')
            AND (s.expires_at IS NULL OR s.expires_at > v.at)
        RETURNING jti"
    )
});

impl Tx {
    /// Adds tokens that their clients asked for with a secret and that replace no others, each if it may still be given:
    /// what [`Tx::record_token`] does, for many. Returns what became of each.
    pub async fn record_tokens(
        &mut self,
        tokens: &[(&RecordedToken, &IssueGuard)],
    ) -> Result<Vec<Standing>, StorageError> {
        let mut outcomes = Vec::with_capacity(tokens.len());
        for group in tokens.chunks(AT_ONCE) {
            let born = match &mut self.db {
                DbTx::Sqlite(tx) if group.len() == AT_ONCE => record_many(tx, group).await?,
                DbTx::Sqlite(_) | DbTx::Postgres(_) => HashSet::new(),
            };
            for (token, guard) in group {
                let standing = if born.contains(&token.jti) {
                    Standing::Good
                } else {
                    // By itself, which also says what stands in the way of one that was not born.
                    self.record_token(token, guard).await?
                };
                outcomes.push(standing);
            }
        }
        Ok(outcomes)
    }
}

async fn record_many(
    tx: &mut Transaction<'static, Sqlite>,
    group: &[(&RecordedToken, &IssueGuard)],
) -> Result<HashSet<String>, StorageError> {
    // Numbers of our own making are all that stands in it beside constants.
    let mut query = sqlx::query_scalar(AssertSqlSafe(RECORD_MANY.as_str()));
    for (token, guard) in group {
        query = query
            .bind(&token.jti)
            .bind(&token.client_id)
            .bind(token.generation)
            .bind(&token.kid)
            .bind(guard.now)
            .bind(guard.secret_id.as_deref())
            .bind(&token.scope)
            .bind(&token.products)
            .bind(token.issued_at)
            .bind(token.expires_at)
            .bind(&token.issued_by)
            .bind(token.slot.map(|slot| slot.list))
            .bind(token.slot.map(|slot| i64::from(slot.idx)));
    }
    Ok(query.fetch_all(&mut **tx).await?.into_iter().collect())
}
