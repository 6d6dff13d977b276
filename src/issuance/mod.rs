//! Issues signed tokens to authenticated clients (RFC 6749 §4.4, RFC 9068).
//!
//! `grant` decides what the client gets, `claims` writes the claims as JSON, and `Issuer::issue` does the steps in order. A
//! token that expires soon is usually stateless: issuing it writes nothing. Any other token is recorded, and its row is
//! durable before the token is returned.
//!
//! The module also generates tokens for administrators, verifies tokens that were issued here, and signs introspection
//! responses and status lists.

mod claims;
mod generate;
mod grant;
mod introspection;
mod jti;
mod new_token;
mod own_tokens;
mod recheck;
mod rehearsal;
mod status;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use mintmark_verifier::claims::FAR_EXP;

use crate::clients::Clients;
use crate::clients::Credentials;
use crate::config::NeverExpiresExp;
use crate::kernel::Error as KernelError;
use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::model::client::ActiveTokens;
use crate::model::clock::UnixSeconds;
use crate::model::expiry::TokenExpiry;
use crate::model::grant::{Grant, GrantClaims};
use crate::model::key::UseFor;
use crate::model::proof::Proof;
use crate::model::refusal::Refusal;
use crate::model::slot_lease::ListKind;
use crate::model::status::Slot;
use crate::model::token::RecordedToken;
use crate::signing::handle::{SigningHandle, TokenTyp};
use crate::signing::ring::KeyRing;
use crate::storage::{IssueCheck, IssueGuard};
use crate::tokens::Tokens;

use claims::{ClaimsWriter, Own};
pub use generate::GeneratedToken;
pub use grant::GrantError;
use grant::Lifetime;
use jti::{Jti, RecordedIds};
pub use new_token::NewToken;
use own_tokens::OwnChecks;
pub use rehearsal::{Rehearsal, WouldIssue};
pub use status::{SignedList, StatusListError, StatusLists};

/// What a client requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenRequest<'a> {
    /// Scope tokens, space-separated; empty for everything granted.
    pub scope: &'a str,
    /// Resource indicators (RFC 8707); empty for none.
    pub resources: &'a [String],
    /// The source address of the request, if known. It is checked again if the client changes in the meantime.
    pub source: Option<IpAddr>,
}

/// A signed token, recorded if it has to be.
#[derive(Debug)]
pub struct Issued<'a> {
    /// The token.
    pub access_token: String,
    /// Seconds until it expires; `None` if it never does.
    pub expires_in: Option<i64>,
    /// Its scope, products and audiences. Borrowed from the client if the token has everything that the client is granted.
    pub grant: Cow<'a, Grant>,
}

impl Issued<'_> {
    fn into_owned(self) -> Issued<'static> {
        let grant = Cow::Owned(self.grant.into_owned());
        Issued { access_token: self.access_token, expires_in: self.expires_in, grant }
    }
}

/// The outcome of an attempt to issue a token. If it is not `Issued`, no row was written.
#[derive(Debug)]
enum Attempt<'a> {
    Issued(Issued<'a>),
    /// The client's generation ended, or the key stopped signing, before the token was recorded.
    Ended,
    /// The client may no longer have the token.
    NotAllowed,
}

impl<'a> Attempt<'a> {
    fn of(issued: Issued<'a>, check: IssueCheck) -> Self {
        match check {
            IssueCheck::Allowed => Self::Issued(issued),
            IssueCheck::ClientNotAllowed => Self::NotAllowed,
            IssueCheck::GenerationEnded | IssueCheck::KeyNotSigning => Self::Ended,
        }
    }
}

/// Which token is to be issued.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    request: TokenRequest<'a>,
    token_expiry: TokenExpiry,
    /// Whether the token is recorded even if it could be stateless.
    is_recorded: bool,
    now: UnixSeconds,
}

/// Why no token was issued.
#[derive(Debug)]
pub enum IssueError {
    /// The client may not have what it requests.
    Grant(GrantError),
    /// The client was changed during the request and may no longer have the token, for this reason.
    ClientRefused(Refusal),
    /// The client or the signing key changed twice during the request. The request may be repeated.
    ChangedAgain,
    /// There is no active key of the algorithm and class that the token needs.
    NoKey,
    /// The key could not sign. The log says why.
    NotSigned,
    /// The database does not answer, or there are no random bytes.
    Unavailable(KernelError),
}

impl From<GrantError> for IssueError {
    fn from(error: GrantError) -> Self {
        Self::Grant(error)
    }
}

impl From<KernelError> for IssueError {
    fn from(error: KernelError) -> Self {
        Self::Unavailable(error)
    }
}

/// The settings that tokens depend on.
#[derive(Debug, Clone)]
pub struct TokenPolicy {
    /// `iss` (RFC 8414 §2): the public URL.
    pub issuer: Box<str>,
    /// Tokens that are valid for longer than this many seconds are recorded.
    pub record_above_seconds: i64,
    /// Whether never-expiring tokens have an `exp`.
    pub never_expires_exp: NeverExpiresExp,
}

/// Issues tokens.
#[derive(Debug)]
pub struct Issuer {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    clients: Arc<Clients>,
    tokens: Arc<Tokens>,
    ring: Arc<KeyRing>,
    recorded_ids: RecordedIds,
    policy: TokenPolicy,
    own_checks: OwnChecks,
    claims: ClaimsWriter,
}

/// A token before it is signed.
#[derive(Debug)]
struct Draft<'a> {
    /// Borrowed from the client if it is all that the client is granted.
    grant: Cow<'a, Grant>,
    /// Whether the token is recorded.
    must_record: bool,
    jti: Jti,
    /// Where the status of the token is published.
    slot: Option<Slot>,
    /// When the token is issued.
    at: UnixSeconds,
    lifetime: Lifetime,
    key: Arc<SigningHandle>,
}

/// `issued_by` of a token from the token endpoint.
const BY_CLIENT: &str = "client";

impl Issuer {
    /// An issuer that uses these services.
    ///
    /// # Errors
    /// If a verifier would not accept the issuer identifier.
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        clients: Arc<Clients>,
        tokens: Arc<Tokens>,
        ring: Arc<KeyRing>,
        policy: TokenPolicy,
    ) -> Result<Self, String> {
        let own_checks = OwnChecks::new(&policy.issuer)?;
        Ok(Self {
            kernel,
            ledger,
            clients,
            tokens,
            ring,
            recorded_ids: RecordedIds::default(),
            claims: ClaimsWriter::new(&policy.issuer),
            policy,
            own_checks,
        })
    }

    /// Issues a token to a client that has authenticated with `proof`.
    ///
    /// # Errors
    /// See [`IssueError`]. After an error there is no token. There is no row either, unless signing failed: the row is written
    /// while the token is signed.
    pub async fn issue<'a>(
        &self,
        client: &'a Arc<Credentials>,
        proof: &Proof,
        request: TokenRequest<'_>,
    ) -> Result<Issued<'a>, IssueError> {
        let now = self.kernel.clock.now();
        let wanted = Wanted { request, token_expiry: client.token_expiry, is_recorded: false, now };
        if let Attempt::Issued(issued) = self.attempt(client, &wanted, proof).await? {
            self.clients.note_issued(client, now);
            return Ok(issued);
        }
        // Boxed, as are the steps of a recorded token, so that the future of a stateless one stays small.
        Box::pin(async {
            let client = self.judge_again(&client.client_id, proof, request.source).await?;
            // This token is recorded in any case, since the proof is checked once more when its row is written.
            let wanted = Wanted { is_recorded: true, token_expiry: client.token_expiry, ..wanted };
            match self.attempt(&client, &wanted, proof).await? {
                Attempt::Issued(issued) => {
                    self.clients.note_issued(&client, now);
                    Ok(issued.into_owned())
                }
                Attempt::Ended => Err(IssueError::ChangedAgain),
                // Returns the reason, unless the client may have the token again by now.
                Attempt::NotAllowed => {
                    self.judge_again(&client.client_id, proof, request.source).await?;
                    Err(IssueError::ChangedAgain)
                }
            }
        })
        .await
    }

    /// Signs a token, and at the same time records it if necessary. The caller tries at most twice: it is very rare that the
    /// client's generation ends or the key stops signing in both attempts of one request.
    async fn attempt<'a>(
        &self,
        client: &'a Credentials,
        wanted: &Wanted<'_>,
        proof: &Proof,
    ) -> Result<Attempt<'a>, IssueError> {
        let draft = self.draft(client, wanted).await?;
        if !draft.must_record {
            return Ok(Attempt::Issued(self.sign(client, draft)?));
        }
        let replaces = client.active_tokens != ActiveTokens::Many;
        let guard = IssueGuard { proof: Some(proof.clone()), now: wanted.now, replaces };
        let row = draft.row(client, Cow::Borrowed(BY_CLIENT));
        let recording = self.tokens.record_token(row, client.active_tokens, guard);
        Box::pin(async {
            recording.may_sign().await;
            let signed = self.sign(client, draft);
            let check = recording.outcome().await;
            Ok(Attempt::of(signed?, check?))
        })
        .await
    }

    /// Decides everything about the token except its signature.
    async fn draft<'a>(&self, client: &'a Credentials, wanted: &Wanted<'_>) -> Result<Draft<'a>, IssueError> {
        let now = wanted.now;
        let grant = grant::select(&client.offer, wanted.request.scope, wanted.request.resources)?;
        let lifetime = grant::lifetime(
            wanted.token_expiry,
            &grant,
            client.workspace_never_expires_allowed,
            client.expires_at,
            now,
        )?;
        let must_record = wanted.is_recorded || self.must_record(client, lifetime, now);
        let jti = if must_record {
            self.recorded_ids.next(&self.kernel.random)
        } else {
            Jti::generate(&self.kernel.random)
        };
        let jti = jti.map_err(KernelError::from)?;
        let key = self.key_for(client, lifetime, now)?;
        let slot = match (must_record, lifetime) {
            (false, _) => client.slot,
            (true, Lifetime::Until(_)) => Some(self.tokens.slot_for_token(ListKind::Expiring).await?),
            (true, Lifetime::Never) => {
                Some(self.tokens.slot_for_token(ListKind::NeverExpiring(key.kid())).await?)
            }
        };
        Ok(Draft { grant, must_record, jti, slot, at: now, lifetime, key })
    }

    fn must_record(&self, client: &Credentials, lifetime: Lifetime, now: UnixSeconds) -> bool {
        client.active_tokens != ActiveTokens::Many
            // While the tokens of a deleted key are being revoked, clients get new generations, which end stateless tokens.
            || self.ring.is_revoking()
            || match lifetime {
                Lifetime::Until(end) => end - now > self.policy.record_above_seconds,
                Lifetime::Never => true,
            }
    }

    fn key_for(
        &self,
        client: &Credentials,
        lifetime: Lifetime,
        now: UnixSeconds,
    ) -> Result<Arc<SigningHandle>, IssueError> {
        let alg = client.signing_alg.unwrap_or(self.kernel.policy.signing_alg);
        let use_for = match lifetime {
            Lifetime::Until(_) => UseFor::Expiring,
            Lifetime::Never => UseFor::NeverExpiring,
        };
        self.ring.for_signing(alg, use_for, now).ok_or(IssueError::NoKey)
    }

    fn sign<'a>(&self, client: &Credentials, draft: Draft<'a>) -> Result<Issued<'a>, IssueError> {
        let Draft { grant, jti, slot, at, lifetime, key, .. } = draft;
        let (exp, typ) = match (lifetime, self.policy.never_expires_exp) {
            (Lifetime::Until(end), _) => (Some(end), TokenTyp::AccessToken),
            (Lifetime::Never, NeverExpiresExp::Far) => (Some(FAR_EXP), TokenTyp::AccessToken),
            // RFC 9068 requires `exp`, so the `typ` of a token without `exp` is not `at+jwt`.
            (Lifetime::Never, NeverExpiresExp::Omit) => (None, TokenTyp::Jwt),
        };
        let own = Own {
            client_id: &client.client_id,
            workspace_id: &client.workspace_id,
            iat: at,
            exp,
            jti: jti.as_str(),
            never_expires: lifetime == Lifetime::Never,
            slot,
        };
        let json = match &grant {
            // The whole grant of the client: its claims are already written.
            Cow::Borrowed(_) => self.claims.write(&client.offer.whole_claims, own),
            Cow::Owned(grant) => self.claims.write(&GrantClaims::of(grant), own),
        };
        let access_token = self.ring.sign(&key, typ, &json).map_err(|error| {
            tracing::error!(failure = "signing", %error, kid = key.kid(), "signing failed");
            IssueError::NotSigned
        })?;
        let expires_in = match lifetime {
            Lifetime::Until(end) => Some(end - at),
            Lifetime::Never => None,
        };
        Ok(Issued { access_token, expires_in, grant })
    }
}

impl Draft<'_> {
    /// The row of the token, if it is recorded.
    fn row(&self, client: &Credentials, issued_by: Cow<'static, str>) -> RecordedToken {
        RecordedToken {
            jti: self.jti.as_str().to_owned(),
            client_id: client.client_id.to_string(),
            workspace_id: Arc::clone(&client.workspace_id),
            kid: self.key.shared_kid(),
            generation: client.generation,
            scope: Arc::clone(&self.grant.scope),
            products: self.grant.products_as_text(),
            issued_at: self.at,
            expires_at: match self.lifetime {
                Lifetime::Until(end) => Some(end),
                Lifetime::Never => None,
            },
            revoked_at: None,
            revoke_at: None,
            slot: self.slot,
            last_introspected_at: None,
            issued_by,
        }
    }
}
