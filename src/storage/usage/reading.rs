//! Reads what was counted, for administrators.

use std::collections::{BTreeMap, HashMap};

use crate::model::clock::UnixSeconds;
use crate::model::reach::Reach;
use crate::model::usage::{DayUsage, Outcome, SeenFrom};
use crate::storage::engine::{EngineSql, json_array, on_read, on_tx, statements};
use crate::storage::{Storage, StorageError};

statements! {
    IS_WITHIN = "SELECT COUNT(*) FROM api_clients
        WHERE client_id = $1 AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)";
    // The count of a day is the sum of what is stored for the day and for its hours, which are added to the day later.
    DAYS = "SELECT day, outcome, CAST(SUM(times) AS BIGINT) FROM
            (SELECT day, outcome, times FROM client_usage_days WHERE client_id = $1 AND day >= $2 AND day <= $3
            UNION ALL
            SELECT hour - hour % 86400, outcome, times FROM client_usage_hours
                WHERE client_id = $1 AND hour >= $2 AND hour < $3 + 86400) counted
        GROUP BY day, outcome ORDER BY day, outcome";
    NETWORKS = "SELECT network, last_seen_at FROM client_networks
        WHERE client_id = $1 ORDER BY last_seen_at DESC, network";
}

// Each engine has its own function to expand an array of ids.
const SECRET_USES: EngineSql = EngineSql {
    sqlite: "SELECT i.value, o.source_ip, o.first_used_at,
            (SELECT CAST(COALESCE(SUM(h.times), 0) AS BIGINT) FROM secret_usage_hours h
             WHERE h.secret_id = i.value AND h.hour >= $2)
        FROM json_each($1) i LEFT JOIN secret_sources o ON o.secret_id = i.value",
    postgres: "SELECT i.value, o.source_ip, o.first_used_at,
            (SELECT CAST(COALESCE(SUM(h.times), 0) AS BIGINT) FROM secret_usage_hours h
             WHERE h.secret_id = i.value AND h.hour >= $2)
        FROM jsonb_array_elements_text(CAST($1 AS JSONB)) i (value)
        LEFT JOIN secret_sources o ON o.secret_id = i.value",
};
const REFUSALS: EngineSql = EngineSql {
    sqlite: "SELECT h.client_id, CAST(SUM(h.times) AS BIGINT) FROM json_each($1) i
        JOIN client_usage_hours h ON h.client_id = i.value AND h.hour >= $2 AND h.outcome <> 'issued'
        JOIN api_clients c ON c.client_id = h.client_id AND (CAST($3 AS TEXT) IS NULL OR c.workspace_id = $3)
        GROUP BY h.client_id",
    postgres: "SELECT h.client_id, CAST(SUM(h.times) AS BIGINT)
        FROM jsonb_array_elements_text(CAST($1 AS JSONB)) i (value)
        JOIN client_usage_hours h ON h.client_id = i.value AND h.hour >= $2 AND h.outcome <> 'issued'
        JOIN api_clients c ON c.client_id = h.client_id AND (CAST($3 AS TEXT) IS NULL OR c.workspace_id = $3)
        GROUP BY h.client_id",
};

/// How a secret was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretUse {
    /// The address that it was last used from.
    pub source_ip: Option<String>,
    /// When it was first used, if that is known.
    pub first_used_at: Option<UnixSeconds>,
    /// How often it was used from the given hour on.
    pub times: i64,
}

impl Storage {
    /// Whether the client exists and is within reach.
    pub async fn client_is_within(&self, reach: &Reach, client_id: &str) -> Result<bool, StorageError> {
        let found: i64 = on_read!(self, pool => sqlx::query_scalar(IS_WITHIN)
            .bind(client_id).bind(reach.limit()).fetch_one(pool).await)?;
        Ok(found > 0)
    }

    /// What a client did on the days from `first` to `last`, each given as the instant at which it begins. Days without a
    /// request are left out.
    pub async fn usage_by_day(
        &self,
        client_id: &str,
        first: UnixSeconds,
        last: UnixSeconds,
    ) -> Result<BTreeMap<UnixSeconds, DayUsage>, StorageError> {
        let rows: Vec<(i64, String, i64)> = on_read!(self, pool => sqlx::query_as(DAYS)
            .bind(client_id).bind(first).bind(last).fetch_all(pool).await)?;
        let mut days: BTreeMap<UnixSeconds, DayUsage> = BTreeMap::new();
        for (day, outcome, times) in rows {
            let usage = days.entry(day).or_insert(DayUsage { day, ..DayUsage::default() });
            match Outcome::named(&outcome) {
                Some(Outcome::Issued) => usage.issued += times,
                Some(Outcome::Refused(reason)) => *usage.refused.entry(reason.as_str()).or_default() += times,
                None => {
                    return Err(StorageError::Damaged(format!(
                        "`outcome` in client_usage_days or client_usage_hours is `{}`, which is no known outcome",
                        outcome.escape_debug()
                    )));
                }
            }
        }
        Ok(days)
    }

    /// The networks that a client was seen from, the most recent first.
    pub async fn networks_of_client(&self, client_id: &str) -> Result<Vec<SeenFrom>, StorageError> {
        let rows: Vec<(String, i64)> =
            on_read!(self, pool => sqlx::query_as(NETWORKS).bind(client_id).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|(network, last_seen_at)| SeenFrom { network, last_seen_at }).collect())
    }

    /// How secrets were used, by secret id. Their uses are counted from `since_hour` on.
    pub async fn uses_of_secrets(
        &self,
        secret_ids: &[&str],
        since_hour: UnixSeconds,
    ) -> Result<HashMap<String, SecretUse>, StorageError> {
        let mut tx = self.snapshot().await?;
        let (sql, ids) = (tx.db.choose(SECRET_USES), json_array(secret_ids));
        let rows: Vec<(String, Option<String>, Option<i64>, i64)> = on_tx!(tx.db, conn => sqlx::query_as(sql)
            .bind(&ids).bind(since_hour).fetch_all(&mut *conn).await)?;
        tx.rollback().await?;
        let uses = rows
            .into_iter()
            .map(|(id, source_ip, first_used_at, times)| (id, SecretUse { source_ip, first_used_at, times }));
        Ok(uses.collect())
    }

    /// How often each of these clients was refused from `since_hour` on. Clients that are not within reach, or were not refused
    /// since then, are left out.
    pub async fn refusals_of_clients(
        &self,
        reach: &Reach,
        client_ids: &[&str],
        since_hour: UnixSeconds,
    ) -> Result<HashMap<String, i64>, StorageError> {
        let mut tx = self.snapshot().await?;
        let (sql, ids) = (tx.db.choose(REFUSALS), json_array(client_ids));
        let rows: Vec<(String, i64)> = on_tx!(tx.db, conn => sqlx::query_as(sql)
            .bind(&ids).bind(since_hour).bind(reach.limit()).fetch_all(&mut *conn).await)?;
        tx.rollback().await?;
        Ok(rows.into_iter().collect())
    }
}
