//! Loads a client with its live secrets, from memory where that is known to be true, and checks a secret against it.
//!
//! An entry carries the value of the change counter at which it was read, and is stored only if no later change of it
//! was seen: a fill that was under way while a change fell is thrown away.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use quick_cache::sync::Cache as QuickCache;

use super::{Error, Registry};
use crate::model::client::ActiveTokens;
use crate::model::clock::UnixSeconds;
use crate::model::expiry::TokenExpiry;
use crate::model::grant::Offer;
use crate::model::ids;
use crate::model::key::Alg;
use crate::model::scope::Permission;
use crate::model::secret;
use crate::model::status::Slot;
use crate::storage::{Change, StoredCredentials};

/// How many clients are kept in memory.
const CAPACITY: usize = 200_000;
/// How many recent changes are remembered to judge fills by; a fill read before the oldest of them is not stored.
const REMEMBERED_CHANGES: usize = 4096;

/// What the hot path needs of a client.
#[derive(Debug)]
pub struct Credentials {
    /// The client.
    pub client_id: Box<str>,
    /// Its workspace.
    pub workspace_id: Box<str>,
    /// Its generation, which its stateless tokens belong to.
    pub generation: i64,
    /// The slot of that generation.
    pub slot: Option<Slot>,
    /// How many of its tokens live at a time.
    pub active_tokens: ActiveTokens,
    /// Its own signing algorithm, if it has one.
    pub signing_alg: Option<Alg>,
    /// How long its tokens live.
    pub token_expiry: TokenExpiry,
    /// When it ends.
    pub expires_at: Option<UnixSeconds>,
    /// What it may be granted.
    pub offer: Offer,
    /// Whether its workspace allows never-expiring tokens.
    pub workspace_never_expires_allowed: bool,
    /// Its permissions on Mintmark itself.
    pub permissions: Box<[Permission]>,
    disabled: bool,
    workspace_suspended: bool,
    allowed_ips: Box<[IpNet]>,
    secrets: Box<[SecretOnFile]>,
}

/// A secret as authentication needs it.
#[derive(Debug)]
pub struct SecretOnFile {
    /// Its id.
    pub secret_id: Arc<str>,
    mac: Box<[u8]>,
    expires_at: Option<UnixSeconds>,
}

/// Why a client was refused. The wire says the same for all; this is for the log and the failure feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such client.
    UnknownClient,
    /// The secret is none of the client's.
    WrongSecret,
    /// The secret was right once.
    ExpiredSecret,
    /// The client is disabled.
    ClientDisabled,
    /// The client's `expires_at` has passed.
    ClientExpired,
    /// The client's workspace is suspended.
    WorkspaceSuspended,
    /// The source address is not among the client's `allowed_ips`.
    AddressNotAllowed,
}

impl Refusal {
    /// A stable name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownClient => "unknown_client",
            Self::WrongSecret => "wrong_secret",
            Self::ExpiredSecret => "expired_secret",
            Self::ClientDisabled => "client_disabled",
            Self::ClientExpired => "client_expired",
            Self::WorkspaceSuspended => "workspace_suspended",
            Self::AddressNotAllowed => "address_not_allowed",
        }
    }
}

impl Credentials {
    /// Whether the client is one that may act at `now`, whatever it brings to prove itself.
    pub fn standing(&self, now: UnixSeconds) -> Result<(), Refusal> {
        if self.disabled {
            return Err(Refusal::ClientDisabled);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(Refusal::ClientExpired);
        }
        if self.workspace_suspended {
            return Err(Refusal::WorkspaceSuspended);
        }
        Ok(())
    }

    /// Whether the client may authenticate from `source`. IPv4-mapped IPv6 counts as IPv4.
    fn allows(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|network| network.contains(&source))
    }
}

impl Registry {
    /// The credentials of a client, from memory or else from the database. `None` for an unknown client.
    pub async fn credentials(&self, client_id: &str) -> Result<Option<Arc<Credentials>>, Error> {
        if !ids::is_client_id(client_id) {
            return Ok(None);
        }
        if let Some(entry) = self.cache.get(client_id) {
            return Ok(entry);
        }
        // Boxed, so that the usual way through a request is not as large as this one.
        Box::pin(self.read_credentials(client_id)).await
    }

    #[cold]
    async fn read_credentials(&self, client_id: &str) -> Result<Option<Arc<Credentials>>, Error> {
        let (stored, seq) = self.storage.credentials(client_id).await?;
        let entry = stored.map(|stored| Arc::new(self.slim(stored)));
        self.cache.fill(client_id, entry.clone(), seq);
        Ok(entry)
    }

    fn slim(&self, stored: StoredCredentials) -> Credentials {
        let StoredCredentials {
            client,
            workspace_suspended_at,
            workspace_never_expires_allowed,
            secrets,
            products,
        } = stored;
        Credentials {
            offer: Offer::new(&products, &client.permissions, &self.policy.audiences),
            client_id: client.client_id.into(),
            workspace_id: client.workspace_id.into(),
            generation: client.generation,
            slot: client.slot,
            active_tokens: client.active_tokens,
            signing_alg: client.signing_alg,
            token_expiry: client.token_expiry,
            expires_at: client.expires_at,
            permissions: client.permissions.into(),
            workspace_never_expires_allowed,
            disabled: client.disabled_at.is_some(),
            workspace_suspended: workspace_suspended_at.is_some(),
            allowed_ips: client.allowed_ips.into(),
            secrets: secrets
                .into_iter()
                .map(|secret| SecretOnFile {
                    secret_id: secret.secret_id.into(),
                    mac: secret.mac.into(),
                    expires_at: secret.expires_at,
                })
                .collect(),
        }
    }

    /// Checks a client secret (RFC 6749 §2.3.1). Whatever is wrong, about the same work is done, so that the time
    /// taken tells an unknown client from a wrong secret no better than chance.
    ///
    /// # Errors
    /// [`Error`] when it cannot be known; `Ok(Err(refusal))` when it is known that the client may not.
    pub async fn authenticate_secret(
        &self,
        client_id: &str,
        plain: &str,
        source: IpAddr,
    ) -> Result<Result<(Arc<Credentials>, Arc<str>), Refusal>, Error> {
        // A secret of wrong form or checksum is nobody's: no lookup, no hash.
        if !secret::is_well_formed(plain) {
            return Ok(Err(Refusal::WrongSecret));
        }
        let now = self.clock.now();
        let Some(credentials) = self.credentials(client_id).await? else {
            let _ = self.subkeys.is_secret(plain, &[0; 32]);
            return Ok(Err(Refusal::UnknownClient));
        };
        let Some(secret) =
            credentials.secrets.iter().find(|secret| self.subkeys.is_secret(plain, &secret.mac))
        else {
            return Ok(Err(Refusal::WrongSecret));
        };
        if secret.expires_at.is_some_and(|at| at <= now) {
            return Ok(Err(Refusal::ExpiredSecret));
        }
        if let Err(refusal) = credentials.standing(now) {
            return Ok(Err(refusal));
        }
        if !credentials.allows(source) {
            return Ok(Err(Refusal::AddressNotAllowed));
        }
        let secret_id = Arc::clone(&secret.secret_id);
        self.last_used.note(&secret_id, now);
        Ok(Ok((credentials, secret_id)))
    }
}

/// The memory of clients.
#[derive(Debug)]
pub(super) struct Cache {
    entries: QuickCache<Box<str>, Option<Arc<Credentials>>>,
    fallen: Mutex<Fallen>,
}

#[derive(Debug)]
struct Fallen {
    /// Fills read before this value of the counter cannot be judged.
    floor: i64,
    recent: VecDeque<(i64, Change)>,
}

impl Cache {
    /// An empty memory of a database whose counter stands at `seq`.
    pub(super) fn new(seq: i64) -> Self {
        Self {
            entries: QuickCache::new(CAPACITY),
            fallen: Mutex::new(Fallen { floor: seq, recent: VecDeque::new() }),
        }
    }

    /// `Some(None)` for a client that is known not to exist.
    #[expect(clippy::option_option, reason = "unknown here and known to be nobody are two things")]
    fn get(&self, client_id: &str) -> Option<Option<Arc<Credentials>>> {
        self.entries.get(client_id)
    }

    /// How many clients are in memory.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Stores what was read when the counter stood at `seq`, unless it may have changed since. Fills and
    /// invalidations are one after the other, so neither can slip past the other.
    fn fill(&self, client_id: &str, entry: Option<Arc<Credentials>>, seq: i64) {
        let fallen = self.fallen.lock().unwrap_or_else(PoisonError::into_inner);
        let outdated = seq < fallen.floor
            || fallen
                .recent
                .iter()
                .any(|(at, change)| *at > seq && concerns(change, client_id, entry.as_deref()));
        if !outdated {
            self.entries.insert(client_id.into(), entry);
        }
    }

    /// Drops what a change made untrue.
    pub(super) fn invalidate(&self, seq: i64, change: &Change) {
        if matches!(change, Change::SigningKeys | Change::StatusList(_)) {
            return;
        }
        let mut fallen = self.fallen.lock().unwrap_or_else(PoisonError::into_inner);
        if fallen.recent.len() >= REMEMBERED_CHANGES
            && let Some((oldest, _)) = fallen.recent.pop_front()
        {
            fallen.floor = fallen.floor.max(oldest);
        }
        fallen.recent.push_back((seq, change.clone()));
        match change {
            Change::Client(id) => {
                self.entries.remove(id.as_str());
            }
            Change::SigningKeys | Change::StatusList(_) => {}
            other => self.entries.retain(|id, entry| !concerns(other, id, entry.as_deref())),
        }
    }

    /// Drops everything read before the counter stood at `seq`.
    pub(super) fn invalidate_everything(&self, seq: i64) {
        let mut fallen = self.fallen.lock().unwrap_or_else(PoisonError::into_inner);
        fallen.floor = seq;
        fallen.recent.clear();
        self.entries.clear();
    }
}

fn concerns(change: &Change, client_id: &str, entry: Option<&Credentials>) -> bool {
    match change {
        Change::Client(id) => id == client_id,
        Change::Workspace(id) => entry.is_some_and(|entry| *entry.workspace_id == **id),
        Change::Product(code) => entry.is_some_and(|entry| entry.offer.part(code).is_some()),
        Change::SigningKeys | Change::StatusList(_) => false,
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
