//! Signs the responses of the introspection endpoint (RFC 9701 §5), so that the client that asked can show them to others as
//! proof.

use serde::Serialize;

use super::{IssueError, Issuer};
use crate::model::key::UseFor;
use crate::signing::handle::TokenTyp;

/// The claims of a signed response. It has no `sub` and no `exp`, because with these it could be taken for an access token
/// (RFC 9701 §8.1).
#[derive(Serialize)]
struct Claims<'a, R> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    token_introspection: &'a R,
}

impl Issuer {
    /// `reply` as a JWT of `typ: token-introspection+jwt` for the client `asker`, signed by the key that signs expiring
    /// tokens with the platform's algorithm.
    ///
    /// # Errors
    /// [`IssueError::NoKey`], [`IssueError::NotSigned`].
    pub fn sign_introspection(&self, asker: &str, reply: &impl Serialize) -> Result<String, IssueError> {
        let now = self.kernel.clock.now();
        let alg = self.kernel.policy.signing_alg;
        let key = self.ring.for_signing(alg, UseFor::Expiring, now).ok_or(IssueError::NoKey)?;
        let claims = Claims { iss: &self.policy.issuer, aud: asker, iat: now, token_introspection: reply };
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(failure = "signing", %error, kid = key.kid(), "signing failed");
            IssueError::NotSigned
        };
        let json = serde_json::to_vec(&claims).map_err(|error| failed(&error))?;
        key.sign_jwt(TokenTyp::Introspection, &json).map_err(|error| failed(&error))
    }
}
