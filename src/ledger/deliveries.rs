//! Lists what is sent by mail and to webhooks, lets what was given up be sent again, and deletes what was queued for a deleted
//! webhook. [`super::record`] queues mails, and [`super::fan_out`] requests to webhooks, in the transaction of each change.

use serde_json::json;

use super::{Ledger, Subject};
use crate::kernel::{Error, Manager, Reader};
use crate::model::audit::Action;
use crate::model::delivery::Delivery;
use crate::model::ids;
use crate::model::page::{Items, Page};
pub use crate::storage::{Backlog, DeliveryFilter};

/// How many deliveries of a deleted webhook one statement deletes, since other writers wait for it.
const FORGOTTEN_AT_ONCE: u32 = 500;

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

    /// How many of the deliveries within reach wait, since when, and how many are given up.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn backlog(&self, caller: &Reader) -> Result<Backlog, Error> {
        Ok(self.kernel.storage.backlog(&caller.reach).await?)
    }

    /// Lets a delivery within reach that was given up be sent again, under the same id, from the first attempt.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if it is not given up, or has lost its setup link; [`Error::Storage`].
    pub async fn send_again(&self, caller: &Manager, delivery_id: &str) -> Result<(), Error> {
        let found = self.kernel.storage.delivery(&caller.reach, delivery_id).await?;
        let delivery = found.ok_or(Error::NotFound("delivery"))?;
        if !delivery.is_whole() {
            return Err(Error::Conflict(
                "the setup link was erased when its mail was sent or given up: make a new link".to_owned(),
            ));
        }
        let mut tx = self.kernel.storage.begin().await?;
        if !tx.send_delivery_again(delivery_id, self.kernel.clock.now()).await? {
            tx.rollback().await?;
            return Err(Error::Conflict(
                "the delivery is not given up: it was sent, or will be tried again automatically".to_owned(),
            ));
        }
        let subject = Subject {
            workspace_id: delivery.workspace_id.as_deref(),
            client_id: Some(delivery.about_id.as_str()).filter(|id| ids::is_client_id(id)),
            target: delivery_id,
        };
        let (channel, kind, recipient) = (delivery.channel.as_str(), delivery.kind, delivery.recipient);
        let detail = json!({ "channel": channel, "kind": kind, "recipient": recipient });
        self.audit(&mut tx, caller, Action::DeliveryResent, subject, detail).await?;
        self.commit(tx).await
    }

    /// Deletes what was queued for a webhook that was deleted, in batches. If that fails, the worker gives up what is left
    /// when it is due, since the webhook no longer exists.
    pub(crate) async fn forget_deliveries(&self, webhook_id: &str) {
        let storage = &self.kernel.storage;
        loop {
            match storage.delete_deliveries_of_webhook(webhook_id, FORGOTTEN_AT_ONCE).await {
                Ok(deleted) if deleted == u64::from(FORGOTTEN_AT_ONCE) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%webhook_id, %error, "what was queued for a deleted webhook could not be deleted");
                    return;
                }
            }
        }
    }
}
