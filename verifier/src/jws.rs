//! The compact serialisation (RFC 7515 §7.1) of tokens and status lists taken apart, and the header rules that need no key: `typ` (RFC
//! 9068 §2.1, RFC 8725 §3.11), `alg` (RFC 8725 §3.1), `crit` (RFC 7515 §4.1.11), `kid`. Members that would
//! bring a key of their own (`jwk`, `jku`, `x5u`, `x5c`) are never read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;

use crate::claims::present;
use crate::json;
use crate::keys::{ALGORITHMS, Key};
use crate::{KeySet, VerifyError};

/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A longer `kid` is not looked for: the issuer's are 43 characters (RFC 7638).
const MAX_KID_BYTES: usize = 128;

/// What the header's `typ` says the token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typ {
    /// `at+jwt`: an access token with an `exp`.
    AccessToken,
    /// `JWT`: said of an access token without `exp`, which may not call itself `at+jwt`.
    Jwt,
    /// `statuslist+jwt`: a status list (Token Status List, draft-21 §5.1).
    StatusList,
}

/// A token whose header is in order and of which nothing else is known.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    pub(crate) typ: Typ,
    pub(crate) alg: &'static str,
    pub(crate) kid: String,
    /// The bytes that were signed.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
    payload: &'t str,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default, deserialize_with = "present")]
    alg: Option<String>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

impl<'t> Unverified<'t> {
    /// Takes a token of any kind apart, however long, and checks its header.
    pub(crate) fn parse(token: &'t str) -> Result<Self, VerifyError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_THREE_PARTS)?;
        let (header, payload) = signed.split_once('.').ok_or(NOT_THREE_PARTS)?;
        if payload.contains('.') {
            return Err(NOT_THREE_PARTS);
        }
        let header: Header = json::strict(&decode(header)?)
            .map_err(|_| VerifyError::Malformed("its header is not a proper JSON object"))?;
        let typ = header.typ.as_deref().and_then(read_typ).ok_or(VerifyError::WrongType)?;
        if header.crit.is_some() {
            return Err(VerifyError::Malformed("it demands an extension (crit) that is not known here"));
        }
        let named = |known: &str| header.alg.as_deref() == Some(known);
        let alg = ALGORITHMS.into_iter().map(|(alg, _)| alg).find(|alg| named(alg));
        let alg = alg.ok_or(VerifyError::AlgorithmRefused)?;
        let kid = header.kid.ok_or(VerifyError::Malformed("its header names no key (kid)"))?;
        // No such key can exist, so the issuer need not be asked for it.
        if kid.is_empty() || kid.len() > MAX_KID_BYTES || !kid.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(VerifyError::UnknownKey);
        }
        Ok(Self { typ, alg, kid, signed: signed.as_bytes(), signature: decode(signature)?, payload })
    }

    /// The key of `keys` that has signed it.
    pub(crate) fn signer<'k>(&self, keys: &'k KeySet) -> Result<&'k Arc<Key>, VerifyError> {
        let key = keys.get(&self.kid).ok_or(VerifyError::UnknownKey)?;
        if key.alg != self.alg {
            return Err(VerifyError::AlgorithmRefused);
        }
        if key.verifier.is_valid(self.signed, &self.signature) {
            Ok(key)
        } else {
            Err(VerifyError::BadSignature)
        }
    }

    /// The bytes of the claims. Only after the signature has been checked do they mean anything.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, VerifyError> {
        decode(self.payload)
    }
}

const NOT_THREE_PARTS: VerifyError = VerifyError::Malformed("it has not three parts");

/// base64url without padding, line breaks or stray bits (RFC 7515 §2).
fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::Malformed("a part is not base64url"))
}

/// Media types compare without case, and `application/` may be left out (RFC 7515 §4.1.9).
fn read_typ(typ: &str) -> Option<Typ> {
    let is = |name: &str| typ.eq_ignore_ascii_case(name);
    if is("at+jwt") || is("application/at+jwt") {
        Some(Typ::AccessToken)
    } else if is("JWT") {
        Some(Typ::Jwt)
    } else if is("statuslist+jwt") || is("application/statuslist+jwt") {
        Some(Typ::StatusList)
    } else {
        None
    }
}
