//! Reads back what was issued here: the same checks as any service makes, by the same crate, against the keys as they
//! are published.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mintmark_verifier::{AccessTokenClaims, BuildError, Checks, MAX_TOKEN_BYTES, Verifier, VerifyError};
use serde::Deserialize;

use super::Issuer;
use crate::ledger::Confirmed;
use crate::signing::handle::TokenTyp;

/// What our own tokens are held to.
#[derive(Debug)]
pub(super) struct OwnChecks {
    /// Where the token is meant for us.
    for_us: Checks,
    /// Where we answer for it, whoever it is meant for.
    for_anyone: Checks,
}

impl OwnChecks {
    /// The checks of tokens by `issuer`. An issuer that the settings accepted is one here too.
    pub(super) fn new(issuer: &str) -> Result<Self, String> {
        let failed = |error: BuildError| error.to_string();
        let builder = || Verifier::builder(issuer, issuer).leeway_seconds(0);
        let all_forms = builder().allow_never_expiring(true).allow_bound(true);
        Ok(Self {
            for_us: builder().checks().map_err(failed)?,
            for_anyone: all_forms.checks().map_err(failed)?.any_audience(),
        })
    }
}

/// What tells kinds of tokens apart (RFC 8725 §3.11), and who signed.
#[derive(Deserialize)]
struct Header<'a> {
    kid: &'a str,
    typ: &'a str,
}

impl Issuer {
    /// The claims of an access token of our own that is meant for us (`aud` holds the issuer), if it holds now. Says
    /// nothing of whether its client still may.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify_own(&self, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        self.own_checks.for_us.verify(token, &self.ring.key_set(), self.kernel.clock.now())
    }

    /// The same for an access token of our own whoever it is meant for, never-expiring ones in both forms and bound ones
    /// included: whether the proof comes with it (`cnf`) is for the caller to ask. For those who answer for our tokens:
    /// introspection, revocation, forward-auth.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify_for_anyone(&self, _: Confirmed, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        self.own_checks.for_anyone.verify(token, &self.ring.key_set(), self.kernel.clock.now())
    }

    /// Whether `token` says of itself that it is another thing that is signed here: a status list, an introspection
    /// reply. By its header alone, so nothing may be given on the strength of it.
    pub fn is_other_kind(&self, token: &str) -> bool {
        let Some((header, _)) = token.split_once('.').filter(|_| token.len() <= MAX_TOKEN_BYTES) else {
            return false;
        };
        let Ok(json) = URL_SAFE_NO_PAD.decode(header) else { return false };
        serde_json::from_slice::<Header<'_>>(&json).is_ok_and(|header| {
            [TokenTyp::StatusList, TokenTyp::Introspection].iter().any(|kind| kind.as_str() == header.typ)
                && self.ring.published(header.kid).is_some()
        })
    }
}
