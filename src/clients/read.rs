//! Reads API clients with their live secrets. For the management API and the command line.

use super::{API_CLIENT, Clients};
use crate::kernel::{Error, Reader};
use crate::model::client::ClientRecord;
use crate::model::ids;
use crate::model::page::{Items, Page};
use crate::model::product::is_product_code;

pub use crate::storage::ClientFilter;

impl Clients {
    /// A client within reach, with its live secrets.
    pub async fn client(&self, caller: &Reader, client_id: &str) -> Result<ClientRecord, Error> {
        if !ids::is_client_id(client_id) {
            return Err(Error::NotFound(API_CLIENT));
        }
        let record = self.kernel.storage.client(&caller.reach, client_id, self.kernel.clock.now()).await?;
        let mut record = record.ok_or(Error::NotFound(API_CLIENT))?;
        self.add_pending_uses(&mut record.secrets);
        Ok(record)
    }

    /// A page of a workspace's clients, newest first, each with its live secrets. A filter that no client can match
    /// finds none.
    pub async fn clients(
        &self,
        caller: &Reader,
        workspace_id: &str,
        filter: &ClientFilter,
        page: &Page,
    ) -> Result<Items<ClientRecord>, Error> {
        if !ids::is_workspace_id(workspace_id)
            || self.kernel.storage.workspace(&caller.reach, workspace_id).await?.is_none()
        {
            return Err(Error::NotFound("workspace"));
        }
        let can_match = filter.label.as_deref().is_none_or(|label| !label.contains('\0'))
            && filter.product.as_deref().is_none_or(is_product_code)
            && filter.status.as_deref().is_none_or(|status| status == "active" || status == "disabled");
        if !can_match {
            return Ok(Items { items: Vec::new(), next_after: None });
        }
        let now = self.kernel.clock.now();
        let mut page =
            self.kernel.storage.clients(&caller.reach, Some(workspace_id), filter, page, now).await?;
        for record in &mut page.items {
            self.add_pending_uses(&mut record.secrets);
        }
        Ok(page)
    }
}
