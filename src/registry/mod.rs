//! What is registered: workspaces, products, API clients, their secrets, signing keys, and who may touch them.
//!
//! One use case is one function is one transaction: the rule, the rows, the audit event and the mail. Reads pass an
//! access rule here too, so no door reaches storage. `credentials` answers the hot path from memory; `follow` keeps
//! that memory true.

mod access;
mod access_tokens;
mod audit;
mod bootstrap;
mod client_change;
mod client_rules;
mod clients;
mod credentials;
mod error;
mod follow;
mod idempotency;
mod last_used;
mod later;
mod master_key;
mod networks;
mod precondition;
mod products;
mod record;
mod recorder;
mod representation;
mod restore;
mod secrets;
mod signing_keys;
mod slots;
mod status_lists;
mod text;
mod tokens;
mod upkeep;
mod workspaces;

pub use access::Caller;
pub use audit::AuditFilter;
pub use bootstrap::Bootstrapped;
pub use client_change::ClientChange;
pub use clients::ChangedClient;
pub use clients::{ClientFilter, CreatedClient};
pub use credentials::{Credentials, Refusal, SecretOnFile};
pub use error::Error;
pub use follow::{Freshness, POLL_MILLIS};
pub use idempotency::{Keep, Kept, NamedRequest};
pub use later::LaterMembers;
pub use precondition::Precondition;
pub use products::ProductChange;
pub use representation::Representation;
pub use restore::Restored;
pub use secrets::{CreatedSecret, NewSecret};
pub use signing_keys::{KeyRecord, NewSigningKey};
pub use tokens::{Death, Judged, Revocation, STATUS_LISTS_PATH};
pub use workspaces::WorkspaceChange;

use std::sync::Arc;

use crate::keys::random::Random;
use crate::keys::ring::KeyRing;
use crate::keys::root::Subkeys;
use crate::model::clock::Clock;
use crate::model::expiry::TokenExpiry;
use crate::model::grant::Audiences;
use crate::model::ids::OrderedIds;
use crate::model::key::Alg;
use crate::storage::Storage;

use credentials::Cache;
use follow::Follow;
use last_used::LastUsed;
use recorder::Recorder;
use slots::Leases;
use status_lists::ListChanges;

/// What the rules need to know of the settings.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Audiences that are not a product's own.
    pub audiences: Audiences,
    /// The platform's signing algorithm.
    pub signing_alg: Alg,
    /// Token lifetime of clients created without one, in seconds.
    pub default_lifetime_seconds: i64,
    /// How long verifiers may keep the key set, in seconds.
    pub jwks_max_age_seconds: i64,
    /// How long a new signing key is published before it signs, in seconds.
    pub key_pending_seconds: i64,
    /// Age at which the expiring class rotates, in days; `None` by hand only.
    pub key_rotate_every_days: Option<i64>,
    /// For how long tokens are issued without word from the database, in seconds.
    pub serve_stale_seconds: i64,
    /// How long verifiers may keep a status list, in seconds.
    pub status_list_ttl_seconds: i64,
}

impl Policy {
    /// The `token_expiry` of a client created without one.
    pub fn default_expiry(&self) -> TokenExpiry {
        TokenExpiry::After { seconds: self.default_lifetime_seconds }
    }
}

/// The registry: every rule about what is stored, on top of storage, clock and chance.
#[derive(Debug)]
pub struct Registry {
    storage: Storage,
    clock: Arc<dyn Clock>,
    random: Random,
    subkeys: Arc<Subkeys>,
    policy: Policy,
    ring: Arc<KeyRing>,
    cache: Cache,
    follow: Follow,
    last_used: LastUsed,
    introspected: LastUsed,
    leases: Leases,
    recorder: Recorder,
    list_changes: ListChanges,
    ids: OrderedIds,
}

impl Registry {
    /// A registry over an open database.
    ///
    /// # Errors
    /// [`Error::Storage`] if the change counter cannot be read.
    pub async fn new(
        storage: Storage,
        clock: Arc<dyn Clock>,
        random: Random,
        subkeys: Arc<Subkeys>,
        policy: Policy,
        ring: Arc<KeyRing>,
    ) -> Result<Self, Error> {
        let (follow, seq) = Follow::start(&storage, clock.as_ref()).await?;
        Ok(Self {
            cache: Cache::new(seq),
            storage,
            clock,
            random,
            subkeys,
            policy,
            ring,
            follow,
            last_used: LastUsed::default(),
            introspected: LastUsed::default(),
            leases: Leases::default(),
            recorder: Recorder::default(),
            list_changes: ListChanges::default(),
            ids: OrderedIds::default(),
        })
    }

    /// The clock everything here is timed by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The rules taken from the settings.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The subkeys, for cursors and kept replies.
    pub fn subkeys(&self) -> &Subkeys {
        &self.subkeys
    }

    /// A fresh id for a row; each sorts after the one before.
    fn new_id(&self) -> Result<String, Error> {
        Ok(self.ids.next(self.clock.now_millis(), self.random.fill()?))
    }
}
