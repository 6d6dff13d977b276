//! Verifies an ID token (OpenID Connect Core 1.0 §3.1.3.7) and reads its claims. These functions are pure: they get the token,
//! the keys and the expected values.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::keys::{Keys, algorithm};
use super::refused::Refused;
use crate::model::clock::UnixSeconds;

/// How far clocks may differ, in seconds.
const LEEWAY: i64 = 60;
/// The greatest age of a token, in seconds. It is issued in the exchange that just took place.
const AGE_MAX: i64 = 600;
/// The most bytes of a token.
const TOKEN_MAX: usize = 64 * 1024;
/// The most bytes of `sub` (OpenID Connect Core 1.0 §2).
const SUBJECT_MAX: usize = 255;

/// What the claims of a token must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// The earliest time at which the person may have proved who they are; `None` if any time will do.
    pub(super) authenticated_since: Option<UnixSeconds>,
    pub(super) now: UnixSeconds,
}

/// The claims of a verified token.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct IdToken {
    pub(super) subject: String,
    /// The claims that are not among those of [`Claims`], as they came.
    claims: Map<String, Value>,
}

impl IdToken {
    /// A claim that is text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// The values of a claim that is text or a list. Elements of the list that are not text are left out.
    pub(super) fn list(&self, claim: &str) -> Vec<String> {
        match self.claims.get(claim) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// The claims that are checked, and the others. A checked claim of the wrong type is refused, not treated as absent.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: Number,
    iat: Number,
    nbf: Option<Number>,
    nonce: String,
    auth_time: Option<Number>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Verifies a token and returns what it says.
pub(super) fn verify(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<IdToken, Refused> {
    if token.len() > TOKEN_MAX {
        return Err(Refused::Malformed("it is longer than 64 KiB"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::Malformed("it does not have three parts"));
    };
    let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default();
    let header: Header = serde_json::from_slice(&decode(header)?)
        .map_err(|_| Refused::Malformed("its header is not JSON with alg"))?;
    algorithm(&header.alg)?;
    if header.crit.is_some() {
        return Err(Refused::Malformed("it requires an extension (crit)"));
    }
    // Access tokens and logout tokens of the same provider have other types (RFC 8725 §3.11).
    if header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return Err(Refused::Malformed("its type is not that of an ID token (typ)"));
    }
    keys.verify((&header.alg, header.kid.as_deref()), signed.as_bytes(), &decode(signature)?)?;
    let claims: Claims = serde_json::from_slice(&decode(payload)?)
        .map_err(|_| Refused::Malformed("a claim is missing or has the wrong type"))?;
    check(claims, expected)
}

fn check(claims: Claims, expected: &Expected<'_>) -> Result<IdToken, Refused> {
    if claims.iss != expected.issuer {
        return Err(Refused::Issuer);
    }
    let audience = match claims.aud {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    };
    if !audience.iter().any(|audience| audience == expected.client_id) {
        return Err(Refused::Audience);
    }
    // A token for several audiences must name the client that it was issued to (`azp`).
    if claims.azp.as_deref().map_or(audience.len() > 1, |azp| azp != expected.client_id) {
        return Err(Refused::AuthorizedParty);
    }
    if seconds(&claims.exp)? <= expected.now - LEEWAY {
        return Err(Refused::Expired);
    }
    let issued = seconds(&claims.iat)?;
    let not_before = claims.nbf.as_ref().map(seconds).transpose()?.unwrap_or(issued);
    if issued.max(not_before) > expected.now + LEEWAY || issued < expected.now - AGE_MAX - LEEWAY {
        return Err(Refused::IssuedAt);
    }
    if claims.nonce != expected.nonce {
        return Err(Refused::Nonce);
    }
    let auth_time = claims.auth_time.as_ref().map(seconds).transpose()?;
    if expected.authenticated_since.is_some_and(|since| auth_time.is_none_or(|at| at < since - LEEWAY)) {
        return Err(Refused::AuthTime);
    }
    if claims.sub.is_empty() || claims.sub.len() > SUBJECT_MAX || claims.sub.chars().any(char::is_control) {
        return Err(Refused::Malformed("its subject is empty, too long or not text (sub)"));
    }
    Ok(IdToken { subject: claims.sub, claims: claims.rest })
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction.
fn seconds(number: &Number) -> Result<UnixSeconds, Refused> {
    const WRONG: Refused = Refused::Malformed("a time is out of range");
    if let Some(whole) = number.as_i64() {
        return if whole.unsigned_abs() < 1 << 52 { Ok(whole) } else { Err(WRONG) };
    }
    let text = number.as_f64().filter(|seconds| seconds.abs() < 4e15).ok_or(WRONG)?.floor().to_string();
    text.parse().map_err(|_| WRONG)
}

fn decode(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed("a part is not base64url"))
}
