//! Loads a client with its secrets, from memory while the entry there is up to date, and checks a secret against them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Clients;
use crate::kernel::{Caller, Error};
use crate::model::audit::Actor;
use crate::model::client::ActiveTokens;
use crate::model::clock::UnixSeconds;
use crate::model::expiry::TokenExpiry;
use crate::model::grant::Offer;
use crate::model::ids;
use crate::model::inline_id::{ClientId, SecretId};
use crate::model::key::Alg;
use crate::model::proof::Proof;
use crate::model::reach::Reach;
use crate::model::refusal::Refusal;
use crate::model::scope::Permission;
use crate::model::secret;
use crate::model::status::Slot;
use crate::model::workspace::PLATFORM;
use crate::storage::StoredCredentials;
use crate::usage::{Tallied, Tally};

/// What authentication and issuing need of a client.
#[derive(Debug)]
pub struct Credentials {
    /// The client.
    pub client_id: ClientId,
    /// Its workspace.
    pub workspace_id: Arc<str>,
    /// The generation that its stateless tokens belong to.
    pub generation: i64,
    /// Where the status of that generation is published.
    pub slot: Option<Slot>,
    /// How many of its tokens may be live at a time.
    pub active_tokens: ActiveTokens,
    /// Its own signing algorithm, if it has one.
    pub signing_alg: Option<Alg>,
    /// How long its tokens are valid.
    pub token_expiry: TokenExpiry,
    /// When the client itself expires.
    pub expires_at: Option<UnixSeconds>,
    /// What it may be granted.
    pub offer: Arc<Offer>,
    /// Whether its workspace allows never-expiring tokens.
    pub workspace_never_expires_allowed: bool,
    /// Its permissions on Mintmark itself.
    pub permissions: Box<[Permission]>,
    pub(super) disabled: bool,
    pub(super) workspace_suspended: bool,
    pub(super) allowed_ips: Box<[IpNet]>,
    pub(super) secrets: Secrets,
    /// Counts the tokens that it got and the uses of its first secret.
    pub(super) tally: Tally,
}

impl Tallied for Credentials {
    fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The secrets of a client, also expired ones that are not deleted yet. Most clients have one, which is stored inline, so that
/// reading it needs no indirection.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    first: Option<StoredSecret>,
    others: Box<[Arc<OtherSecret>]>,
}

impl Secrets {
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredSecret> {
        self.first.iter().chain(self.others.iter().map(|other| &other.secret))
    }
}

impl FromIterator<StoredSecret> for Secrets {
    fn from_iter<I: IntoIterator<Item = StoredSecret>>(secrets: I) -> Self {
        let mut secrets = secrets.into_iter();
        let first = secrets.next();
        let other = |secret| Arc::new(OtherSecret { secret, tally: Tally::default() });
        Self { first, others: secrets.map(other).collect() }
    }
}

/// A secret as authentication needs it.
#[derive(Debug)]
pub(super) struct StoredSecret {
    secret_id: SecretId,
    /// HMAC-SHA-256 of the secret.
    pub(super) mac: [u8; 32],
    pub(super) expires_at: Option<UnixSeconds>,
}

/// A secret besides the first.
#[derive(Debug)]
struct OtherSecret {
    secret: StoredSecret,
    /// Counts its uses.
    tally: Tally,
}

impl StoredSecret {
    fn must_be_live(&self, now: UnixSeconds) -> Result<(), Refusal> {
        if self.expires_at.is_some_and(|at| at <= now) { Err(Refusal::ExpiredSecret) } else { Ok(()) }
    }
}

impl Tallied for OtherSecret {
    fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Credentials {
    /// Whether the client may act at `now`, however it proves its identity.
    pub fn may_act(&self, now: UnixSeconds) -> Result<(), Refusal> {
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

    /// The client as the caller of a use case, with the permissions that it may use. A client of `platform` reaches every
    /// workspace, any other client only its own.
    pub fn caller(&self, permissions: Vec<Permission>, actor: Actor) -> Caller {
        let reach = if *self.workspace_id == *PLATFORM {
            Reach::Platform
        } else {
            Reach::Workspace(self.workspace_id.to_string())
        };
        Caller { reach, permissions, actor, client_id: Some(self.client_id.to_string()) }
    }

    /// Whether the client may act from `source` at `now`. Does not check its secret.
    fn may_act_from(&self, source: Option<IpAddr>, now: UnixSeconds) -> Result<(), Refusal> {
        self.may_act(now)?;
        if self.allows(source) { Ok(()) } else { Err(Refusal::AddressNotAllowed) }
    }

    /// Whether the client may authenticate from `source`. IPv4-mapped IPv6 counts as IPv4; an unknown source is in no
    /// network, not even in `0.0.0.0/0`.
    fn allows(&self, source: Option<IpAddr>) -> bool {
        let source = source.map(|source| source.to_canonical());
        let is_listed = |source| self.allowed_ips.iter().any(|network| network.contains(&source));
        self.allowed_ips.is_empty() || source.is_some_and(is_listed)
    }
}

impl Clients {
    /// The credentials of a client, from memory or else from the database. `None` for an unknown client.
    pub async fn credentials(&self, client_id: &str) -> Result<Option<Arc<Credentials>>, Error> {
        if !ids::is_client_id(client_id) {
            return Ok(None);
        }
        if let Some(entry) = self.cache.get(client_id) {
            return Ok(entry);
        }
        // Boxed, so that the future of the usual request is no larger than it needs to be.
        Box::pin(self.read_credentials(client_id)).await
    }

    #[cold]
    async fn read_credentials(&self, client_id: &str) -> Result<Option<Arc<Credentials>>, Error> {
        let (stored, seq) = self.kernel.storage.credentials(client_id).await?;
        let entry = stored.and_then(|stored| self.credentials_from(stored)).map(Arc::new);
        self.cache.fill(client_id, entry.clone(), seq);
        Ok(entry)
    }

    /// Authenticates a request again after its client has changed: `proof` must still be valid, and the client must still be
    /// allowed to act from `source`. Reads the client from the database, since the entry in memory may be outdated.
    ///
    /// # Errors
    /// [`Error`] when the client cannot be read; `Ok(Err(refusal))` when it is refused.
    pub(crate) async fn authenticate_again(
        &self,
        client_id: &str,
        proof: &Proof,
        source: Option<IpAddr>,
    ) -> Result<Result<Arc<Credentials>, Refusal>, Error> {
        let now = self.kernel.clock.now();
        let Some(credentials) = self.read_credentials(client_id).await? else {
            return Ok(Err(Refusal::UnknownClient));
        };
        let Proof::Secret { secret_id } = proof;
        let may_act = match credentials.secrets.iter().find(|secret| secret.secret_id == *secret_id) {
            None => Err(Refusal::WrongSecret),
            Some(secret) => secret.must_be_live(now).and_then(|()| credentials.may_act_from(source, now)),
        };
        Ok(may_act.map(|()| credentials))
    }

    /// `None` if the stored id does not have the form of a `client_id`.
    fn credentials_from(&self, stored: StoredCredentials) -> Option<Credentials> {
        let StoredCredentials {
            client,
            workspace_suspended_at,
            workspace_never_expires_allowed,
            secrets,
            products,
        } = stored;
        Some(Credentials {
            offer: self.offers.share(Offer::new(
                &products,
                &client.permissions,
                &self.kernel.policy.audiences,
            )),
            client_id: ClientId::new(&client.client_id)?,
            workspace_id: self.workspace_ids.share(client.workspace_id),
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
                .filter_map(|secret| {
                    Some(StoredSecret {
                        secret_id: SecretId::new(&secret.secret_id)?,
                        // A MAC of another length matches no secret.
                        mac: secret.mac.try_into().ok()?,
                        expires_at: secret.expires_at,
                    })
                })
                .collect(),
            tally: Tally::default(),
        })
    }

    /// Counts a token that a client got from the token endpoint.
    pub(crate) fn note_issued(&self, client: &Arc<Credentials>, now: UnixSeconds) {
        self.usage.issued(client, client.client_id, now);
    }

    /// Checks a client secret (RFC 6749 §2.3.1). An unknown client takes about as much work as a wrong secret, so that
    /// the response time does not tell them apart. `source` is where the request comes from, `None` if that is unknown.
    ///
    /// # Errors
    /// [`Error`] when the client cannot be read; `Ok(Err(refusal))` when it is refused.
    pub async fn authenticate_secret(
        &self,
        client_id: &str,
        plain: &str,
        source: impl Into<Option<IpAddr>>,
    ) -> Result<Result<(Arc<Credentials>, Proof), Refusal>, Error> {
        // No client has a secret of another form or with a wrong checksum, so nothing is looked up or hashed.
        if !secret::is_well_formed(plain) {
            return Ok(Err(secret::fault(plain).map_or(Refusal::NotAClientSecret, Refusal::MalformedSecret)));
        }
        let now = self.kernel.clock.now();
        let Some(credentials) = self.credentials(client_id).await? else {
            let _ = self.kernel.subkeys.is_secret(plain, &[0; 32]);
            return Ok(Err(Refusal::UnknownClient));
        };
        let source = source.into();
        // Checked first, so that the processor fetches what this reads from memory while it computes the MAC of the secret.
        let may_act = credentials.may_act_from(source, now);
        let is_it = |secret: &StoredSecret| self.kernel.subkeys.is_secret(plain, &secret.mac);
        let Secrets { first, others } = &credentials.secrets;
        let first = first.as_ref().filter(|secret| is_it(secret));
        let other = if first.is_some() { None } else { others.iter().find(|other| is_it(&other.secret)) };
        let Some(secret) = first.or(other.map(|other| &other.secret)) else {
            return Ok(Err(Refusal::WrongSecret));
        };
        if let Err(refusal) = secret.must_be_live(now).and(may_act) {
            return Ok(Err(refusal));
        }
        let secret_id = secret.secret_id;
        match other {
            None => self.note_use(&credentials, credentials.client_id, secret_id, source, now),
            Some(other) => self.note_use(other, credentials.client_id, secret_id, source, now),
        }
        Ok(Ok((credentials, Proof::Secret { secret_id })))
    }

    /// Notes a use of a secret in `record`, which has the tally of the secret.
    fn note_use<T: Tallied + 'static>(
        &self,
        record: &Arc<T>,
        client_id: ClientId,
        secret_id: SecretId,
        source: Option<IpAddr>,
        now: UnixSeconds,
    ) {
        self.last_used.note_in(record, secret_id, now);
        self.usage.secret_used(record, client_id, secret_id, source, now);
    }
}
