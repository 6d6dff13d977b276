//! What must hold of a token once its key is at hand: the algorithm, the signature, then the claims (RFC 9068
//! §4, RFC 7519 §7.2, RFC 8725 §3). No network and no clock: keys and time are inputs.

use serde::Deserialize;

use crate::claims::{AccessTokenClaims, FAR_EXP, present_date};
use crate::json::{self, Refused};
use crate::jws::{Typ, Unverified};
use crate::{KeySet, VerifyError};

/// What a service demands of a token. Made by [`VerifierBuilder::checks`](crate::VerifierBuilder::checks) for
/// a program that holds the key set itself; a [`Verifier`](crate::Verifier) has its own.
#[derive(Debug, Clone)]
pub struct Checks {
    pub(crate) issuer: String,
    pub(crate) audience: String,
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

impl Checks {
    /// The claims of `token` if it holds against `keys` at `now` (Unix seconds).
    pub fn verify(&self, token: &str, keys: &KeySet, now: i64) -> Result<AccessTokenClaims, VerifyError> {
        self.finish(&self.open(token)?, keys, now)
    }

    /// What can be refused before a key is looked for.
    pub(crate) fn open<'t>(&self, token: &'t str) -> Result<Unverified<'t>, VerifyError> {
        let token = Unverified::parse(token)?;
        if token.typ == Typ::Jwt && !self.never_expiring { Err(VerifyError::WrongType) } else { Ok(token) }
    }

    /// The rest.
    pub(crate) fn finish(
        &self,
        token: &Unverified<'_>,
        keys: &KeySet,
        now: i64,
    ) -> Result<AccessTokenClaims, VerifyError> {
        let key = keys.get(&token.kid).ok_or(VerifyError::UnknownKey)?;
        if key.alg != token.alg {
            return Err(VerifyError::AlgorithmRefused);
        }
        if !key.verifier.is_valid(token.signed, &token.signature) {
            return Err(VerifyError::BadSignature);
        }
        let payload = token.payload()?;
        let payload = json::unique(&payload).map_err(not_claims)?;
        let claims: AccessTokenClaims = json::read(payload).map_err(not_claims)?;
        let NotBefore { nbf } = json::read(payload).map_err(not_claims)?;
        self.check_parties(&claims)?;
        self.check_times(&claims, nbf, token.typ, now)?;
        if let Some(cnf) = &claims.cnf {
            if !self.bound {
                return Err(VerifyError::ProofRequired);
            }
            if cnf.x5t_s256.is_none() && cnf.jkt.is_none() {
                return Err(VerifyError::InvalidClaims("cnf names no proof that is known here"));
            }
        }
        self.products.iter().try_for_each(|product| claims.require_product(product))?;
        Ok(claims)
    }

    fn check_parties(&self, claims: &AccessTokenClaims) -> Result<(), VerifyError> {
        if claims.iss != self.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if !claims.aud.contains(&self.audience) {
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

    fn check_times(
        &self,
        claims: &AccessTokenClaims,
        nbf: Option<i64>,
        typ: Typ,
        now: i64,
    ) -> Result<(), VerifyError> {
        match (claims.never_expires, claims.exp, typ) {
            // The two forms of a token that never expires.
            (true, Some(FAR_EXP), Typ::AccessToken) | (true, None, Typ::Jwt) => {
                if !self.never_expiring {
                    return Err(VerifyError::NeverExpiresRefused);
                }
            }
            (false, Some(exp), Typ::AccessToken) => {
                if now >= exp.saturating_add(self.leeway_seconds) {
                    return Err(VerifyError::Expired);
                }
            }
            (_, Some(_), Typ::Jwt) => return Err(VerifyError::WrongType),
            (true, Some(_), Typ::AccessToken) => {
                return Err(VerifyError::InvalidClaims("never_expires contradicts exp"));
            }
            (_, None, _) => return Err(VerifyError::InvalidClaims("exp is missing")),
        }
        let horizon = now.saturating_add(self.leeway_seconds);
        if claims.iat > horizon || nbf.is_some_and(|nbf| nbf > horizon) {
            return Err(VerifyError::NotYetValid);
        }
        Ok(())
    }
}

fn not_claims(refused: Refused) -> VerifyError {
    match refused {
        Refused::NotStrictJson => VerifyError::Malformed("its payload is not a proper JSON object"),
        Refused::Shape => VerifyError::InvalidClaims("one is missing or of the wrong type"),
    }
}
