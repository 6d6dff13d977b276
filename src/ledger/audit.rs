//! Reads the audit trail. [`super::record`] writes it, in the transaction of each change.

use super::Ledger;
use crate::kernel::{Error, Reader};
use crate::model::audit::Recorded;
use crate::model::page::{Items, Page};

pub use crate::storage::AuditFilter;

impl Ledger {
    /// A page of the events within the caller's reach, newest first: all events if that is the platform, or the events of one
    /// workspace.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn audit_events(
        &self,
        caller: &Reader,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Items<Recorded>, Error> {
        Ok(self.kernel.storage.audit_events(&caller.reach, filter, page).await?)
    }
}
