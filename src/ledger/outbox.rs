//! Reads the mails that wait to be sent. [`super::record`] queues them, in the transaction of each change.

use super::Ledger;
use crate::kernel::{Error, Reader};
use crate::model::clock::UnixSeconds;
use crate::model::mail::QueuedMail;
use crate::model::page::{Items, Page};

/// What waits in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How many mails.
    pub mails: i64,
    /// Since when the oldest does.
    pub since: Option<UnixSeconds>,
    /// How many of them were tried without success.
    pub tried: i64,
}

impl Ledger {
    /// A page of the mails about clients within reach, newest first; for the platform also those about operators and about
    /// what was deleted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn mails(&self, caller: &Reader, page: &Page) -> Result<Items<QueuedMail>, Error> {
        Ok(self.kernel.storage.mails(&caller.reach, page).await?)
    }

    /// How many of those mails wait, and since when.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn waiting_mails(&self, caller: &Reader) -> Result<Waiting, Error> {
        let (mails, since, tried) = self.kernel.storage.waiting_mails(&caller.reach).await?;
        Ok(Waiting { mails, since, tried })
    }
}
