//! What the delivery worker sends to webhooks, and the deliveries in the API. The receivers are on this machine.

mod addresses;
mod database_failure;
mod delivery_api;
mod fan_out;
mod receiver;
mod sending;
mod status_lists;

use std::sync::Arc;

use mintmark::delivery::Worker;
use mintmark::model::delivery::Delivery;
use mintmark::model::page::Page;
use serde_json::{Value, json};

use crate::support::{Administrator, Engine, TestApp};
use receiver::Receiver;

/// Without this setting nothing is sent to this machine, where the receivers of these tests are.
const ALLOWED: &str = "outbound.allow = [\"127.0.0.0/8\"]";

/// An app that may send to this machine.
async fn started(engine: Engine) -> TestApp {
    TestApp::start_with(engine, ALLOWED).await
}

/// The worker that sends for this app.
fn worker(app: &TestApp) -> Arc<Worker> {
    Arc::clone(&app.worker)
}

/// Creates a webhook of a workspace that sends to this receiver. `more` has the members other than the URL.
async fn webhook(admin: &Administrator<'_>, workspace: &str, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({"url": receiver.url("127.0.0.1")});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.create(&format!("/v1/workspaces/{workspace}/webhooks"), &body).await
}

/// Creates a webhook of a workspace that sends to this URL.
async fn webhook_to(admin: &Administrator<'_>, workspace: &str, url: &str) -> Value {
    admin.create(&format!("/v1/workspaces/{workspace}/webhooks"), &json!({"url": url})).await
}

fn id(webhook: &Value) -> &str {
    webhook["webhook_id"].as_str().unwrap()
}

/// The deliveries of a webhook, oldest first.
async fn deliveries(app: &TestApp, webhook: &Value) -> Vec<Delivery> {
    let storage = app.database.open().await;
    let found = storage.deliveries_of_webhook(id(webhook), &Page::first(200)).await.unwrap();
    storage.close().await;
    let mut deliveries = found.items;
    deliveries.reverse();
    deliveries
}

/// The webhook as it is now.
async fn read(admin: &Administrator<'_>, webhook: &Value) -> Value {
    let reply = admin.get(&format!("/v1/webhooks/{}", id(webhook))).await;
    assert_eq!(reply.status(), 200);
    reply.json().await.unwrap()
}
