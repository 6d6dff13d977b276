//! What API clients did, and why they were refused (`docs/management-api.md`, "Usage and refused requests"): over HTTP, on
//! both engines.

mod counts;
mod failures;
mod first_use;
mod reasons;
mod seen;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Administrator, Credentials, Reply, TestApp};

/// Settings with which a test can say in `X-Forwarded-For` where its requests come from.
const BEHIND_A_PROXY: &str = "server.trusted_proxies = [\"127.0.0.1\"]";

/// An administrator, after the product `gst` was created.
async fn stocked(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin
}

/// A client of `platform` with the product `gst` and these other members.
async fn client(admin: &Administrator<'_>, more: Value) -> Credentials {
    let mut members = json!({"products": ["gst"]});
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.client("platform", members).await.0
}

/// A token request of a client, from this address.
fn from(app: &TestApp, client: &Credentials, source: &str) -> RequestBuilder {
    app.request(Method::POST, "/oauth2/token")
        .basic_auth(&client.client_id, Some(&client.client_secret))
        .header("x-forwarded-for", source)
        .form(&[("grant_type", "client_credentials")])
}

/// The same client with another secret.
fn with_secret(client: &Credentials, secret: &str) -> Credentials {
    Credentials { client_secret: secret.to_owned(), ..client.clone() }
}

/// A well-formed secret that no client has.
fn unknown_secret() -> String {
    mintmark::model::secret::PlainSecret::from_random(&[7; 32]).expose().to_owned()
}

async fn read(admin: &Administrator<'_>, path: &str) -> Value {
    let reply = Reply::of(admin.get(path).await).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.json()
}

async fn usage(admin: &Administrator<'_>, client: &Credentials) -> Value {
    read(admin, &format!("/v1/api-clients/{}/usage", client.client_id)).await
}

/// What was counted today.
async fn today(admin: &Administrator<'_>, client: &Credentials) -> Value {
    usage(admin, client).await["items"].as_array().unwrap().last().unwrap().clone()
}

async fn failures(admin: &Administrator<'_>, client: &Credentials) -> Vec<Value> {
    let page = read(admin, &format!("/v1/api-clients/{}/failures?limit=200", client.client_id)).await;
    page["items"].as_array().unwrap().clone()
}

/// Moves the clock, and lets the app confirm its caches, which it uses only for a few seconds without a confirmation.
async fn pass(app: &TestApp, seconds: i64) {
    app.clock.advance(seconds);
    app.core.services.ledger.poll().await.unwrap();
}
