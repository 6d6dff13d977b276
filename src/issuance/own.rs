//! Reads back what was issued here: the same checks as any service makes, by the same crate, against the keys as they
//! are published.

use mintmark_verifier::{AccessTokenClaims, Checks, Verifier, VerifyError};

use super::Issuer;

/// The checks of tokens by `issuer` for `issuer` itself. An issuer that the settings accepted is one here too.
pub(super) fn checks(issuer: &str) -> Result<Checks, String> {
    Verifier::builder(issuer, issuer).leeway_seconds(0).checks().map_err(|error| error.to_string())
}

impl Issuer {
    /// The claims of an access token of our own that is meant for us (`aud` holds the issuer), if it holds now. Says
    /// nothing of whether its client still may.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify_own(&self, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        self.own_checks.verify(token, &self.ring.key_set(), self.registry.clock().now())
    }
}
