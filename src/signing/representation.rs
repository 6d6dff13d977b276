//! How a signing key reads as JSON.

use serde_json::{Value, json};

use super::KeyRecord;
use crate::kernel::Representation;
use crate::model::clock::to_rfc3339;

/// The private half is no part of it.
impl Representation for KeyRecord {
    fn to_json(&self) -> Value {
        let key = &self.key;
        json!({
            "kid": key.kid,
            "alg": key.alg.as_str(),
            "use_for": key.use_for.as_str(),
            "phase": key.phase.as_str(),
            "created_at": to_rfc3339(key.created_at),
            "activates_at": to_rfc3339(key.activates_at),
            "live_tokens": self.live_tokens,
        })
    }
}
