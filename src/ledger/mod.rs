//! The ledger: what is written together with a change, in its transaction (audit event, mails, requests to webhooks, the saved
//! reply), and the change counter with which every process keeps its caches up to date. Also the tree of the audit trail, and
//! what a process knows of its clock and its database. For all other services.

mod audit;
mod cache;
mod change_follower;
mod clean_up;
mod clocks;
mod deliveries;
mod dto;
mod fan_out;
mod held_secret;
mod idempotency;
mod record;
mod reveals;
mod subject;
mod tree;
mod vitals;

use std::sync::{Arc, RwLock};

use crate::kernel::{Error, Kernel};

pub use audit::AuditFilter;
pub(crate) use cache::Cache;
pub use change_follower::{Confirmed, Freshness, POLL_MILLIS};
pub use clocks::SKEW_MAX_MILLIS;
pub use deliveries::{Backlog, DeliveryFilter};
pub use held_secret::GivenAs;
pub(crate) use held_secret::{HeldSecret, SecretKind};
pub use idempotency::{IdempotentRequest, SaveReply, SavedReply};
pub(crate) use record::differences;
pub use reveals::{DRAFT_SECONDS, Reveal, SHOWN_SECONDS, SealedSecret};
pub(crate) use subject::Subject;
pub use tree::{AuditKey, CheckedLog, Checkpoint, ExportedEvent, NoteError, Verification};
pub use vitals::{BEAT_MILLIS, NotReady};

use change_follower::ChangeFollower;
use clocks::Clocks;
use vitals::Vitals;

/// Writes audit events, saved replies, and what is sent by mail and to webhooks; commits changes, follows the change counter,
/// keeps the audit tree, and checks the clock and the database.
#[derive(Debug)]
pub struct Ledger {
    kernel: Arc<Kernel>,
    follower: ChangeFollower,
    clocks: Clocks,
    vitals: Vitals,
    caches: Vec<Arc<dyn Cache>>,
    /// The name of this process in the lease for work that only one process at a time may do.
    process: String,
    audit_keys: RwLock<Arc<[AuditKey]>>,
}

impl Ledger {
    /// Starts following the change counter. Every change that is seen from now on invalidates `caches`.
    ///
    /// # Errors
    /// [`Error::Storage`] if the change counter cannot be read.
    pub(crate) async fn start(kernel: Arc<Kernel>, caches: Vec<Arc<dyn Cache>>) -> Result<Self, Error> {
        let clock = kernel.clock.as_ref();
        let (follower, seq) = ChangeFollower::start(&kernel.storage, clock).await?;
        let clocks = Clocks::start(clock, kernel.storage.last_instant().await?);
        let vitals = Vitals::start(clock);
        for cache in &caches {
            cache.invalidate_all(seq);
        }
        let process = kernel.new_id()?;
        let audit_keys = RwLock::new(Arc::from([]));
        let ledger = Self { kernel, follower, clocks, vitals, caches, process, audit_keys };
        // Compares this machine's clock with that of the database before the clock is used for anything.
        ledger.first_poll().await?;
        ledger.prepare_audit_tree().await?;
        Ok(ledger)
    }
}
