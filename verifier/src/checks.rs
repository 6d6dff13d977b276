//! What must hold of a token once its key is at hand: the algorithm, the signature, then the claims (RFC 9068
//! §4, RFC 7519 §7.2, RFC 8725 §3). No network and no clock: keys and time are inputs.

use serde::Deserialize;
use std::sync::Arc;

use crate::claims::{AccessTokenClaims, FAR_EXP, present_date};
use crate::json::{self, Refused};
use crate::jws::{MAX_TOKEN_BYTES, Typ, Unverified};
use crate::keys::Key;
use crate::{KeySet, VerifyError};

/// What a service demands of a token, but for its status. Made by
/// [`VerifierBuilder::checks`](crate::VerifierBuilder::checks) for a program that holds the key set itself and
/// learns of revocations in another way; a [`Verifier`](crate::Verifier) has its own.
#[derive(Debug, Clone)]
pub struct Checks {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Whether `audience` is demanded.
    pub(crate) any_audience: bool,
    pub(crate) leeway_seconds: i64,
    pub(crate) never_expiring: bool,
    pub(crate) bound: bool,
    pub(crate) products: Vec<String>,
}

/// The instant that Mintmark does not write but must be honoured where it is (RFC 7519 §4.1.5).
#[derive(Deserialize)]
struct NotBefore {
    #[serde(default, deserialize_with = "present_date")]
    nbf: Option<i64>,
}

/// A token that holds, and what it takes to say so again later.
pub(crate) struct Holds {
    pub(crate) claims: AccessTokenClaims,
    /// The key that has signed it.
    pub(crate) key: Arc<Key>,
    pub(crate) validity: Validity,
}

/// From when to when a token holds, Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    /// The later of `iat` and `nbf`.
    starts: i64,
    /// `exp`; `None` for a token that never expires.
    ends: Option<i64>,
}

impl Validity {
    /// Whether `now` is within it, by clocks that may be `leeway` seconds apart.
    pub(crate) fn check(self, now: i64, leeway: i64) -> Result<(), VerifyError> {
        if self.ends.is_some_and(|exp| now >= exp.saturating_add(leeway)) {
            Err(VerifyError::Expired)
        } else if self.starts > now.saturating_add(leeway) {
            Err(VerifyError::NotYetValid)
        } else {
            Ok(())
        }
    }
}

impl Checks {
    /// The same checks for tokens of any audience, which only the issuer itself has a use for: it answers for all
    /// of its tokens, whoever they are meant for (introspection, forward-auth). A service that accepted tokens of
    /// any audience would let every other service that is shown one use it here (RFC 9700 §2.3), so a
    /// [`Verifier`](crate::Verifier) cannot be had this way.
    #[must_use]
    pub fn any_audience(self) -> Self {
        Self { any_audience: true, ..self }
    }

    /// The claims of `token` if it holds against `keys` at `now` (Unix seconds), whatever its status.
    pub fn verify(&self, token: &str, keys: &KeySet, now: i64) -> Result<AccessTokenClaims, VerifyError> {
        self.finish(&self.open(token)?, keys, now).map(|holds| holds.claims)
    }

    /// What can be refused before a key is looked for.
    pub(crate) fn open<'t>(&self, token: &'t str) -> Result<Unverified<'t>, VerifyError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::Malformed("it is too long"));
        }
        let token = Unverified::parse(token)?;
        match token.typ {
            Typ::AccessToken => Ok(token),
            Typ::Jwt if self.never_expiring => Ok(token),
            Typ::Jwt | Typ::StatusList => Err(VerifyError::WrongType),
        }
    }

    /// The rest.
    pub(crate) fn finish(
        &self,
        token: &Unverified<'_>,
        keys: &KeySet,
        now: i64,
    ) -> Result<Holds, VerifyError> {
        let key = token.signer(keys)?;
        let payload = token.payload()?;
        let payload = json::unique(&payload).map_err(not_claims)?;
        let claims: AccessTokenClaims = json::read(payload).map_err(not_claims)?;
        let nbf = not_before(payload)?;
        self.check_parties(&claims)?;
        let validity = self.validity(&claims, nbf, token.typ)?;
        validity.check(now, self.leeway_seconds)?;
        if let Some(cnf) = &claims.cnf {
            if !self.bound {
                return Err(VerifyError::ProofRequired);
            }
            if cnf.x5t_s256.is_none() && cnf.jkt.is_none() {
                return Err(VerifyError::InvalidClaims("cnf names no proof that is known here"));
            }
        }
        self.products.iter().try_for_each(|product| claims.require_product(product))?;
        Ok(Holds { claims, key: Arc::clone(key), validity })
    }

    fn check_parties(&self, claims: &AccessTokenClaims) -> Result<(), VerifyError> {
        if claims.iss != self.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if !self.any_audience && !claims.aud.contains(&self.audience) {
            return Err(VerifyError::WrongAudience);
        }
        if [&claims.client_id, &claims.jti, &claims.workspace_id].into_iter().any(String::is_empty) {
            return Err(VerifyError::InvalidClaims("client_id, jti or workspace_id is empty"));
        }
        if claims.sub != claims.client_id {
            return Err(VerifyError::InvalidClaims("sub is not client_id"));
        }
        Ok(())
    }

    fn validity(
        &self,
        claims: &AccessTokenClaims,
        nbf: Option<i64>,
        typ: Typ,
    ) -> Result<Validity, VerifyError> {
        let ends = match (claims.never_expires, claims.exp, typ) {
            // The two forms of a token that never expires.
            (true, Some(FAR_EXP), Typ::AccessToken) | (true, None, Typ::Jwt) => {
                if !self.never_expiring {
                    return Err(VerifyError::NeverExpiresRefused);
                }
                None
            }
            (false, Some(exp), Typ::AccessToken) => Some(exp),
            (_, Some(_), _) if typ != Typ::AccessToken => return Err(VerifyError::WrongType),
            (_, Some(_), _) => return Err(VerifyError::InvalidClaims("never_expires contradicts exp")),
            (_, None, _) => return Err(VerifyError::InvalidClaims("exp is missing")),
        };
        Ok(Validity { starts: nbf.map_or(claims.iat, |nbf| nbf.max(claims.iat)), ends })
    }
}

fn not_before(payload: &str) -> Result<Option<i64>, VerifyError> {
    // Mintmark writes none, so it is seldom worth reading the claims again. Its name could be written with an escape.
    if !payload.contains("nbf") && !payload.contains('\\') {
        return Ok(None);
    }
    json::read(payload).map(|NotBefore { nbf }| nbf).map_err(not_claims)
}

fn not_claims(refused: Refused) -> VerifyError {
    match refused {
        Refused::NotStrictJson => VerifyError::Malformed("its payload is not a proper JSON object"),
        Refused::Shape => VerifyError::InvalidClaims("one is missing or of the wrong type"),
    }
}
