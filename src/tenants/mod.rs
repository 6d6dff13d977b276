//! Workspaces (the tenants) and products, and the first records of an empty database. For the doors (`manage`,
//! `console` and the command line).

mod bootstrap;
mod dto;
mod product_change;
mod products;
mod workspace_change;
mod workspaces;

use std::sync::Arc;

use crate::clients::Clients;
use crate::kernel::Kernel;
use crate::ledger::Ledger;

pub use bootstrap::Bootstrapped;
pub use product_change::ProductChange;
pub use workspace_change::WorkspaceChange;

/// Workspaces and products.
#[derive(Debug)]
pub struct Tenants {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    clients: Arc<Clients>,
}

impl Tenants {
    pub(crate) fn new(kernel: Arc<Kernel>, ledger: Arc<Ledger>, clients: Arc<Clients>) -> Self {
        Self { kernel, ledger, clients }
    }
}
