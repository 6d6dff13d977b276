//! Token requests, and checks of what every reply of the token endpoint must have (RFC 6749 §5.1, §5.2): `docs/conformance.md`
//! T1, T2, T6, T23 and T27.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::support::{Credentials, Reply, TestApp};

/// The path of the token endpoint.
pub(super) const TOKEN: &str = "/oauth2/token";

/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The shortest body that asks for a token.
pub(super) const GRANT: &str = "grant_type=client_credentials";

/// A token from a reply.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: String,
    /// The whole body of the reply.
    pub(super) reply: Value,
    pub(super) header: Value,
    pub(super) claims: Value,
}

/// Checks that `reply` is a successful token response (RFC 6749 §5.1). Returns its token.
pub(super) fn issued(reply: &Reply) -> Token {
    assert_eq!(reply.status, 200, "{reply:?}");
    always(reply);
    let body = reply.json();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    for member in &members {
        assert!(["access_token", "token_type", "expires_in", "scope"].contains(&member.as_str()), "{body}");
    }
    assert_eq!(body["token_type"], "Bearer", "{body}");
    assert!(body["scope"].as_str().is_some_and(|scope| !scope.is_empty()), "{body}");
    // At most a year.
    if let Some(expires_in) = body.get("expires_in") {
        assert!(expires_in.as_i64().is_some_and(|seconds| (1..=31_536_000).contains(&seconds)), "{body}");
    }
    let text = body["access_token"].as_str().unwrap().to_owned();
    let mut parts = text.split('.');
    let mut part = || {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let (header, claims) = (part(), part());
    assert_eq!(text.split('.').count(), 3);
    Token { header, claims, reply: body, text }
}

/// Checks that `reply` is an error response with this status and this error code (RFC 6749 §5.2).
#[track_caller]
pub(super) fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    always(reply);
    let body = reply.json();
    assert_eq!(body["error"], code, "{reply:?}");
    let members = body.as_object().unwrap();
    assert!(members.keys().all(|name| name == "error" || name == "error_description"), "{body}");
    // RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E.
    let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(body["error_description"].as_str().unwrap().bytes().all(allowed), "{body}");
    match status {
        401 => {
            assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"mintmark\", charset=\"UTF-8\""));
        }
        405 => assert_eq!(reply.header("allow"), Some("POST")),
        429 | 503 => {
            let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{reply:?}");
        }
        _ => {}
    }
    if status != 401 {
        assert_eq!(reply.header("www-authenticate"), None);
    }
}

/// Checks the reply to a request that has no valid credentials, or those of a client that gets no tokens (a disabled one, for
/// example).
#[track_caller]
pub(super) fn invalid_client(reply: &Reply) {
    refused(reply, 401, "invalid_client");
}

/// Checks the reply to a request that is wrong by itself, for any client.
#[track_caller]
pub(super) fn invalid_request(reply: &Reply) {
    refused(reply, 400, "invalid_request");
}

/// Checks what every JSON reply of the token, introspection and revocation endpoints has.
#[track_caller]
pub(super) fn always(reply: &Reply) {
    assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
    uncached(reply);
}

/// Checks what every reply of these endpoints and of forward-auth has.
#[track_caller]
pub(super) fn uncached(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    assert_eq!(reply.header("pragma"), Some("no-cache"), "{reply:?}");
    assert_eq!(reply.header("x-request-id").map(str::len), Some(22), "{reply:?}");
    let of_cors = reply.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(of_cors.count(), 0, "{reply:?}");
}

/// The value of an `Authorization` header with these bytes as credentials: encoded in base64, and not form-encoded first.
pub(super) fn basic(credentials: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// `id:secret`.
pub(super) fn pair(client: &Credentials) -> String {
    format!("{}:{}", client.client_id, client.client_secret)
}

/// A POST to the token endpoint with this body and the media type of a form.
pub(super) fn post(app: &TestApp, body: impl Into<Vec<u8>>) -> RequestBuilder {
    app.request(Method::POST, TOKEN).header("content-type", FORM).body(body.into())
}

/// A POST by this client, which authenticates by Basic.
pub(super) fn post_as(app: &TestApp, client: &Credentials, body: impl Into<Vec<u8>>) -> RequestBuilder {
    post(app, body).header("authorization", basic(pair(client)))
}

/// The reply to [`post_as`].
pub(super) async fn reply_as(app: &TestApp, client: &Credentials, body: impl Into<Vec<u8>>) -> Reply {
    Reply::to(post_as(app, client, body)).await
}

/// Percent-encodes every byte, which a form decoder must undo.
pub(super) fn fully_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
}
