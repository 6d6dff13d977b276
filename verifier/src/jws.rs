//! Parses the compact serialisation (RFC 7515 §7.1) of tokens and status lists, and checks the header as far as no key
//! is needed: `typ` (RFC 9068 §2.1, RFC 8725 §3.11), `alg` (RFC 8725 §3.1), `crit` (RFC 7515 §4.1.11), `kid`. Header
//! members that contain a key or say where one is (`jwk`, `jku`, `x5u`, `x5c`) are never read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;

use crate::claims::present;
use crate::json;
use crate::keys::{ALGORITHMS, Key};
use crate::{KeySet, VerifyError};

/// The size limit of a token.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The size limit of a `kid`. Mintmark's are 43 characters long (RFC 7638).
const MAX_KID_BYTES: usize = 128;

/// The `typ` values of access tokens and status lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typ {
    /// `at+jwt`: an access token with `exp`.
    AccessToken,
    /// `JWT`: an access token without `exp`. RFC 9068 requires `exp` of an `at+jwt`.
    Jwt,
    /// `statuslist+jwt`: a status list (Token Status List, draft-21 §5.1).
    StatusList,
}

/// A parsed JWS with a valid header. Its signature and payload are not checked yet.
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
    /// Parses a JWS of any length whose `typ` is one of [`Typ`], and checks its header.
    pub(crate) fn parse(token: &'t str) -> Result<Self, VerifyError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_THREE_PARTS)?;
        let (header, payload) = signed.split_once('.').ok_or(NOT_THREE_PARTS)?;
        if payload.contains('.') {
            return Err(NOT_THREE_PARTS);
        }
        let header: Header = json::strict(&decode(header)?)
            .map_err(|_| VerifyError::Malformed("its header is not a JSON object with unique members"))?;
        let typ = header.typ.as_deref().and_then(read_typ).ok_or(VerifyError::WrongType)?;
        if header.crit.is_some() {
            return Err(VerifyError::Malformed("it requires an extension (crit) that is not supported"));
        }
        let named = |known: &str| header.alg.as_deref() == Some(known);
        let alg = ALGORITHMS.into_iter().map(|(alg, _)| alg).find(|alg| named(alg));
        let alg = alg.ok_or(VerifyError::AlgorithmRefused)?;
        let kid = header.kid.ok_or(VerifyError::Malformed("its header has no kid"))?;
        // No key of the issuer has such a `kid`, so a fetch would be pointless.
        if kid.is_empty() || kid.len() > MAX_KID_BYTES || !kid.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(VerifyError::UnknownKey);
        }
        Ok(Self { typ, alg, kid, signed: signed.as_bytes(), signature: decode(signature)?, payload })
    }

    /// The key of `keys` that signed it.
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

    /// The bytes of the payload. Call [`Self::signer`] first: before that they may be forged.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, VerifyError> {
        decode(self.payload)
    }
}

/// Refuses a token that is longer than [`MAX_TOKEN_BYTES`].
pub(crate) fn check_length(token: &str) -> Result<(), VerifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(VerifyError::Malformed("it is longer than 16 KiB"));
    }
    Ok(())
}

const NOT_THREE_PARTS: VerifyError = VerifyError::Malformed("it does not have three parts");

/// base64url without padding, line breaks or unused bits that are set (RFC 7515 §2).
fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::Malformed("a part is not base64url"))
}

/// Media types are compared without case, and `application/` may be omitted (RFC 7515 §4.1.9). `JWT` is accepted only without
/// `application/`.
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
