//! Status lists as they are read: their statuses, and when this process last learned of a change in one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Tokens;
use crate::kernel::Error;
use crate::ledger::Memory;
use crate::storage::{Change, StoredStatusList};

/// When lists changed, by the change counter, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct ListChanges(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Every list may have changed up to here.
    all: i64,
    by_list: HashMap<i64, i64>,
}

impl ListChanges {
    /// The value of the change counter at the last change of a list, as far as this process knows.
    fn of(&self, list: i64) -> i64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_list.get(&list).copied().unwrap_or(i64::MIN).max(known.all)
    }
}

impl Memory for ListChanges {
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
    /// The value of the change counter of the last change of a list that this process has learned of; what was read at
    /// an older one is out of date.
    pub fn status_list_changed_at(&self, list: i64) -> i64 {
        self.list_changes.of(list)
    }

    /// The statuses of a list; `None` if there is none of that number, or no more.
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
