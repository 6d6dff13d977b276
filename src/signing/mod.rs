//! Signing keys: made, imported, rotated and deleted ([`Signing`]), and held parsed for the requests that sign and
//! verify ([`ring`]). For `issuance` and the doors.
//!
//! [`key`] makes, imports and seals one key; [`rotation`] says, as a pure function, which step is due; [`handle`] is
//! what a request signs with.

mod der;
mod dto;
pub mod handle;
mod import;
mod jwk;
pub mod key;
mod keys;
mod master_key;
mod private_key;
pub mod ring;
mod ring_memory;
pub mod rotation;
#[cfg(test)]
mod sample;

use std::sync::Arc;

use crate::clients::Clients;
use crate::kernel::Kernel;
use crate::ledger::Ledger;

pub use import::ImportFault;
pub use jwk::PublicJwk;
pub use keys::{KeyRecord, NewSigningKey};
pub use private_key::{GENERATES_RSA, MAX_SIGNATURE_LEN, SignError};

use ring::KeyRing;
pub(crate) use ring_memory::RingMemory;

/// The signing keys and the master key.
#[derive(Debug)]
pub struct Signing {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    clients: Arc<Clients>,
    ring: Arc<KeyRing>,
    memory: Arc<RingMemory>,
}

impl Signing {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        clients: Arc<Clients>,
        ring: Arc<KeyRing>,
        memory: Arc<RingMemory>,
    ) -> Self {
        Self { kernel, ledger, clients, ring, memory }
    }
}
