//! Deletes what the ledger no longer needs.

use super::Ledger;
use crate::kernel::Error;

/// How many changes the log keeps. A replica further behind than this drops everything it holds in memory.
const KEPT_CHANGES: i64 = 10_000;

impl Ledger {
    /// Deletes replies that were kept for their day and the old end of the change log.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn clean_up(&self) -> Result<(), Error> {
        self.kernel.storage.purge_saved_replies(self.kernel.clock.now()).await?;
        self.kernel.storage.purge_changes(KEPT_CHANGES).await?;
        Ok(())
    }
}
