//! API clients and their secrets: created, changed, deleted, and authenticated from memory. For the doors (`manage`,
//! `console`, `oauth` and the command line), for `issuance`, and for the services that revoke or suspend
//! tokens of a client (`tokens`, `tenants`, `signing`).

mod ahead;
mod batch;
mod batch_request;
mod cache;
mod change;
mod context;
mod create;
mod credentials;
mod delete;
mod dto;
pub(crate) mod filter_rules;
mod generations;
mod last_used;
mod lists;
mod locking;
mod read;
mod reserved;
mod rules;
mod secrets;
mod shared;
mod trial;
mod update;

use std::sync::Arc;

use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::model::grant::Offer;
use crate::usage::Usage;

pub(crate) use ahead::{ENDED_AT_ONCE, EndedBefore};
pub use batch::Batch;
pub use batch_request::BatchChange;
pub(crate) use cache::CredentialCache;
pub use change::ClientChange;
pub(crate) use change::read_token_expiry;
pub use create::CreatedClient;
pub use credentials::Credentials;
pub(crate) use generations::mark_revoked;
pub(crate) use last_used::LastUsed;
pub(crate) use locking::lock_client;
pub use read::{ClientFilter, ClientOrder, ClientSort};
pub use reserved::ReservedChange;
pub use secrets::{CreatedSecret, NewSecret};
use shared::Shared;
pub use trial::{SecretMatch, Trial};
pub use update::ChangedClient;

/// How errors name an API client.
const API_CLIENT: &str = "API client";

/// API clients, their secrets and the credentials held in memory.
#[derive(Debug)]
pub struct Clients {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    usage: Arc<Usage>,
    cache: Arc<CredentialCache>,
    last_used: LastUsed,
    offers: Shared<Offer>,
    workspace_ids: Shared<str>,
}

impl Clients {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        usage: Arc<Usage>,
        cache: Arc<CredentialCache>,
    ) -> Self {
        Self {
            kernel,
            ledger,
            usage,
            cache,
            last_used: LastUsed::default(),
            offers: Shared::default(),
            workspace_ids: Shared::default(),
        }
    }

    /// How many lookups found the client in memory, and how many did not.
    pub fn cache_hits_and_misses(&self) -> (u64, u64) {
        self.cache.hits_and_misses()
    }

    /// How many entries the cache has, including those for ids that no client has.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}
