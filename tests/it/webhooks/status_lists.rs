//! The event `status_list.changed` asks verifiers that work offline to read a list again.

use serde_json::json;

use super::receiver::{Receiver, Reply};
use super::{deliveries, started, webhook, worker};
use crate::support::{Engine, START, on_both_engines};

on_both_engines!(
    a_revocation_asks_to_read_the_list_again,
    changes_within_a_second_are_one_event,
    changes_by_a_replaced_token_and_by_a_job_are_announced_too,
    the_event_goes_to_every_webhook_that_subscribes_to_it,
);

const EVENT: &str = "status_list.changed";

async fn a_revocation_asks_to_read_the_list_again(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(200)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({"events": [EVENT]})).await;
    let (client, _) = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    let tokens = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    let token = admin.create(&tokens, &json!({})).await;
    assert_eq!(deliveries(&app, &hook).await.len(), 0, "a new token changes no list");
    assert_eq!(admin.delete(&format!("{tokens}/{}", token["jti"].as_str().unwrap())).await.status(), 204);
    let queued = &deliveries(&app, &hook).await[0];
    // A second after the end of the second of the change: by then every process publishes the changed list.
    assert_eq!((queued.kind.as_str(), queued.next_attempt_at), (EVENT, START + 2));
    let worker = worker(&app);
    app.clock.advance_millis(1_999);
    assert_eq!(
        worker.run_once().await.unwrap(),
        0,
        "the event is not sent before every process has read the change"
    );
    app.clock.advance_millis(1);
    assert_eq!(worker.run_once().await.unwrap(), 1);
    let body = receiver.got()[0].json();
    let uri = body["data"]["uri"].as_str().unwrap();
    assert_eq!(body["type"], EVENT);
    assert_eq!(body["data"]["changed_at"], "2026-09-21T14:13:21Z", "`changed_at` is the end of the second");
    assert_eq!(body["data"].as_object().unwrap().len(), 2);
    let list = app.http.get(uri).send().await.unwrap();
    assert_eq!(list.status(), 200, "{uri}");
    app.stop().await;
}

async fn changes_within_a_second_are_one_event(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(200)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({"events": [EVENT]})).await;
    let (client, _) = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    let tokens = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    // Three changes in the first second. After them the clock is in the next second.
    for millis in [400, 400, 400] {
        let token = admin.create(&tokens, &json!({})).await;
        admin.delete(&format!("{tokens}/{}", token["jti"].as_str().unwrap())).await;
        app.clock.advance_millis(millis);
    }
    let due: Vec<i64> = deliveries(&app, &hook).await.iter().map(|queued| queued.next_attempt_at).collect();
    assert_eq!(due, [START + 2]);
    let token = admin.create(&tokens, &json!({})).await;
    admin.delete(&format!("{tokens}/{}", token["jti"].as_str().unwrap())).await;
    let due: Vec<i64> = deliveries(&app, &hook).await.iter().map(|queued| queued.next_attempt_at).collect();
    assert_eq!(due, [START + 2, START + 3]);
    app.stop().await;
}

async fn changes_by_a_replaced_token_and_by_a_job_are_announced_too(engine: Engine) {
    let settings = format!("{}\ntokens.record_above_seconds = 60", super::ALLOWED);
    let app = crate::support::TestApp::start_with(engine, &settings).await;
    let receiver = Receiver::start(Reply::status(200));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    admin.product("gst", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({"events": [EVENT]})).await;
    let count = async || deliveries(&app, &hook).await.len();
    let replaced = json!({"products": ["gst"], "active_tokens": "replace"});
    let (client, record) = admin.client("acme", replaced).await;
    for _ in 0..2 {
        app.access_token(&client, &[]).await;
    }
    assert_eq!(count().await, 1, "the second token replaced the first in the transaction that recorded it");
    app.clock.advance(10);
    let path = format!("/v1/api-clients/{}", record["client_id"].as_str().unwrap());
    let end = json!({"expires_at": "2026-09-21T14:14:20Z"});
    assert_eq!(admin.patch(&path, &end).await.status(), 200);
    let before = count().await;
    app.clock.advance(120);
    app.core.services.tokens.apply_due_changes().await.unwrap();
    assert!(count().await > before, "the client has expired, which a job wrote to the lists");
    app.stop().await;
}

async fn the_event_goes_to_every_webhook_that_subscribes_to_it(engine: Engine) {
    let app = started(engine).await;
    let admin = app.administrator().await;
    let receiver = Receiver::start(Reply::status(200));
    let mut hooks = Vec::new();
    for (workspace, events) in [
        ("acme", json!([EVENT])),
        ("other", json!(["status_list.*"])),
        ("third", json!(["*"])),
        ("fourth", json!(null)),
        ("fifth", json!(["client.*"])),
    ] {
        admin.workspace(workspace, json!({})).await;
        hooks.push(webhook(&admin, workspace, &receiver, json!({"events": events})).await);
    }
    let (client, _) = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    let tokens = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    let token = admin.create(&tokens, &json!({})).await;
    admin.delete(&format!("{tokens}/{}", token["jti"].as_str().unwrap())).await;
    for (hook, expected) in hooks.iter().zip([1, 1, 1, 0, 0]) {
        let queued = deliveries(&app, hook).await;
        assert_eq!(queued.iter().filter(|queued| queued.kind == EVENT).count(), expected, "{hook}");
    }
    app.stop().await;
}
