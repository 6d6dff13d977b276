//! Access tokens after they are signed: recorded, checked, listed, revoked, and marked in status lists
//! (`docs/revocation.md`). For `issuance` and the doors (`oauth`, `manage`, `console` and the command line).

mod by_client;
mod clean_up;
mod dto;
mod due;
mod generate;
mod group_commit;
mod list;
mod record;
mod recorder;
mod restore;
mod revoke;
mod slots;
mod status_lists;
mod validity;

use std::sync::Arc;

use crate::clients::{Clients, LastUsed};
use crate::kernel::Kernel;
use crate::ledger::Ledger;

pub use group_commit::Recording;
pub use list::{ListedTokens, TokenFilter};
pub use restore::Restored;
pub use revoke::Revocation;
pub(crate) use status_lists::StatusListChanges;
pub use validity::{InactiveReason, Validity};

use group_commit::Totals;
use recorder::Recorder;
use slots::Leases;

/// Recorded tokens, their status slots, and which tokens are live.
#[derive(Debug)]
pub struct Tokens {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    clients: Arc<Clients>,
    introspected: LastUsed,
    leases: Leases,
    recorder: Recorder,
    totals: Totals,
    list_changes: Arc<StatusListChanges>,
}

impl Tokens {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        clients: Arc<Clients>,
        list_changes: Arc<StatusListChanges>,
    ) -> Self {
        Self {
            kernel,
            ledger,
            clients,
            introspected: LastUsed::default(),
            leases: Leases::default(),
            recorder: Recorder::default(),
            totals: Totals::default(),
            list_changes,
        }
    }
}
