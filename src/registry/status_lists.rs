//! Status lists as they are read: their statuses, and when this process last learned of a change in one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Error, Registry};
use crate::storage::StoredStatusList;

/// When lists changed, by the change counter, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct ListChanges(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Every list may have changed up to here.
    all: i64,
    by_list: HashMap<i64, i64>,
}

impl ListChanges {
    /// Notes that a list changed when the counter was raised to `seq`.
    pub(super) fn note(&self, list: i64, seq: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.by_list.entry(list).or_insert(seq);
        *at = seq.max(*at);
    }

    /// Notes that any list may have changed before the counter stood at `seq`.
    pub(super) fn note_all(&self, seq: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.all = seq.max(known.all);
        known.by_list.retain(|_, at| *at > seq);
    }

    fn of(&self, list: i64) -> i64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_list.get(&list).copied().unwrap_or(i64::MIN).max(known.all)
    }
}

impl Registry {
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
        Ok(self.storage.status_list(list).await?)
    }

    /// The numbers of the lists that are published.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn status_lists(&self) -> Result<Vec<i64>, Error> {
        Ok(self.storage.status_lists().await?)
    }
}
