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
    use std::pin::pin;

    use super::*;
    use crate::kernel::Policy;
    use crate::model::clock::SystemClock;
    use crate::model::grant::Audiences;
    use crate::model::key::Alg;
    use crate::storage::Storage;
    use crate::vault::random::Random;
    use crate::vault::root::RootKey;

    async fn reloader(folder: &tempfile::TempDir) -> RingReloader {
        let url = format!("sqlite://{}/mintmark.db", folder.path().display());
        let (storage, random) = (Storage::open(&url, 2).await.unwrap(), Random::new());
        let subkeys = Arc::new(RootKey::generate(&random).unwrap().subkeys());
        let policy = Policy {
            audiences: Audiences {
                default: "https://api.example".into(),
                issuer: "https://mint.example".into(),
            },
            signing_alg: Alg::ES256,
            default_lifetime_seconds: 3_600,
            jwks_max_age_seconds: 300,
            key_pending_seconds: 3_600,
            key_rotate_every_days: None,
            serve_stale_seconds: 5,
            status_list_ttl_seconds: 60,
            audit_keep_days: None,
            console_url: "https://mint.example".to_owned(),
            sends_mail: false,
            second_factor_required: false,
        };
        let ring = Arc::new(KeyRing::new(Arc::clone(&subkeys), Alg::ES256));
        let kernel = Kernel::new(storage, Arc::new(SystemClock), random, subkeys, policy);
        RingReloader::new(Arc::new(kernel), ring)
    }

    #[tokio::test]
    async fn a_reload_in_progress_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let reloader = reloader(&folder).await;
        reloader.invalidate_all(0);
        let (mut first, second) = (pin!(reloader.reload_if_changed()), pin!(reloader.reload_if_changed()));
        let second_is_done = tokio::select! {
            biased;
            _ = &mut first => false,
            _ = second => true,
        };
        assert!(!second_is_done, "the second call returned while the first was still reading the keys");
        reloader.kernel.storage.close().await;
    }
}
