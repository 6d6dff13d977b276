//! How a recorded token reads as JSON.

use serde_json::{Value, json};

use crate::kernel::Representation;
use crate::model::clock::to_rfc3339;
use crate::model::token::RecordedToken;

/// The token itself is not on record.
impl Representation for RecordedToken {
    fn to_json(&self) -> Value {
        json!({
            "jti": self.jti,
            "scope": self.scope,
            "products": self.products.split_ascii_whitespace().collect::<Vec<_>>(),
            "kid": self.kid,
            "issued_at": to_rfc3339(self.issued_at),
            "expires_at": self.expires_at.map(to_rfc3339),
            "revoked_at": self.revoked_at.map(to_rfc3339),
            "last_introspected_at": self.last_introspected_at.map(to_rfc3339),
            "issued_by": self.issued_by,
        })
    }
}
