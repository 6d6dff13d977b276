//! Finds clients for work on many of them, and writes when a generation of a client began. The slots of a client are its own
//! and those of its recorded tokens ([`Slot`](crate::model::status::Slot)).

use super::rows::{ClientRow, columns};
use crate::model::client::ApiClient;
use crate::model::key::Alg;
use crate::storage::engine::{EngineSql, json_array, on_read, on_tx, statements};
use crate::storage::{Storage, StorageError, Tx};

statements! {
    ALL_IDS = "SELECT client_id FROM api_clients ORDER BY client_id";
    IDS_OF_WORKSPACE = "SELECT client_id FROM api_clients WHERE workspace_id = $1 ORDER BY client_id";
    // The workspaces of clients whose slots do not show yet that the workspace is suspended, or still show a suspension
    // although nothing suspends the client any more.
    WITH_OUTDATED_SLOTS = "SELECT w.workspace_id FROM workspaces w
        WHERE w.suspended_at IS NOT NULL AND EXISTS (SELECT 1 FROM api_clients c
            WHERE c.workspace_id = w.workspace_id AND c.slots_suspended_at IS NULL)
        UNION
        SELECT w.workspace_id FROM api_clients c JOIN workspaces w ON w.workspace_id = c.workspace_id
        WHERE c.slots_suspended_at IS NOT NULL AND w.suspended_at IS NULL AND c.disabled_at IS NULL
            AND (c.expires_at IS NULL OR c.expires_at > $1)
        ORDER BY 1";
    IDS_SIGNED_BY = "SELECT client_id FROM api_clients
        WHERE (signing_alg IS NULL OR signing_alg = $1 OR updated_at > $2)
            AND COALESCE(generation_began_at, CASE WHEN generation = 1 THEN created_at END, 0) <= $3
        ORDER BY client_id";
    GENERATION_BEGAN = "UPDATE api_clients SET generation_began_at = $2 WHERE client_id = $1";
    EXPIRED_NOT_SUSPENDED = "SELECT client_id FROM api_clients
        WHERE expires_at IS NOT NULL AND expires_at <= $1 AND slots_suspended_at IS NULL ORDER BY client_id LIMIT $2";
    WITHOUT_SLOT = "SELECT client_id FROM api_clients WHERE status_list IS NULL ORDER BY client_id LIMIT $1";
}

// Each engine has its own function to expand an array of ids.
const WITH_IDS: EngineSql = EngineSql {
    sqlite: concat!(
        "SELECT ",
        columns!(),
        " FROM api_clients WHERE client_id IN (SELECT value FROM json_each($1)) ORDER BY client_id"
    ),
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM api_clients WHERE client_id IN (SELECT jsonb_array_elements_text(CAST($1 AS JSONB))) ORDER BY client_id"
    ),
};

impl Storage {
    /// Every `client_id`, for work on all clients.
    pub async fn client_ids(&self) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(ALL_IDS).fetch_all(pool).await)?)
    }

    /// Up to `limit` clients that have expired by `now` and whose slots do not show it yet.
    pub async fn expired_clients_not_suspended(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(EXPIRED_NOT_SUSPENDED)
            .bind(now).bind(i64::from(limit)).fetch_all(pool).await)?)
    }

    /// The clients of a workspace, in the order in which to lock them.
    pub async fn client_ids_of_workspace(&self, workspace_id: &str) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(IDS_OF_WORKSPACE)
            .bind(workspace_id).fetch_all(pool).await)?)
    }

    /// The workspaces with a client whose slots do not show yet that the workspace is suspended, or show a suspension that has
    /// ended by `now`.
    pub async fn workspaces_with_outdated_slots(&self, now: i64) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(WITH_OUTDATED_SLOTS).bind(now).fetch_all(pool).await)?)
    }

    /// Up to `limit` clients without a slot, which were created before there were slots.
    pub async fn clients_without_slot(&self, limit: u32) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(WITHOUT_SLOT)
            .bind(i64::from(limit)).fetch_all(pool).await)?)
    }
}

impl Storage {
    /// As [`Tx::client_ids_signed_by`], outside a transaction.
    pub async fn client_ids_signed_by(
        &self,
        alg: Alg,
        since: i64,
        until: i64,
    ) -> Result<Vec<String>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(IDS_SIGNED_BY)
            .bind(alg.as_str()).bind(since).bind(until).fetch_all(pool).await)?)
    }
}

impl Tx {
    /// The clients with these ids, without a lock. Those that do not exist are left out.
    pub async fn clients_with_ids(&mut self, client_ids: &[&str]) -> Result<Vec<ApiClient>, StorageError> {
        let (sql, ids) = (self.db.choose(WITH_IDS), json_array(client_ids));
        let rows: Vec<ClientRow> =
            on_tx!(self.db, conn => sqlx::query_as(sql).bind(&ids).fetch_all(&mut *conn).await)?;
        rows.into_iter().map(ApiClient::try_from).collect()
    }

    /// The clients that may hold stateless tokens signed with `alg`, in the order in which to lock them. These are clients
    /// whose tokens are signed with `alg` or with the algorithm of the platform, and clients that were changed after `since`
    /// and may have had `alg` before. Their generation began no later than `until`, or it is not known when it began.
    pub async fn client_ids_signed_by(
        &mut self,
        alg: Alg,
        since: i64,
        until: i64,
    ) -> Result<Vec<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(IDS_SIGNED_BY)
            .bind(alg.as_str()).bind(since).bind(until).fetch_all(&mut *conn).await)?)
    }

    /// Writes when the generation of a client began.
    pub async fn generation_began(&mut self, client_id: &str, at: i64) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(GENERATION_BEGAN)
            .bind(client_id).bind(at).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
