//! The official crate of Standard Webhooks, which knows only `v1` signatures, verifies a request that the service sent to
//! `tests/interop/test_webhooks.py`.

use serde::Deserialize;
use standardwebhooks::Webhook;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Request {
    headers: BTreeMap<String, String>,
    body: String,
    secrets: Vec<String>,
}

#[test]
fn webhook_is_verified_by_the_official_crate() {
    // Only `test_webhooks.py` sets this variable. A run of the other tests has no request to verify.
    let Ok(request) = std::env::var("MINTMARK_WEBHOOK") else { return };
    let request: Request = serde_json::from_str(&request).unwrap();
    let mut headers = http::HeaderMap::new();
    for (name, value) in request.headers.iter().filter(|(name, _)| name.starts_with("webhook-")) {
        headers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    for secret in &request.secrets {
        let webhook = Webhook::new(secret).unwrap();
        webhook.verify(request.body.as_bytes(), &headers).unwrap();
        webhook.verify(b"another body", &headers).unwrap_err();
        headers.insert("webhook-id", "another".parse().unwrap());
        webhook.verify(request.body.as_bytes(), &headers).unwrap_err();
        headers.insert("webhook-id", request.headers["webhook-id"].parse().unwrap());
    }
}
