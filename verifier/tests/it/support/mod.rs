//! Shared by the tests: keys that sign (the crate itself only verifies), an issuer without a network, a clock that the
//! test moves.

mod issuer;
mod signer;

pub(crate) use issuer::{FakeIssuer, JWKS_URI, LIST, METADATA, TestClock};
pub(crate) use signer::{TestKey, keys};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use mintmark_verifier::{Verifier, VerifierBuilder, VerifyError};
use serde_json::{Value, json};
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::task::JoinSet;

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

/// The claims of a valid status list, signed now for an hour, with a `ttl` of a minute.
pub(crate) fn list_claims(status_list: &Value) -> Value {
    json!({"sub": LIST, "iat": NOW, "exp": NOW + 3600, "ttl": 60, "status_list": status_list})
}

/// A list of 8192 entries of `bits` bits, all 0 except those in `set`.
pub(crate) fn slots(bits: usize, set: &[(usize, u8)]) -> Value {
    let mut bytes = vec![0; 8192 * bits / 8];
    for (idx, value) in set {
        bytes[idx * bits / 8] |= value << (idx * bits % 8);
    }
    json!({"bits": bits, "lst": b64(zlib(&bytes))})
}

pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `object` with one member set.
pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// `object` without one member.
pub(crate) fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

/// A verifier of `issuer` with `clock`, without leeway, so that tests see the exact limits of the times.
pub(crate) fn builder(issuer: &FakeIssuer, clock: &TestClock) -> VerifierBuilder {
    let clock = clock.clone();
    Verifier::builder(ISSUER, AUDIENCE).leeway_seconds(0).fetch(issuer.clone()).clock(move || clock.now())
}

/// Verifies many tokens at the same time.
pub(crate) async fn all(
    verifier: &Arc<Verifier>,
    tokens: impl IntoIterator<Item = String>,
) -> Vec<Result<(), VerifyError>> {
    let mut tasks = JoinSet::new();
    for token in tokens {
        let verifier = Arc::clone(verifier);
        tasks.spawn(async move { verifier.verify(&token).await.map(drop) });
    }
    tasks.join_all().await
}

/// Polls a few times, as a runtime would; `None` if the future is still pending.
pub(crate) async fn poll_some<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    for _ in 0..5 {
        let poll = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = poll {
            return Some(output);
        }
    }
    None
}
