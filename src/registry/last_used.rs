//! When secrets were last accepted: noted in memory on the request's path, written in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Registry};
use crate::model::clock::UnixSeconds;

/// Uses not yet written.
#[derive(Debug, Default)]
pub(super) struct LastUsed(Mutex<HashMap<Arc<str>, UnixSeconds>>);

impl LastUsed {
    /// Notes a use. Holds its lock for one map operation and never waits on anything else.
    pub(super) fn note(&self, secret_id: &Arc<str>, now: UnixSeconds) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get_mut(secret_id) {
            Some(at) => *at = now.max(*at),
            None => {
                uses.insert(Arc::clone(secret_id), now);
            }
        }
    }

    /// When a secret was last used, if that is not written yet.
    pub(super) fn pending(&self, secret_id: &str) -> Option<UnixSeconds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(secret_id).copied()
    }

    fn take(&self) -> Vec<(Arc<str>, UnixSeconds)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }
}

impl Registry {
    /// Writes the uses noted since the last call. Called every half minute and at shutdown; if it fails, the uses are
    /// noted again.
    pub async fn write_last_used(&self) -> Result<(), Error> {
        let uses = self.last_used.take();
        if uses.is_empty() {
            return Ok(());
        }
        let rows: Vec<(String, UnixSeconds)> = uses.iter().map(|(id, at)| (id.to_string(), *at)).collect();
        if let Err(error) = self.storage.touch_secrets(&rows).await {
            for (id, at) in &uses {
                self.last_used.note(id, *at);
            }
            return Err(error.into());
        }
        Ok(())
    }
}
