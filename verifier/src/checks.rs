//! All checks of a token except that of its status: the algorithm, the signature, then the claims (RFC 9068 §4, RFC
//! 7519 §7.2, RFC 8725 §3). They use neither network nor clock: keys and time are inputs.

use serde::Deserialize;
use std::sync::Arc;

use crate::claims::{AccessTokenClaims, FAR_EXP, present_date};
use crate::json::{self, JsonError};
use crate::jws::{Typ, Unverified, check_length};
use crate::keys::Key;
use crate::{KeySet, VerifyError};

/// What a service requires of a token, except for its status. Made by
/// [`VerifierBuilder::checks`](crate::VerifierBuilder::checks) for a program that has the key set itself and learns of
/// revocations in another way. All others use a [`Verifier`](crate::Verifier).
#[derive(Debug, Clone)]
pub struct Checks {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// If true, `audience` is not checked.
    pub(crate) any_audience: bool,
    pub(crate) leeway_seconds: i64,
    /// The leeway for `iat` and `nbf`, if it differs from `leeway_seconds`.
    pub(crate) start_leeway_seconds: Option<i64>,
    pub(crate) never_expiring: bool,
    pub(crate) bound: bool,
    pub(crate) products: Vec<String>,
}

/// `nbf`, which Mintmark does not write but which must be respected if present (RFC 7519 §4.1.5).
#[derive(Deserialize)]
struct NotBefore {
    #[serde(default, deserialize_with = "present_date")]
    nbf: Option<i64>,
}

/// A token that passed all checks except that of its status, with what is needed to check it again later.
pub(crate) struct Checked {
    pub(crate) claims: AccessTokenClaims,
    /// The key that signed it.
    pub(crate) key: Arc<Key>,
    pub(crate) validity: Validity,
}

/// When a token is valid, in Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    /// The later of `iat` and `nbf`.
    starts: i64,
    /// `exp`; `None` for a token that never expires.
    ends: Option<i64>,
}

impl Validity {
    /// Checks that the token is valid at `now`, if the issuer's clock may differ by `leeway` seconds.
    pub(crate) fn check(self, now: i64, leeway: i64) -> Result<(), VerifyError> {
        self.check_both(now, leeway, leeway)
    }

    /// The same with different leeways for the start and the end.
    fn check_both(self, now: i64, start_leeway: i64, leeway: i64) -> Result<(), VerifyError> {
        if self.ends.is_some_and(|exp| now >= exp.saturating_add(leeway)) {
            Err(VerifyError::Expired)
        } else if self.starts > now.saturating_add(start_leeway) {
            Err(VerifyError::NotYetValid)
        } else {
            Ok(())
        }
    }
}

impl Checks {
    /// The same checks without the audience. Only the issuer itself needs this, because introspection and
    /// forward-auth answer for tokens of every audience. A service that accepted tokens of any audience could be
    /// called with tokens that other services received (RFC 9700 §2.3), so a [`Verifier`](crate::Verifier) has no
    /// such setting.
    #[must_use]
    pub fn any_audience(self) -> Self {
        Self { any_audience: true, ..self }
    }

    /// The same checks with a separate leeway for `iat` and `nbf`; `exp` keeps that of the builder. Only the issuer needs
    /// this: it may see a token that a replica whose clock is ahead has just issued, and it also revokes tokens that are
    /// not valid yet (`i64::MAX`).
    #[must_use]
    pub fn start_leeway_seconds(self, seconds: i64) -> Self {
        Self { start_leeway_seconds: Some(seconds), ..self }
    }

    /// The claims of `token` if it is valid with `keys` at `now` (Unix seconds). The status is not checked.
    pub fn verify(&self, token: &str, keys: &KeySet, now: i64) -> Result<AccessTokenClaims, VerifyError> {
        check_length(token)?;
        self.finish(&self.open(token)?, keys, now).map(|checked| checked.claims)
    }

    /// The checks that need no key. The length is checked by the caller.
    pub(crate) fn open<'t>(&self, token: &'t str) -> Result<Unverified<'t>, VerifyError> {
        let token = Unverified::parse(token)?;
        match token.typ {
            Typ::AccessToken => Ok(token),
            Typ::Jwt if self.never_expiring => Ok(token),
            Typ::Jwt | Typ::StatusList => Err(VerifyError::WrongType),
        }
    }

    /// Checks the signature, and then the claims, which may be forged until then.
    pub(crate) fn finish(
        &self,
        token: &Unverified<'_>,
        keys: &KeySet,
        now: i64,
    ) -> Result<Checked, VerifyError> {
        let key = token.signer(keys)?;
        let payload = token.payload()?;
        let payload = json::unique(&payload).map_err(not_claims)?;
        let claims: AccessTokenClaims = json::read(payload).map_err(not_claims)?;
        let nbf = not_before(payload)?;
        self.check_parties(&claims)?;
        let validity = self.validity(&claims, nbf, token.typ)?;
        let start_leeway = self.start_leeway_seconds.unwrap_or(self.leeway_seconds);
        validity.check_both(now, start_leeway, self.leeway_seconds)?;
        if let Some(cnf) = &claims.cnf {
            if !self.bound {
                return Err(VerifyError::BoundRefused);
            }
            if cnf.x5t_s256.is_none() && cnf.jkt.is_none() {
                return Err(VerifyError::InvalidClaims("cnf has neither x5t#S256 nor jkt"));
            }
        }
        self.products.iter().try_for_each(|product| claims.require_product(product))?;
        Ok(Checked { claims, key: Arc::clone(key), validity })
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
            return Err(VerifyError::InvalidClaims("sub differs from client_id"));
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
            // The two forms of a token that never expires: `exp` in the year 2200 or later, or none.
            (true, Some(FAR_EXP..), Typ::AccessToken) | (true, None, Typ::Jwt) => {
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
    // Mintmark writes no `nbf`, so the claims are read again only if the text could have one. A backslash could be
    // part of an escaped `nbf`.
    if !payload.contains("nbf") && !payload.contains('\\') {
        return Ok(None);
    }
    json::read(payload).map(|NotBefore { nbf }| nbf).map_err(not_claims)
}

fn not_claims(error: JsonError) -> VerifyError {
    match error {
        JsonError::NotStrictJson => {
            VerifyError::Malformed("its payload is not a JSON object with unique members")
        }
        JsonError::Shape => {
            VerifyError::InvalidClaims("a claim is missing, has the wrong type or is out of range")
        }
    }
}
