//! Reads what is sent by mail and to webhooks, and lets what was given up be sent again. [`super::record`] queues mails in
//! the transaction of each change.

use super::Ledger;
use crate::kernel::{Error, Reader};
use crate::model::delivery::Delivery;
use crate::model::page::{Items, Page};
pub use crate::storage::{Backlog, DeliveryFilter};

impl Ledger {
    /// A page of the deliveries of the workspaces within reach, newest first; for the platform also those about operators.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn deliveries(
        &self,
        caller: &Reader,
        filter: DeliveryFilter,
        page: &Page,
    ) -> Result<Items<Delivery>, Error> {
        Ok(self.kernel.storage.deliveries(&caller.reach, filter, page).await?)
    }

    /// How many of them wait, since when, and how many are given up.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn backlog(&self, caller: &Reader) -> Result<Backlog, Error> {
        Ok(self.kernel.storage.backlog(&caller.reach).await?)
    }
}
