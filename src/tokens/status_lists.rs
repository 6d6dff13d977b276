//! The stored status lists: their statuses, their URIs, and when each last changed. For `issuance`, which publishes them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mintmark_verifier::AccessTokenClaims;

use super::Tokens;
use crate::kernel::Error;
use crate::ledger::Cache;
use crate::model::status::{STATUS_LISTS_PATH, Slot};
use crate::storage::{Change, StoredStatusList};

/// The value of the change counter at the last change of each list, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct StatusListChanges(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Any list may have changed up to this value.
    all: i64,
    by_list: HashMap<i64, i64>,
}

impl StatusListChanges {
    fn of(&self, list: i64) -> i64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_list.get(&list).copied().unwrap_or(i64::MIN).max(known.all)
    }
}

impl Cache for StatusListChanges {
    fn invalidate(&self, seq: i64, change: &Change) {
        let Change::StatusList(list) = *change else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.by_list.entry(list).or_insert(seq);
        *at = seq.max(*at);
    }

    fn invalidate_all(&self, seq: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.all = seq.max(known.all);
        known.by_list.retain(|_, at| *at > seq);
    }
}

impl Tokens {
    /// The slot that one of our own tokens names.
    pub(super) fn slot_of(&self, claims: &AccessTokenClaims) -> Option<Slot> {
        let place = &claims.status.as_ref()?.status_list;
        let number = place
            .uri
            .strip_prefix(&*self.kernel.policy.audiences.issuer)?
            .strip_prefix(STATUS_LISTS_PATH)?
            .strip_prefix('/')?;
        Slot::from_columns(number.parse().ok(), i64::try_from(place.idx).ok())
    }

    /// The value of the change counter at the last change of a list, as far as this process knows. A list that was read at a
    /// lower value is out of date.
    pub fn status_list_changed_at(&self, list: i64) -> i64 {
        self.list_changes.of(list)
    }

    /// The statuses of a list; `None` if it does not exist or was removed.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn status_list(&self, list: i64) -> Result<Option<StoredStatusList>, Error> {
        Ok(self.kernel.storage.status_list(list).await?)
    }

    /// The numbers of the lists that are published.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn status_lists(&self) -> Result<Vec<i64>, Error> {
        Ok(self.kernel.storage.status_lists().await?)
    }
}
