//! Signing keys: created, imported, rotated and deleted ([`Signing`]), and held parsed for the requests that sign and
//! verify ([`ring`]). For `issuance` and the doors (`oauth`, `manage`, `console` and the command line).
//!
//! `create`, `delete`, `list`, `master_key` and `rotate` are the use cases. A change of signing keys is one transaction, for
//! which all other work on keys waits. If a deleted key signed many tokens, `delete_in_steps` revokes them in further
//! transactions. `rotation` says, as a pure function, which step is due. [`key`] generates, imports and seals one key;
//! [`handle`] is what a request signs with.

mod create;
mod delete;
mod delete_in_steps;
mod der;
mod dto;
pub mod handle;
mod import;
mod jwk;
pub mod key;
mod list;
mod master_key;
mod missing_key;
mod pkcs8;
mod private_key;
pub mod ring;
mod ring_reloader;
mod rotate;
mod rotation;
#[cfg(test)]
mod sample;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clients::Clients;
use crate::kernel::Kernel;
use crate::ledger::Ledger;

pub use create::NewSigningKey;
pub use import::ImportFault;
pub use jwk::PublicJwk;
pub use list::KeyRecord;
pub use missing_key::MissingKey;
pub use private_key::{GENERATES_RSA, MAX_SIGNATURE_LEN, SignError};

use ring::KeyRing;
pub(crate) use ring_reloader::RingReloader;

/// The service of signing keys and of the master key.
#[derive(Debug)]
pub struct Signing {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    clients: Arc<Clients>,
    ring: Arc<KeyRing>,
    reloader: Arc<RingReloader>,
    repeated_deletions: AtomicU64,
    /// Held while the tokens of a deleted key are revoked in steps.
    revoking: tokio::sync::Mutex<()>,
}

impl Signing {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        clients: Arc<Clients>,
        ring: Arc<KeyRing>,
        reloader: Arc<RingReloader>,
    ) -> Self {
        Self {
            kernel,
            ledger,
            clients,
            ring,
            reloader,
            repeated_deletions: AtomicU64::new(0),
            revoking: tokio::sync::Mutex::default(),
        }
    }

    /// How many deletions of a key were repeated after a deadlock.
    pub fn repeated_deletions(&self) -> u64 {
        self.repeated_deletions.load(Ordering::Relaxed)
    }
}
