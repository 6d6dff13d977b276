//! Locks the rows that a change depends on, or reports that they do not exist within the caller's reach. A workspace is
//! locked before its clients, and a client before its secrets and tokens.

use super::API_CLIENT;
use crate::kernel::Error;
use crate::model::client::ApiClient;
use crate::model::ids;
use crate::model::reach::Reach;
use crate::model::workspace::Workspace;
use crate::storage::Tx;

/// A client within reach, locked, or "not found".
pub(crate) async fn lock_client(tx: &mut Tx, reach: &Reach, client_id: &str) -> Result<ApiClient, Error> {
    if !ids::is_client_id(client_id) {
        return Err(Error::NotFound(API_CLIENT));
    }
    tx.lock_client(reach, client_id).await?.ok_or(Error::NotFound(API_CLIENT))
}

/// A workspace within reach that stays as it is until the end of the transaction, or "not found".
pub(super) async fn hold_workspace(
    tx: &mut Tx,
    reach: &Reach,
    workspace_id: &str,
) -> Result<Workspace, Error> {
    if !ids::is_workspace_id(workspace_id) {
        return Err(Error::NotFound("workspace"));
    }
    tx.share_workspace(reach, workspace_id).await?.ok_or(Error::NotFound("workspace"))
}

/// The workspace of a client within reach, as [`hold_workspace`] holds it. Workspaces are held before their clients.
pub(super) async fn hold_workspace_of(
    tx: &mut Tx,
    reach: &Reach,
    client_id: &str,
) -> Result<Workspace, Error> {
    if !ids::is_client_id(client_id) {
        return Err(Error::NotFound(API_CLIENT));
    }
    let workspace_id = tx.workspace_of_client(reach, client_id).await?.ok_or(Error::NotFound(API_CLIENT))?;
    hold_workspace(tx, &Reach::Platform, &workspace_id).await
}
