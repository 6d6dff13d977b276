//! What the tests share: keys that sign (the crate itself cannot), an issuer without a network, a clock that
//! is set.

mod issuer;
mod signer;

pub(crate) use issuer::{FakeIssuer, JWKS_URI, METADATA, TestClock};
pub(crate) use signer::{TestKey, keys};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mintmark_verifier::{Verifier, VerifierBuilder};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://tokens.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";
pub(crate) const NOW: i64 = 1_790_000_000;

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a good token, issued now for an hour.
pub(crate) fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "cl_1", "client_id": "cl_1", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 3600,
        "jti": "j1", "scope": "e-invoicing gst", "workspace_id": "acme-in", "products": ["e-invoicing", "gst"],
        "status": {"status_list": {"idx": 4711, "uri": "https://tokens.example.com/oauth2/status-lists/3"}},
    })
}

/// `object` with one member set.
pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// `object` with one member taken out.
pub(crate) fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

/// A verifier that asks `issuer`, by `clock`, with no leeway, so that the edges of the times show.
pub(crate) fn builder(issuer: &FakeIssuer, clock: &TestClock) -> VerifierBuilder {
    let clock = clock.clone();
    Verifier::builder(ISSUER, AUDIENCE).leeway_seconds(0).fetch(issuer.clone()).clock(move || clock.now())
}
