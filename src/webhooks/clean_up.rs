//! Deletes replaced keys that no longer sign.

use super::Webhooks;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;

const BATCH: u32 = 500;

impl Webhooks {
    /// Deletes replaced keys that no longer sign, in batches.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn clean_up(&self, now: UnixSeconds) -> Result<(), Error> {
        while self.kernel.storage.purge_webhook_keys(now, BATCH).await? == u64::from(BATCH) {}
        Ok(())
    }
}
