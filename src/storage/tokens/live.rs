//! The recorded tokens of a client that are neither revoked nor ended: how many, their slots, and which of them a change
//! ends. Rows of ended tokens are kept for a long time, so no statement here reads them.

use crate::model::status::Slot;
use crate::storage::engine::{Db, EngineSql, json_array, on_read, on_tx, statements};
use crate::storage::signing::of_key;
use crate::storage::{Storage, StorageError, Tx};

// SQLite would choose the index of all tokens of a client. With `access_tokens_live` the cost depends only on the live ones.
// SQLite refuses a statement that cannot use the index that it names.
macro_rules! of_live {
    ($verb:expr, $set:expr, sqlite: $on_sqlite:expr, postgres: $on_postgres:expr) => {
        EngineSql {
            sqlite: concat!(
                $verb, " access_tokens INDEXED BY access_tokens_live ", $set,
                " WHERE client_id = $1 AND revoked_at IS NULL AND COALESCE(expires_at, 9223372036854775807) > $2 ",
                $on_sqlite
            ),
            postgres: concat!(
                $verb, " access_tokens ", $set,
                " WHERE client_id = $1 AND revoked_at IS NULL AND COALESCE(expires_at, 9223372036854775807) > $2 ",
                $on_postgres
            ),
        }
    };
    ($verb:expr, $set:expr, $more:expr) => {
        of_live!($verb, $set, sqlite: $more, postgres: $more)
    };
}

pub(super) use of_live;

pub(super) const SLOTS: EngineSql = of_live!("SELECT status_list, status_idx FROM", "", "");
// The other statements also find replaced tokens whose grace period is over, until their revocation is written.
pub(super) const COUNT: EngineSql =
    of_live!("SELECT COUNT(*) FROM", "", "AND (revoke_at IS NULL OR revoke_at > $2)");
// In the order of the index, so that PostgreSQL reads no more of it than the limit, however many rows it expects.
pub(super) const IDS: EngineSql =
    of_live!("SELECT jti FROM", "", "ORDER BY COALESCE(expires_at, 9223372036854775807) LIMIT $3");
// `scope` is a list of words. Each engine has its own function to expand the array of scopes.
pub(super) const IDS_WITH_SCOPES: EngineSql = of_live!(
    "SELECT jti FROM",
    "",
    sqlite: "AND EXISTS (SELECT 1 FROM json_each($4) wanted
        WHERE INSTR(' ' || scope || ' ', ' ' || wanted.value || ' ') > 0)
        ORDER BY COALESCE(expires_at, 9223372036854775807) LIMIT $3",
    postgres: "AND EXISTS (SELECT 1 FROM jsonb_array_elements_text(CAST($4 AS JSONB)) wanted
        WHERE STRPOS(' ' || scope || ' ', ' ' || wanted.value || ' ') > 0)
        ORDER BY COALESCE(expires_at, 9223372036854775807) LIMIT $3"
);
// The order in which tokens were recorded is the rowid on SQLite and the column `place` on PostgreSQL, which is empty for
// tokens that are older than the column.
pub(super) const IDS_BEYOND: EngineSql = of_live!(
    "SELECT jti FROM",
    "",
    sqlite: "AND issued_by = 'client' ORDER BY rowid DESC LIMIT $3 OFFSET $4",
    postgres: "AND issued_by = 'client' ORDER BY place DESC NULLS LAST, issued_at DESC, jti DESC LIMIT $3 OFFSET $4"
);

statements! {
    IDS_OF_KEY = concat!("SELECT client_id, jti FROM access_tokens
        WHERE ", of_key!(), " AND (expires_at IS NULL OR expires_at > $2) ORDER BY client_id");
}

/// For how many seconds after its end a token is still revoked, because the clocks of services differ.
pub(super) const CLOCKS_DIFFER: i64 = 120;

/// Which live recorded tokens of a client a change ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// All of them.
    All,
    /// Those that carry one of these scope tokens.
    WithScopes(&'a [&'a str]),
    /// Those that the client requested itself, except this many of the newest, which are kept.
    Beyond(i64),
}

/// Runs the statement that finds the tokens of `$ending`, on a connection or a pool of either engine.
macro_rules! ids {
    ($sql:ident, $executor:expr, $client_id:expr, $ending:expr, $now:expr, $limit:expr) => {{
        let scopes = match $ending {
            Ending::WithScopes(scopes) => Some(json_array(scopes)),
            Ending::All | Ending::Beyond(_) => None,
        };
        let query = sqlx::query_scalar($sql).bind($client_id).bind($ending.ends_after($now)).bind($limit);
        match $ending {
            Ending::All => query,
            Ending::WithScopes(_) => query.bind(scopes),
            Ending::Beyond(kept) => query.bind(kept),
        }
        .fetch_all($executor)
        .await
    }};
}

impl Ending<'_> {
    /// A change ends only tokens that expire after this instant. Tokens that may still be live by another clock are revoked
    /// too. [`Ending::Beyond`] counts tokens, and counts only those that have not expired by this clock.
    fn ends_after(self, now: i64) -> i64 {
        match self {
            Self::All | Self::WithScopes(_) => now - CLOCKS_DIFFER,
            Self::Beyond(_) => now,
        }
    }

    fn statement(self) -> EngineSql {
        match self {
            Self::All => IDS,
            Self::WithScopes(_) => IDS_WITH_SCOPES,
            Self::Beyond(_) => IDS_BEYOND,
        }
    }
}

impl Storage {
    /// The ids of the tokens that a change ends, all of them.
    pub async fn ending_tokens(
        &self,
        client_id: &str,
        ending: Ending<'_>,
        now: i64,
    ) -> Result<Vec<String>, StorageError> {
        let pair = ending.statement();
        let sql = match self.db {
            Db::Sqlite { .. } => pair.sqlite,
            Db::Postgres(_) => pair.postgres,
        };
        Ok(on_read!(self, pool => ids!(sql, pool, client_id, ending, now, i64::MAX))?)
    }
}

impl Storage {
    /// The recorded tokens of a key that are not revoked, and have not ended or ended less than `CLOCKS_DIFFER` seconds ago:
    /// pairs of `client_id` and token id, in the order of the clients.
    pub async fn ending_tokens_of_key(
        &self,
        kid: &str,
        now: i64,
    ) -> Result<Vec<(String, String)>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(IDS_OF_KEY)
            .bind(kid).bind(now - CLOCKS_DIFFER).fetch_all(pool).await)?)
    }
}

impl Tx {
    /// Whether a change of a locked client ends more than `limit` tokens.
    pub async fn ends_more_than(
        &mut self,
        limit: usize,
        client_id: &str,
        ending: Ending<'_>,
        now: i64,
    ) -> Result<bool, StorageError> {
        Ok(self.count_ending(client_id, ending, now, limit.saturating_add(1)).await? > limit)
    }

    /// How many tokens a change of a locked client ends; `at_most` if there are more.
    pub async fn count_ending(
        &mut self,
        client_id: &str,
        ending: Ending<'_>,
        now: i64,
        at_most: usize,
    ) -> Result<usize, StorageError> {
        let sql = self.db.choose(ending.statement());
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let ids: Vec<String> =
            on_tx!(self.db, conn => ids!(sql, &mut *conn, client_id, ending, now, at_most))?;
        Ok(ids.len())
    }

    /// The slots of the recorded tokens of a client that are neither revoked nor ended at `now`.
    pub async fn live_slots_of_client(
        &mut self,
        client_id: &str,
        now: i64,
    ) -> Result<Vec<Slot>, StorageError> {
        let sql = self.db.choose(SLOTS);
        let rows: Vec<(Option<i64>, Option<i64>)> = on_tx!(self.db, conn => sqlx::query_as(sql)
            .bind(client_id).bind(now).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().filter_map(|(list, idx)| Slot::from_columns(list, idx)).collect())
    }

    /// How many recorded tokens of a client are live at `now`.
    pub async fn count_live_tokens(&mut self, client_id: &str, now: i64) -> Result<i64, StorageError> {
        let sql = self.db.choose(COUNT);
        Ok(
            on_tx!(self.db, conn => sqlx::query_scalar(sql).bind(client_id).bind(now).fetch_one(&mut *conn).await)?,
        )
    }
}
