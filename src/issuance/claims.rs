//! The claims of an access token as JSON (RFC 9068 §2.2).
//!
//! The names and the order of the claims are those of the verifier's `ClaimsRef`; a test compares the two. Most of the text
//! is the same in many tokens: what depends only on the issuer is written once for all tokens, and the claims of all that a
//! client is granted are written once, when its `Offer` is made.

use crate::model::clock::UnixSeconds;
use crate::model::grant::GrantClaims;
use crate::model::status::Slot;
use crate::model::status::status_list_uri;

/// All claims but the issuer and those of the grant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) client_id: &'a str,
    pub(super) workspace_id: &'a str,
    pub(super) iat: UnixSeconds,
    pub(super) exp: Option<UnixSeconds>,
    pub(super) jti: &'a str,
    pub(super) never_expires: bool,
    /// Where the status of the token is published; `None` leaves out `status`.
    pub(super) slot: Option<Slot>,
}

/// Writes the claims of one issuer's tokens.
#[derive(Debug)]
pub(super) struct ClaimsWriter {
    /// The issuer as a JSON string, with its quotes.
    iss: Box<str>,
    /// The URI of a status list as a JSON string, from the opening quote up to the number of the list.
    status_list: Box<str>,
}

/// Bytes that the names, the numbers and the `jti` take, rounded up.
const FIXED: usize = 288;

impl ClaimsWriter {
    pub(super) fn new(issuer: &str) -> Self {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        // The URI of a status list (draft-ietf-oauth-status-list-21 §6.2) begins with the issuer.
        let status_list = json(&status_list_uri(issuer, 0));
        let status_list = status_list.strip_suffix("0\"").unwrap_or(&status_list);
        Self { iss: json(issuer).into(), status_list: status_list.into() }
    }

    /// The claims of one token.
    pub(super) fn write(&self, grant: &GrantClaims, own: Own<'_>) -> Vec<u8> {
        // Ids of clients, workspaces and tokens have only characters that JSON does not escape.
        let Own { client_id, workspace_id, iat, exp, jti, never_expires, slot } = own;
        let length = [&*self.iss, &*self.status_list, client_id, client_id, workspace_id, &*grant.aud];
        let length = length.iter().map(|text| text.len()).sum::<usize>();
        let mut json = Json(Vec::with_capacity(FIXED + length + grant.scope.len() + grant.products.len()));
        json.text(&["{\"iss\":", &self.iss, ",\"sub\":\"", client_id, "\",\"client_id\":\"", client_id]);
        json.text(&["\",\"aud\":", &grant.aud, ",\"iat\":"]).number(iat);
        if let Some(exp) = exp {
            json.text(&[",\"exp\":"]).number(exp);
        }
        json.text(&[",\"jti\":\"", jti, "\",\"scope\":", &grant.scope]);
        json.text(&[",\"workspace_id\":\"", workspace_id, "\",\"products\":", &grant.products]);
        if never_expires {
            json.text(&[",\"never_expires\":true"]);
        }
        if let Some(slot) = slot {
            json.text(&[",\"status\":{\"status_list\":{\"idx\":"]).number(slot.idx);
            json.text(&[",\"uri\":", &self.status_list]).number(slot.list).text(&["\"}}"]);
        }
        json.text(&["}"]);
        json.0
    }
}

/// A JSON text that is being written.
struct Json(Vec<u8>);

impl Json {
    fn text(&mut self, texts: &[&str]) -> &mut Self {
        for text in texts {
            self.0.extend_from_slice(text.as_bytes());
        }
        self
    }

    fn number(&mut self, number: impl Into<i64>) -> &mut Self {
        // Writing a number to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, &number.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mintmark_verifier::claims::{ClaimsRef, Status, StatusList};

    use super::*;
    use crate::model::grant::{Grant, Grantable};

    fn part(scope: &str, audience: &str, is_permission: bool) -> Grantable {
        let audience = Arc::from(audience);
        Grantable {
            scope: scope.into(),
            audience,
            is_permission,
            lifetime_max: None,
            never_expires_allowed: true,
        }
    }

    #[test]
    fn claims_are_written_as_the_verifier_names_and_orders_them() {
        let issuer = "https://h.example/a\"b";
        let writer = ClaimsWriter::new(issuer);
        let parts = [
            part("gst", "https://é.example/\"\\", false),
            part("e-invoicing", "https://b.example", false),
            part("mintmark:read", issuer, true),
        ];
        for count in 0..=parts.len() {
            let grant = Grant::of(&parts.iter().take(count));
            for (exp, never_expires, slot) in [
                (Some(2), false, Some(Slot { list: 3, idx: 131_071 })),
                (Some(i64::MAX), true, Some(Slot { list: i64::MAX, idx: 0 })),
                (None, true, None),
            ] {
                let own = Own {
                    client_id: "cl_1",
                    workspace_id: "acme-in",
                    iat: 1,
                    exp,
                    jti: "8Yy-_",
                    never_expires,
                    slot,
                };
                let uri = slot.map(|slot| status_list_uri(issuer, slot.list));
                let expected = ClaimsRef {
                    iss: issuer,
                    sub: own.client_id,
                    client_id: own.client_id,
                    aud: &*grant.audiences,
                    iat: own.iat,
                    exp,
                    jti: own.jti,
                    scope: &grant.scope,
                    workspace_id: own.workspace_id,
                    products: &*grant.products,
                    never_expires,
                    status: slot.zip(uri.as_deref()).map(|(slot, uri)| Status {
                        status_list: StatusList { idx: u64::from(slot.idx), uri },
                    }),
                    cnf: None,
                };
                let json = writer.write(&GrantClaims::of(&grant), own);
                assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&expected).unwrap());
            }
        }
    }

    #[test]
    fn the_reserved_memory_is_enough_for_the_longest_claims() {
        let writer = ClaimsWriter::new("https://h.example");
        let grant = GrantClaims { aud: "\"a\"".into(), scope: "\"s\"".into(), products: "[]".into() };
        let own = Own {
            client_id: "cl_1",
            workspace_id: "w",
            iat: i64::MIN,
            exp: Some(i64::MIN),
            jti: "1234567890123456789012",
            never_expires: true,
            slot: Some(Slot { list: i64::MIN, idx: u32::MAX }),
        };
        let json = writer.write(&grant, own);
        let length = [&*writer.iss, &*writer.status_list, "cl_1cl_1w", "\"a\"\"s\"[]"].concat().len();
        assert!(json.len() <= FIXED + length, "{} bytes, {} reserved", json.len(), FIXED + length);
    }
}
