//! Rehearses a token request: checks the secret and decides the grant, and stops before signing. This issues no token, notes
//! no use and writes no event. For the test panel of the console, and for its pages that say how many characters a token has.

use super::claims::Own;
use super::grant::{self, Lifetime};
use super::{GrantError, Issuer};
use crate::clients::{Credentials, Trial};
use crate::config::NeverExpiresExp;
use crate::kernel::{Error, Manager, Reader};
use crate::model::clock::UnixSeconds;
use crate::model::key::UseFor;
use crate::model::status::Slot;
use crate::signing::handle::TokenTyp;
use mintmark_verifier::claims::FAR_EXP;

/// What a token request of a client would result in.
#[derive(Debug)]
pub struct Rehearsal {
    /// The result of the authentication.
    pub trial: Trial,
    /// What a token would carry if the authentication succeeds, or why there would be none.
    pub grant: Result<WouldIssue, GrantError>,
    /// Whether there is a key to sign the token. `None` if `grant` is an error: then no key is looked for.
    pub has_key: Option<bool>,
}

/// A token that would be issued.
#[derive(Debug)]
pub struct WouldIssue {
    /// Its scope.
    pub scope: String,
    /// Its audiences.
    pub audiences: Vec<String>,
    /// Seconds until it expires; `None` if it never does.
    pub expires_in: Option<i64>,
}

/// A text that is as long as a `jti`.
const JTI: &str = "0000000000000000000000";

impl Issuer {
    /// Rehearses a request of a client within reach, which authenticates with `secret` and asks for everything that it is
    /// granted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn rehearse(
        &self,
        caller: &Manager,
        client_id: &str,
        secret: &str,
    ) -> Result<Rehearsal, Error> {
        let trial = self.clients.try_secret(caller, client_id, secret).await?;
        let now = self.kernel.clock.now();
        let lifetime = whole_lifetime(&trial.client, now);
        let has_key =
            lifetime.as_ref().ok().map(|lifetime| self.key_for(&trial.client, *lifetime, now).is_ok());
        let whole = &trial.client.offer.whole;
        let grant = lifetime.map(|lifetime| WouldIssue {
            scope: whole.scope.to_string(),
            audiences: whole.audiences.iter().map(ToString::to_string).collect(),
            expires_in: match lifetime {
                Lifetime::Until(end) => Some(end - now),
                Lifetime::Never => None,
            },
        });
        Ok(Rehearsal { trial, grant, has_key })
    }

    /// About how many characters a token of a client within reach has. Pages show the number, because a field in which another
    /// system stores the token may be too short. `None` if no token could be granted or signed now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn token_length(&self, caller: &Reader, client_id: &str) -> Result<Option<usize>, Error> {
        let client = self.clients.credentials(client_id).await?;
        let client = client
            .filter(|client| caller.reach.covers(&client.workspace_id))
            .ok_or(Error::NotFound("API client"))?;
        let now = self.kernel.clock.now();
        let Ok(lifetime) = whole_lifetime(&client, now) else { return Ok(None) };
        let alg = client.signing_alg.unwrap_or(self.kernel.policy.signing_alg);
        let use_for = if lifetime == Lifetime::Never { UseFor::NeverExpiring } else { UseFor::Expiring };
        let Some(key) = self.ring.for_signing(alg, use_for, now) else { return Ok(None) };
        let (exp, typ) = match (lifetime, self.policy.never_expires_exp) {
            (Lifetime::Until(end), _) => (Some(end), TokenTyp::AccessToken),
            (Lifetime::Never, NeverExpiresExp::Far) => (Some(FAR_EXP), TokenTyp::AccessToken),
            (Lifetime::Never, NeverExpiresExp::Omit) => (None, TokenTyp::Jwt),
        };
        let claims = self.claims.write(
            &client.offer.whole_claims,
            Own {
                client_id: &client.client_id,
                workspace_id: &client.workspace_id,
                iat: now,
                exp,
                jti: JTI,
                never_expires: lifetime == Lifetime::Never,
                // An index has at most six digits. The list of a recorded token is not known yet, but its number usually has as
                // many digits as that of the client's list.
                slot: Some(Slot { list: client.slot.map_or(1, |slot| slot.list), idx: 100_000 }),
            },
        );
        Ok(Some(key.jwt_len(typ, claims.len())))
    }
}

/// The lifetime of a token with everything that a client is granted.
fn whole_lifetime(client: &Credentials, now: UnixSeconds) -> Result<Lifetime, GrantError> {
    let whole = grant::select(&client.offer, "", &[])?;
    grant::lifetime(
        client.token_expiry,
        &whole,
        client.workspace_never_expires_allowed,
        client.expires_at,
        now,
    )
}
