//! Keeps the key ring true to the stored keys: it is read again when the change counter says that they changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::ring::KeyRing;
use crate::kernel::{Error, Kernel};
use crate::ledger::Memory;
use crate::storage::Change;

/// The key ring as something held in memory of the database.
#[derive(Debug)]
pub(crate) struct RingMemory {
    kernel: Arc<Kernel>,
    ring: Arc<KeyRing>,
    changed: AtomicBool,
}

/// Changed keys that are being read. If that fails, or the reader is dropped in the middle, they are still to be read.
struct Reading<'a> {
    changed: &'a AtomicBool,
    is_done: bool,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.changed.store(true, Ordering::Release);
        }
    }
}

impl RingMemory {
    pub(crate) fn new(kernel: Arc<Kernel>, ring: Arc<KeyRing>) -> Self {
        Self { kernel, ring, changed: AtomicBool::new(false) }
    }

    /// Reads the stored keys into the ring.
    pub(super) async fn reload(&self) -> Result<(), Error> {
        let (keys, as_of) = self.kernel.storage.signing_keys().await?;
        // The rest is in force: one damaged key must not take the others with it.
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
        let mut reading = Reading { changed: &self.changed, is_done: false };
        self.reload().await?;
        reading.is_done = true;
        Ok(())
    }
}

impl Memory for RingMemory {
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
