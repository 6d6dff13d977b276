//! Keeps the key ring up to date: reads the stored keys again when the change counter says that they changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::ring::KeyRing;
use crate::kernel::{Error, Kernel};
use crate::ledger::Cache;
use crate::storage::Change;

/// Reloads the key ring. For the ledger, which follows the change counter, and for changes of keys that this process makes.
#[derive(Debug)]
pub(crate) struct RingReloader {
    kernel: Arc<Kernel>,
    ring: Arc<KeyRing>,
    /// Whether the keys have changed since the last reload.
    changed: AtomicBool,
}

/// A reload in progress. If it fails or is cancelled, the keys are marked as changed again.
struct Reload<'a> {
    changed: &'a AtomicBool,
    is_done: bool,
}

impl Drop for Reload<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.changed.store(true, Ordering::Release);
        }
    }
}

impl RingReloader {
    pub(crate) fn new(kernel: Arc<Kernel>, ring: Arc<KeyRing>) -> Self {
        Self { kernel, ring, changed: AtomicBool::new(false) }
    }

    /// Reads the stored keys into the ring.
    pub(super) async fn reload(&self) -> Result<(), Error> {
        let (keys, as_of) = self.kernel.storage.signing_keys().await?;
        // Noted before the keys are used: while the tokens of a deleted key are being revoked, no key may sign stateless
        // tokens, since the new generations of the clients would end these too (`KeyRing::is_revoking`).
        let revoking = self.kernel.storage.keys_being_revoked().await?;
        self.ring.note_revoking(!revoking.is_empty(), as_of);
        // The other keys are in the ring: a damaged key must not make them unusable.
        for fault in self.ring.load(&keys, as_of) {
            tracing::error!("{fault}");
        }
        Ok(())
    }

    /// Reads the stored keys into the ring if they changed since that was last done.
    pub(super) async fn reload_if_changed(&self) -> Result<(), Error> {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let mut reload = Reload { changed: &self.changed, is_done: false };
        self.reload().await?;
        reload.is_done = true;
        Ok(())
    }
}

impl Cache for RingReloader {
    fn invalidate(&self, _seq: i64, change: &Change) {
        if *change == Change::SigningKeys {
            self.changed.store(true, Ordering::Release);
        }
    }

    fn invalidate_all(&self, _seq: i64) {
        self.changed.store(true, Ordering::Release);
    }

    fn catch_up(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.reload_if_changed())
    }
}
