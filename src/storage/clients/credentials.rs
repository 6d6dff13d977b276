//! The data for authenticating a client and issuing its tokens, for the credential cache.

use super::rows::{ClientRow, columns};
use crate::model::client::ApiClient;
use crate::model::product::Product;
use crate::model::secret::ClientSecret;
use crate::storage::engine::{on_tx, statements};
use crate::storage::{Storage, StorageError};

statements! {
    SNAPSHOT = "SELECT s.change_seq, w.suspended_at, w.never_expires_allowed FROM service_state s
        LEFT JOIN api_clients c ON c.client_id = $1 LEFT JOIN workspaces w ON w.workspace_id = c.workspace_id
        WHERE s.id = 1";
    FIND = concat!("SELECT ", columns!(), " FROM api_clients WHERE client_id = $1");
}

/// All data for authenticating a client and issuing its tokens, read in one state of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCredentials {
    /// The client.
    pub client: ApiClient,
    /// When its workspace was suspended; `None` if it is not suspended.
    pub workspace_suspended_at: Option<i64>,
    /// Whether clients of its workspace may have never-expiring tokens.
    pub workspace_never_expires_allowed: bool,
    /// All its secrets; whether one has expired is checked when it is used.
    pub secrets: Vec<ClientSecret>,
    /// The granted products, by code.
    pub products: Vec<Product>,
}

impl Storage {
    /// Everything about a client that authentication and issuing need, by `client_id` alone, with the value of the change
    /// counter at which it was true. There is no reach here: a caller has one only after authentication. The same
    /// statements run whether the client exists or not, so that the time they take does not reveal it.
    pub async fn credentials(
        &self,
        client_id: &str,
    ) -> Result<(Option<StoredCredentials>, i64), StorageError> {
        let mut tx = self.snapshot().await?;
        let (change_seq, workspace_suspended_at, never_expires_allowed): (i64, Option<i64>, Option<i64>) =
            on_tx!(tx.db, conn => sqlx::query_as(SNAPSHOT).bind(client_id).fetch_one(&mut *conn).await)?;
        let row: Option<ClientRow> = on_tx!(tx.db, conn => sqlx::query_as(FIND)
            .bind(client_id).fetch_optional(&mut *conn).await)?;
        let secrets = tx.secrets(client_id).await?;
        let products = tx.granted_products(client_id).await?;
        tx.rollback().await?;
        let Some(row) = row else { return Ok((None, change_seq)) };
        let client = row.try_into()?;
        let workspace_never_expires_allowed = never_expires_allowed.is_some_and(|allowed| allowed != 0);
        let stored = StoredCredentials {
            client,
            workspace_suspended_at,
            workspace_never_expires_allowed,
            secrets,
            products,
        };
        Ok((Some(stored), change_seq))
    }
}
