//! Reads API clients with their live secrets. For the management API, the console and the command line.

use std::collections::BTreeMap;

use super::{API_CLIENT, Clients};
use crate::kernel::{Error, Reader};
use crate::model::client::{ClientName, ClientRecord};
use crate::model::ids;
use crate::model::page::{Items, Page};

pub use crate::storage::{ClientFilter, ClientOrder, ClientSort};

impl Clients {
    /// A client within reach, with its live secrets.
    pub async fn client(&self, caller: &Reader, client_id: &str) -> Result<ClientRecord, Error> {
        if !ids::is_client_id(client_id) {
            return Err(Error::NotFound(API_CLIENT));
        }
        let record = self.kernel.storage.client(&caller.reach, client_id, self.kernel.clock.now()).await?;
        let mut record = record.ok_or(Error::NotFound(API_CLIENT))?;
        self.add_pending_uses(&mut record);
        self.usage.add_secret_uses(std::slice::from_mut(&mut record)).await?;
        Ok(record)
    }

    /// A page of the clients of a workspace, or of all workspaces within reach, each with its live secrets. A filter that
    /// no client can match is not an error: the page is empty.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the workspace, [`Error::Storage`].
    pub async fn clients(
        &self,
        caller: &Reader,
        workspace_id: Option<&str>,
        filter: &ClientFilter,
        sort: ClientSort,
        page: &Page,
    ) -> Result<Items<ClientRecord>, Error> {
        if let Some(workspace_id) = workspace_id
            && (!ids::is_workspace_id(workspace_id)
                || self.kernel.storage.workspace(&caller.reach, workspace_id).await?.is_none())
        {
            return Err(Error::NotFound("workspace"));
        }
        if filter.unused_since.is_some() || sort.by == ClientOrder::LastUsedAt {
            self.write_uses_for_a_list().await;
        }
        let now = self.kernel.clock.now();
        let mut page =
            self.kernel.storage.clients(&caller.reach, workspace_id, filter, sort, page, now).await?;
        for record in &mut page.items {
            self.add_pending_uses(record);
        }
        self.usage.add_secret_uses(&mut page.items).await?;
        Ok(page)
    }

    /// The [`ClientName`] of each client within reach that has one of these ids, by id. For lists of other records that refer
    /// to clients. Takes one SQL statement.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn client_names(
        &self,
        caller: &Reader,
        client_ids: &[&str],
    ) -> Result<BTreeMap<String, ClientName>, Error> {
        Ok(self.kernel.storage.client_names(&caller.reach, client_ids).await?)
    }

    /// Writes the uses of secrets that only this process knows, so that a list sorted or filtered by them is up to date. If
    /// that fails, the list may be a minute old, as it is for uses that only other processes know.
    pub(super) async fn write_uses_for_a_list(&self) {
        if let Err(error) = self.write_last_used().await {
            tracing::warn!(%error, "the last uses of client secrets could not be written before they were listed");
        }
    }
}
