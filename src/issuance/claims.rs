//! The claims of an access token as JSON (RFC 9068 §2.2).
//!
//! Most tokens of a client differ in `iat`, `exp` and `jti` alone: stateless ones of everything it is granted. What they
//! share is written once and kept with the client's credentials.

use std::io::Write as _;

use mintmark_verifier::claims::{ClaimsRef, Status, StatusList};

use crate::clients::{ClaimsAround, Credentials};
use crate::model::clock::UnixSeconds;
use crate::model::grant::Grant;
use crate::model::status::Slot;
use crate::tokens::status_list_uri;

/// The claims that differ from token to token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) iat: UnixSeconds,
    pub(super) exp: Option<UnixSeconds>,
    pub(super) jti: &'a str,
    pub(super) never_expires: bool,
}

/// Bytes reserved for claims: enough for most tokens.
const CAPACITY: usize = 1024;

/// The claims of a token of `grant` whose status is published at `slot`.
pub(super) fn claims(
    issuer: &str,
    client: &Credentials,
    grant: &Grant,
    slot: Option<Slot>,
    own: Own<'_>,
) -> serde_json::Result<Vec<u8>> {
    // The status list is published below the issuer (draft-ietf-oauth-status-list-21 §6.1).
    let uri = slot.map(|slot| status_list_uri(issuer, slot.list));
    let claims = ClaimsRef {
        iss: issuer,
        sub: &client.client_id,
        client_id: &client.client_id,
        aud: &*grant.audiences,
        iat: own.iat,
        exp: own.exp,
        jti: own.jti,
        scope: &grant.scope,
        workspace_id: &client.workspace_id,
        products: &*grant.products,
        never_expires: own.never_expires,
        status: slot
            .zip(uri.as_deref())
            .map(|(slot, uri)| Status { status_list: StatusList { idx: u64::from(slot.idx), uri } }),
        cnf: None,
    };
    let mut json = Vec::with_capacity(CAPACITY);
    serde_json::to_writer(&mut json, &claims)?;
    Ok(json)
}

/// The claims of the usual token of `client`: of all it is granted, expiring, with the status of its generation.
pub(super) fn usual_claims(
    issuer: &str,
    client: &Credentials,
    iat: UnixSeconds,
    exp: UnixSeconds,
    jti: &str,
) -> serde_json::Result<Vec<u8>> {
    let own = Own { iat, exp: Some(exp), jti, never_expires: false };
    match client.usual_claims.get_or_init(|| around(issuer, client)) {
        Some(ClaimsAround { before, after }) => {
            let mut json = Vec::with_capacity(before.len() + after.len() + 96);
            json.extend_from_slice(before.as_bytes());
            // Ids of tokens are base64url, which JSON takes as it is.
            write!(json, "\"iat\":{iat},\"exp\":{exp},\"jti\":\"{jti}\"").map_err(serde_json::Error::io)?;
            json.extend_from_slice(after.as_bytes());
            Ok(json)
        }
        None => claims(issuer, client, &client.offer.whole, client.slot, own),
    }
}

/// What [`claims`] writes around the claims of its own. `None` if they are not next to each other.
fn around(issuer: &str, client: &Credentials) -> Option<ClaimsAround> {
    // No string of JSON holds quotes that are not escaped, so this occurs once.
    const OWN: &str = r#""iat":0,"exp":0,"jti":"""#;
    let own = Own { iat: 0, exp: Some(0), jti: "", never_expires: false };
    let json = claims(issuer, client, &client.offer.whole, client.slot, own).ok()?;
    let (before, after) = std::str::from_utf8(&json).ok()?.split_once(OWN)?;
    Some(ClaimsAround { before: before.into(), after: after.into() })
}
