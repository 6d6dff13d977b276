//! The management API over real HTTP: a file for each resource, and files for what the resources share.

mod access_tokens;
mod api_client_rules;
mod api_clients;
mod audit_events;
mod auth;
mod batches;
mod bodies;
mod client_lists;
mod descriptions;
mod idempotency;
mod operators;
mod pages;
mod preconditions;
mod privilege_escalation;
mod products;
mod routes;
mod secrets;
mod secrets_shown;
mod token_lists;
mod webhooks;
mod workspaces;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::support::TestApp;

/// A second app on the database of `app` with the same issuer: another replica.
pub(crate) async fn replica_of(app: &TestApp) -> TestApp {
    app.replica(&format!("server.public_url = {:?}", app.base)).await
}

/// A reply in parts: status, headers by lower-case name, and the body as text.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Reply {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// Sends a request and reads the reply.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        Self::of(request.send().await.unwrap()).await
    }

    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The pointers of a problem's errors, in order.
    pub(crate) fn pointers(&self) -> Vec<String> {
        let body = self.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

/// Checks that a reply has that status and is JSON, and returns its body.
#[track_caller]
pub(crate) fn ok(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(!reply.header("x-request-id").is_empty());
    reply.json()
}

/// Checks that a reply is a problem of that status and kind, and returns its body.
#[track_caller]
pub(crate) fn problem(reply: &Reply, status: u16, slug: &str) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text);
    let body = reply.json();
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(body["type"], format!("https://mintmark.dev/problems/{slug}"), "{body}");
    assert_eq!(body["status"], status);
    assert_eq!(body["request_id"], reply.header("x-request-id"), "{body}");
    assert!(!reply.header("x-request-id").is_empty());
    for member in ["title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
    }
    body
}

/// Checks that a reply refuses a request because of invalid fields: exactly those with these pointers, in any order.
#[track_caller]
pub(crate) fn broken(reply: &Reply, pointers: &[&str]) {
    problem(reply, 422, "validation");
    let mut found = reply.pointers();
    found.sort_unstable();
    let mut expected = pointers.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{}", reply.text);
}
