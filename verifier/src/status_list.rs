//! Verifies and reads a signed Token Status List (draft-21 §5.1): its `typ`, the signature by one of the issuer's keys,
//! and that it is the requested list.

use serde::Deserialize;
use std::sync::Arc;

use crate::claims::{numeric_date, object, present};
use crate::json;
use crate::jws::{Typ, Unverified};
use crate::keys::Key;
use crate::{KeySet, Slots, VerifyError};

/// A list with a valid signature and valid claims.
pub(crate) struct StatusList {
    pub(crate) slots: Slots,
    /// The key that signed it. The list is usable only while this key is published.
    pub(crate) key: Arc<Key>,
    /// For how many seconds it may be used; positive.
    pub(crate) ttl: i64,
    /// When it was signed, Unix seconds.
    pub(crate) iat: i64,
    /// When it expires, Unix seconds.
    pub(crate) exp: i64,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    sub: String,
    #[serde(deserialize_with = "numeric_date")]
    iat: i64,
    #[serde(deserialize_with = "numeric_date")]
    exp: i64,
    ttl: u32,
    #[serde(deserialize_with = "object")]
    status_list: Encoded,
}

#[derive(Deserialize)]
struct Encoded {
    bits: u64,
    lst: String,
}

/// Parses an answer as a signed list. The signature is not checked yet.
pub(crate) fn open(body: &[u8]) -> Result<Unverified<'_>, &'static str> {
    let text = str::from_utf8(body).map_err(|_| NOT_A_JWS)?;
    let jws = Unverified::parse(text).map_err(|error| why(&error))?;
    if jws.typ == Typ::StatusList { Ok(jws) } else { Err(NOT_A_LIST) }
}

/// The list, if it is that of `issuer` at `uri` and signed by one of `keys`. The caller checks its times.
pub(crate) fn read(
    jws: &Unverified<'_>,
    keys: &KeySet,
    issuer: &str,
    uri: &str,
) -> Result<StatusList, &'static str> {
    let key = jws.signer(keys).map_err(|error| why(&error))?;
    let payload = jws.payload().map_err(|error| why(&error))?;
    let claims: Claims = json::strict(&payload).map_err(|_| "its claims are not valid for a status list")?;
    if claims.sub != uri {
        return Err("its sub is the URI of another list");
    }
    if claims.iss.is_some_and(|iss| iss != issuer) {
        return Err("its iss is another issuer");
    }
    if claims.ttl == 0 {
        return Err("its ttl is not positive");
    }
    let slots = Slots::decode(claims.status_list.bits, &claims.status_list.lst)?;
    Ok(StatusList {
        slots,
        key: Arc::clone(key),
        ttl: i64::from(claims.ttl),
        iat: claims.iat,
        exp: claims.exp,
    })
}

const NOT_A_JWS: &str = "it is not a signed status list";
const NOT_A_LIST: &str = "its typ is not statuslist+jwt";

/// An error of a token, worded for a list.
fn why(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::WrongType => NOT_A_LIST,
        VerifyError::AlgorithmRefused => "its alg is not that of its key",
        VerifyError::UnknownKey => "its kid is not in the issuer's key set",
        VerifyError::BadSignature => "its signature is not valid",
        _ => NOT_A_JWS,
    }
}
