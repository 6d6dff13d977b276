//! Verifies tokens that were issued here, with the verifier crate that other services use, against the published keys. For
//! the endpoints that take our tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mintmark_verifier::{AccessTokenClaims, BuildError, Checks, MAX_TOKEN_BYTES, Verifier, VerifyError};
use serde::Deserialize;

use super::Issuer;
use crate::ledger::Confirmed;
use crate::signing::handle::TokenTyp;

/// The checks of our own tokens.
#[derive(Debug)]
pub(super) struct OwnChecks {
    /// Tokens whose audience is this service.
    own_audience: Checks,
    /// Tokens of any audience.
    any_audience: Checks,
    /// Tokens of any audience that are to be revoked.
    to_revoke: Checks,
}

/// How far in the future `iat` and `nbf` may be, in seconds: the clock of the replica that issued the token may be ahead.
const START_LEEWAY: i64 = 60;

/// For how many seconds after its `exp` a token can still be revoked: by the clock of another replica it may be live.
const REVOKED_AFTER_END: u32 = 60;

impl OwnChecks {
    /// The checks of tokens issued by `issuer`.
    ///
    /// # Errors
    /// The reason, if the verifier does not accept the issuer identifier.
    pub(super) fn new(issuer: &str) -> Result<Self, String> {
        let failed = |error: BuildError| error.to_string();
        let builder = || Verifier::builder(issuer, issuer).leeway_seconds(0);
        let all_forms = || builder().allow_never_expiring(true).allow_bound(true);
        let any_audience = all_forms().checks().map_err(failed)?.any_audience();
        let to_revoke =
            all_forms().leeway_seconds(REVOKED_AFTER_END).checks().map_err(failed)?.any_audience();
        Ok(Self {
            own_audience: builder().checks().map_err(failed)?.start_leeway_seconds(START_LEEWAY),
            any_audience: any_audience.start_leeway_seconds(START_LEEWAY),
            to_revoke: to_revoke.start_leeway_seconds(i64::MAX),
        })
    }
}

/// The kind of a token (RFC 8725 §3.11), and the key that signed it.
#[derive(Deserialize)]
struct Header<'a> {
    kid: &'a str,
    typ: &'a str,
}

/// The modulus of a published RSA key, which has the length of the key's signatures. Other keys have no modulus.
#[derive(Deserialize)]
struct Modulus<'a> {
    kid: &'a str,
    n: Option<&'a str>,
}

#[derive(Deserialize)]
struct Moduli<'a> {
    #[serde(borrow)]
    keys: Vec<Modulus<'a>>,
}

/// The length of an ES256 or `EdDSA` signature in base64url: 64 bytes are 86 characters.
const SIGNATURE_CHARACTERS: usize = 86;

impl Issuer {
    /// The claims of a valid access token of ours whose audience is this service (`aud` contains the issuer). Whether it
    /// was revoked is not checked.
    ///
    /// # Errors
    /// Why the token is invalid.
    pub fn verify_own(&self, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        self.own_checks.own_audience.verify(token, &self.ring.key_set(), self.kernel.clock.now())
    }

    /// The claims of a valid access token of ours with any audience, including never-expiring tokens with and without `exp`.
    /// Also of a token that is bound to a key: the caller must refuse it or pass on its `cnf`. For introspection and
    /// forward-auth.
    ///
    /// # Errors
    /// Why the token is invalid.
    pub fn verify_any_audience(&self, _: Confirmed, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        self.own_checks.any_audience.verify(token, &self.ring.key_set(), self.kernel.clock.now())
    }

    /// Whether a token that did not verify was cut off: it does not have three parts, or its signature is shorter than the
    /// signatures of the key that its header names.
    #[cold]
    pub fn is_cut(&self, token: &str) -> bool {
        let mut parts = token.split('.');
        let (Some(header), Some(_), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return true;
        };
        if token.len() > MAX_TOKEN_BYTES {
            return false;
        }
        let Ok(json) = URL_SAFE_NO_PAD.decode(header) else { return false };
        let Ok(Header { kid, .. }) = serde_json::from_slice(&json) else { return false };
        let jwks = self.ring.jwks();
        let Ok(Moduli { keys }) = serde_json::from_str(&jwks.body) else { return false };
        let key = keys.iter().find(|key| key.kid == kid);
        // An RSA signature has as many bytes as the modulus (RFC 8017 §8), and both are in base64url.
        key.is_some_and(|key| signature.len() < key.n.map_or(SIGNATURE_CHARACTERS, str::len))
    }

    /// The claims of a token that is to be revoked. Any token with a signature of ours is accepted until a minute after its
    /// `exp`, even if it is not valid yet by this clock: otherwise it would become valid when the clock is corrected.
    ///
    /// # Errors
    /// Why the token is not accepted.
    pub fn verify_to_revoke(&self, _: Confirmed, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        self.own_checks.to_revoke.verify(token, &self.ring.key_set(), self.kernel.clock.now())
    }

    /// Whether `token` claims to be another kind of JWT that is signed here: a status list or an introspection response.
    /// Only its header is read, so nothing may be granted because of it.
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
