//! When secrets were last accepted and recorded tokens last asked about: noted in memory on the request's path, written in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::storage::StorageError;

/// Uses not yet written.
#[derive(Debug, Default)]
pub(crate) struct LastUsed(Mutex<HashMap<Arc<str>, UnixSeconds>>);

impl LastUsed {
    /// Notes a use. Holds its lock for one map operation and never waits on anything else.
    pub(crate) fn note(&self, id: &Arc<str>, now: UnixSeconds) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get_mut(id) {
            Some(at) => *at = now.max(*at),
            None => {
                uses.insert(Arc::clone(id), now);
            }
        }
    }

    /// When it was last used, if that is not written yet.
    pub(crate) fn pending(&self, id: &str) -> Option<UnixSeconds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    fn take(&self) -> Vec<(Arc<str>, UnixSeconds)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Hands what is noted to `store`; what it cannot store is noted again.
    pub(crate) async fn write(
        &self,
        store: impl AsyncFnOnce(&[(String, UnixSeconds)]) -> Result<(), StorageError>,
    ) -> Result<(), Error> {
        let uses = self.take();
        if uses.is_empty() {
            return Ok(());
        }
        let rows: Vec<(String, UnixSeconds)> = uses.iter().map(|(id, at)| (id.to_string(), *at)).collect();
        if let Err(error) = store(&rows).await {
            for (id, at) in &uses {
                self.note(id, *at);
            }
            return Err(error.into());
        }
        Ok(())
    }
}
