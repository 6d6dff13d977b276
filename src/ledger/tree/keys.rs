//! The name and the key of the audit tree. A key is generated at the first start and for each new tree. The private key is
//! sealed in the database and signs nothing but checkpoints. The public key is published in the metadata.

use std::sync::{Arc, PoisonError};

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use super::note::AuditKey;
use crate::kernel::{Error, Kernel};
use crate::ledger::Ledger;
use crate::storage::AuditTree;

/// A new key, sealed for its tree.
pub(super) struct NewKey {
    pub(super) origin: String,
    pub(super) public: Vec<u8>,
    pub(super) sealed: Vec<u8>,
}

impl NewKey {
    /// A key for the tree of this number.
    pub(super) fn generate(kernel: &Kernel, log: i64) -> Result<Self, Error> {
        let seed = Zeroizing::new(kernel.random.fill::<32>()?);
        let pair = pair(seed.as_slice())?;
        let origin = origin(&kernel.policy.audiences.issuer, log);
        let sealed = kernel.subkeys.seal_audit_key(&kernel.random, &origin, seed.as_slice())?;
        Ok(Self { origin, public: pair.public_key().as_ref().to_vec(), sealed })
    }
}

fn pair(seed: &[u8]) -> Result<Ed25519KeyPair, Error> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| Error::Crypto(error.to_string()))
}

/// The key with which checkpoints of a tree are signed.
pub(super) fn signing_pair(kernel: &Kernel, origin: &str, sealed: &[u8]) -> Result<Ed25519KeyPair, Error> {
    pair(&kernel.subkeys.open_audit_key(origin, sealed)?)
}

/// The name of a tree: the issuer without its scheme, then `/audit`, then `/` and the number of the tree unless that is 1. A
/// `+` becomes `%2B`, since the name of a key cannot contain it.
pub(super) fn origin(issuer: &str, log: i64) -> String {
    let place = issuer.split_once("://").map_or(issuer, |(_, place)| place).replace('+', "%2B");
    let place = place.trim_end_matches('/');
    if log == 1 { format!("{place}/audit") } else { format!("{place}/audit/{log}") }
}

/// The verifier key of a tree that has a name.
pub(super) fn verifier_key(tree: &AuditTree) -> Option<AuditKey> {
    AuditKey::new(tree.origin.as_deref()?, tree.public_key.as_deref()?)
}

impl Ledger {
    /// Gives the first tree its name and its key. If no event waits for a number, it also opens the tree: from then on new
    /// events get their number at once.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub(crate) async fn prepare_audit_tree(&self) -> Result<(), Error> {
        let storage = &self.kernel.storage;
        let trees = storage.audit_trees().await?;
        if trees.last().is_some_and(|tree| tree.origin.is_none()) {
            let mut tx = storage.begin().await?;
            let tree = tx.lock_audit_tree().await?;
            if tree.origin.is_none() {
                let key = NewKey::generate(&self.kernel, tree.log)?;
                tx.name_audit_tree(tree.log, &key.origin, &key.public, &key.sealed).await?;
                if tx.waiting_events("", 1).await?.is_empty() {
                    tx.open_audit_tree(tree.log, self.kernel.clock.now()).await?;
                }
            }
            tx.commit().await?;
        }
        self.reload_audit_keys().await
    }

    /// Reads the keys of all trees again, since another process may have begun a new tree.
    pub(super) async fn reload_audit_keys(&self) -> Result<(), Error> {
        let trees = self.kernel.storage.audit_trees().await?;
        let keys: Vec<AuditKey> = trees.iter().filter_map(verifier_key).collect();
        let mut known = self.audit_keys.write().unwrap_or_else(PoisonError::into_inner);
        if known[..] != keys[..] {
            *known = keys.into();
        }
        Ok(())
    }

    /// The keys of all trees of the audit trail, the oldest first, as last read.
    pub fn audit_keys(&self) -> Arc<[AuditKey]> {
        Arc::clone(&self.audit_keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}
