//! The audit trail, to be read. It is written by [`super::record`], in the transaction of each change.

use super::{Caller, Error, Registry};
use crate::model::audit::AuditEvent;
use crate::model::page::{Items, Page};

pub use crate::storage::AuditFilter;

impl Registry {
    /// A page of the events within reach, newest first: all of them for the platform, those of its own workspace for
    /// anyone else.
    ///
    /// # Errors
    /// [`Error::Lacks`], [`Error::Storage`].
    pub async fn audit_events(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Items<AuditEvent>, Error> {
        caller.must_read()?;
        Ok(self.storage.audit_events(&caller.reach, filter, page).await?)
    }
}
