//! Access tokens after they are signed: recorded, judged, listed, revoked, and shown in status lists
//! (docs/revocation.md). For `issuance` and the doors.
//!
//! Whether a token is live is asked of the database every time, so that nothing held in memory can make a revoked token
//! live again.

mod clean_up;
mod dto;
mod due;
mod generated;
mod groups;
mod judge;
mod list_changes;
mod record;
mod restore;
mod revoke;
mod slots;

use std::sync::Arc;

use crate::clients::{Clients, LastUsed};
use crate::kernel::Kernel;
use crate::ledger::Ledger;

pub use judge::{Death, Judged};
pub(crate) use list_changes::ListChanges;
pub use restore::Restored;
pub use revoke::Revocation;

use groups::Recorder;
use slots::Leases;

/// Where the status lists are served, below the issuer.
pub const STATUS_LISTS_PATH: &str = "/oauth2/status-lists/";

/// Recorded tokens, their status slots, and which tokens are live.
#[derive(Debug)]
pub struct Tokens {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    clients: Arc<Clients>,
    introspected: LastUsed,
    leases: Leases,
    recorder: Recorder,
    list_changes: Arc<ListChanges>,
}

impl Tokens {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        clients: Arc<Clients>,
        list_changes: Arc<ListChanges>,
    ) -> Self {
        Self {
            kernel,
            ledger,
            clients,
            introspected: LastUsed::default(),
            leases: Leases::default(),
            recorder: Recorder::default(),
            list_changes,
        }
    }
}
