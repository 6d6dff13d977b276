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
    /// Held during a reload, so that no caller goes on while the ring still has the old keys.
    reloading: tokio::sync::Mutex<()>,
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
        Self { kernel, ring, changed: AtomicBool::new(false), reloading: tokio::sync::Mutex::default() }
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

    /// Reads the stored keys into the ring if they changed since that was last done. Waits for a reload in progress.
    pub(super) async fn reload_if_changed(&self) -> Result<(), Error> {
        let _reloading = self.reloading.lock().await;
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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::pin::pin;

    use super::*;
    use crate::app::Core;
    use crate::config::Settings;
    use crate::model::clock::SystemClock;

    #[tokio::test]
    async fn a_reload_in_progress_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "database.url = \"sqlite://{0}/mintmark.db\"\nkeys.master_key_file = \"{0}/master.key\"\n",
            folder.path().display()
        );
        let master_key = folder.path().join("master.key");
        std::fs::write(&master_key, [0x5a_u8, 0xa5].repeat(16)).unwrap();
        std::fs::set_permissions(&master_key, Permissions::from_mode(0o600)).unwrap();
        let settings = Settings::from_toml_layers(&[&settings]).unwrap();
        let core = Core::open(&settings, Arc::new(SystemClock)).await.unwrap();
        let reloader = &core.services.signing.reloader;
        reloader.invalidate_all(0);
        let (mut first, second) = (pin!(reloader.reload_if_changed()), pin!(reloader.reload_if_changed()));
        let second_is_done = tokio::select! {
            biased;
            _ = &mut first => false,
            _ = second => true,
        };
        assert!(!second_is_done, "it returned while the keys were still being read");
        core.services.close().await;
    }
}
