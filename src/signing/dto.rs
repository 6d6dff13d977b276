//! Signing keys as JSON, for the management API and the command line, without the private key.

use serde::{Serialize, Serializer};

use super::KeyRecord;
use crate::model::clock::{UnixSeconds, rfc3339};
use crate::model::key::Alg;

#[derive(Serialize)]
struct KeyDto<'a> {
    kid: &'a str,
    alg: Alg,
    use_for: &'static str,
    phase: &'static str,
    #[serde(with = "rfc3339")]
    created_at: UnixSeconds,
    #[serde(with = "rfc3339")]
    activates_at: UnixSeconds,
    live_tokens: i64,
}

impl Serialize for KeyRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { key, live_tokens } = self;
        let dto = KeyDto {
            kid: &key.kid,
            alg: key.alg,
            use_for: key.use_for.as_str(),
            phase: key.phase.as_str(),
            created_at: key.created_at,
            activates_at: key.activates_at,
            live_tokens: *live_tokens,
        };
        dto.serialize(serializer)
    }
}
