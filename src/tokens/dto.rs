//! Recorded tokens as JSON, for the management API and the command line. The token itself is not stored.

use serde::{Serialize, Serializer};

use crate::model::clock::{UnixSeconds, rfc3339};
use crate::model::token::RecordedToken;

#[derive(Serialize)]
struct TokenDto<'a> {
    jti: &'a str,
    client_id: &'a str,
    scope: &'a str,
    products: Vec<&'a str>,
    kid: &'a str,
    #[serde(with = "rfc3339")]
    issued_at: UnixSeconds,
    #[serde(with = "rfc3339::option")]
    expires_at: Option<UnixSeconds>,
    #[serde(with = "rfc3339::option")]
    revoked_at: Option<UnixSeconds>,
    #[serde(with = "rfc3339::option")]
    last_introspected_at: Option<UnixSeconds>,
    issued_by: &'a str,
}

impl Serialize for RecordedToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = TokenDto {
            jti: &self.jti,
            client_id: &self.client_id,
            scope: &self.scope,
            products: self.products.split_ascii_whitespace().collect(),
            kid: &self.kid,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            last_introspected_at: self.last_introspected_at,
            issued_by: &self.issued_by,
        };
        dto.serialize(serializer)
    }
}
