//! A Token Status List as the issuer signs it (draft-21 §5.1): read only by a key of the issuer's, of the type of
//! a list, for the URI it was asked under, and before its end.

use serde::Deserialize;
use std::sync::Arc;

use crate::claims::{numeric_date, object, present};
use crate::json;
use crate::jws::{Typ, Unverified};
use crate::keys::Key;
use crate::{KeySet, Slots, VerifyError};

/// A list whose signature and claims are good.
pub(crate) struct StatusList {
    pub(crate) slots: Slots,
    /// The key that has signed it: the list dies with it.
    pub(crate) key: Arc<Key>,
    /// For how long it may be used, seconds; positive.
    pub(crate) ttl: i64,
    /// When it ends, Unix seconds.
    pub(crate) exp: i64,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    sub: String,
    #[serde(rename = "iat", deserialize_with = "numeric_date")]
    _iat: i64,
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

/// The header of a list, in `body`.
pub(crate) fn open(body: &[u8]) -> Result<Unverified<'_>, &'static str> {
    let text = str::from_utf8(body).map_err(|_| NOT_A_JWS)?;
    let jws = Unverified::parse(text).map_err(|error| why(&error))?;
    if jws.typ == Typ::StatusList { Ok(jws) } else { Err(NOT_A_LIST) }
}

/// The list, if it is the one of `issuer` at `uri`, by one of `keys`. Whether it has ended is left to the caller.
pub(crate) fn read(
    jws: &Unverified<'_>,
    keys: &KeySet,
    issuer: &str,
    uri: &str,
) -> Result<StatusList, &'static str> {
    let key = jws.signer(keys).map_err(|error| why(&error))?;
    let payload = jws.payload().map_err(|error| why(&error))?;
    let claims: Claims = json::strict(&payload).map_err(|_| "its claims are not those of a status list")?;
    if claims.sub != uri {
        return Err("it is another list (sub)");
    }
    if claims.iss.is_some_and(|iss| iss != issuer) {
        return Err("it is of another issuer");
    }
    if claims.ttl == 0 {
        return Err("its ttl is not positive");
    }
    let slots = Slots::decode(claims.status_list.bits, &claims.status_list.lst)?;
    Ok(StatusList { slots, key: Arc::clone(key), ttl: i64::from(claims.ttl), exp: claims.exp })
}

const NOT_A_JWS: &str = "it is not a signed status list";
const NOT_A_LIST: &str = "its typ is not that of a status list";

/// The words for a token, said of a list.
fn why(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::WrongType => NOT_A_LIST,
        VerifyError::AlgorithmRefused => "its algorithm is not that of its key",
        VerifyError::UnknownKey => "its key is not among the issuer's",
        VerifyError::BadSignature => "its signature does not match",
        _ => NOT_A_JWS,
    }
}
