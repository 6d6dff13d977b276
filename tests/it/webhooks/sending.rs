//! What a receiver gets, and what its answers mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mintmark::model::operator::Role;
use ring::{hmac, signature};
use serde_json::{Value, json};

use std::sync::{Arc, Barrier};

use super::receiver::{Got, Receiver, Reply};
use super::{deliveries, read, started, webhook, worker};
use crate::support::{Credentials, Engine, START, TestApp, on_both_engines};

on_both_engines!(
    a_request_is_signed_by_hmac_and_by_ed25519,
    after_a_replacement_the_old_keys_sign_too_for_a_day,
    a_request_is_repeated_after_each_failing_status,
    a_webhook_that_answers_410_is_disabled,
    five_days_of_failures_disable_a_webhook,
    a_success_during_a_request_that_fails_keeps_the_webhook_active,
    a_disabled_webhook_is_sent_nothing,
    deliveries_that_are_given_up_are_reported_in_one_mail_a_day,
);

fn key(text: &Value, prefix: &str) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap().strip_prefix(prefix).unwrap()).unwrap()
}

/// How many signatures of a request are verified by the signing secret, and how many by the public key.
fn verified(got: &Got, keys: &Value) -> (usize, usize) {
    let signed = format!("{}.{}.{}", got.header("webhook-id"), got.header("webhook-timestamp"), got.body);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &key(&keys["signing_secret"], "whsec_"));
    let public = signature::UnparsedPublicKey::new(&signature::ED25519, key(&keys["public_key"], "whpk_"));
    let (mut v1, mut v1a) = (0, 0);
    for one in got.header("webhook-signature").split(' ') {
        let (version, signature) = one.split_once(',').unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        match version {
            "v1" => v1 += usize::from(hmac::verify(&secret, signed.as_bytes(), &signature).is_ok()),
            "v1a" => v1a += usize::from(public.verify(signed.as_bytes(), &signature).is_ok()),
            other => panic!("{other}"),
        }
    }
    (v1, v1a)
}

async fn a_request_is_signed_by_hmac_and_by_ed25519(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(204)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({})).await;
    assert_eq!(worker(&app).run_once().await.unwrap(), 1);
    let got = receiver.got();
    let [got] = got.as_slice() else { panic!("{got:?}") };
    let queued = &deliveries(&app, &hook).await[0];
    assert_eq!(got.header("webhook-id"), queued.delivery_id);
    assert_eq!(got.header("webhook-timestamp"), START.to_string());
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.header("user-agent").starts_with("mintmark/"));
    assert_eq!(verified(got, &hook), (1, 1));
    assert_eq!(got.body, queued.body);
    let body = got.json();
    assert_eq!(
        (&body["type"], &body["timestamp"]),
        (&json!("webhook.created"), &json!("2026-09-21T14:13:20Z"))
    );
    assert_eq!(body["data"]["target"], hook["webhook_id"]);
    assert_eq!(body["data"]["workspace_id"], "acme");
    assert!(!got.body.contains("s3cret") && !got.body.contains("whsec_"), "{}", got.body);
    assert_eq!((queued.sent_at, queued.last_status, &queued.last_reply), (Some(START), Some(204), &None));
    app.stop().await;
}

async fn after_a_replacement_the_old_keys_sign_too_for_a_day(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(200)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let old = webhook(&admin, "acme", &receiver, json!({"events": ["client.created"]})).await;
    let path = format!("/v1/webhooks/{}/secrets", super::id(&old));
    let new = admin.create(&path, &json!({})).await;
    for (seconds, by_old) in [(86_399, 1), (1, 0)] {
        app.clock.advance(seconds);
        let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
        admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
        worker(&app).run_once().await.unwrap();
        let got = receiver.got().pop().unwrap();
        assert_eq!((verified(&got, &old), verified(&got, &new)), ((by_old, by_old), (1, 1)));
    }
    app.stop().await;
}

/// An app after its first attempt to send to a receiver that answers `reply`. Returns the app, the receiver, the webhook, and
/// the client of the administrator, with which a test gets a new token after it has moved the clock.
async fn tried(engine: Engine, reply: Reply) -> (TestApp, Receiver, Value, Credentials) {
    let (app, receiver) = (started(engine).await, Receiver::start(reply));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({})).await;
    worker(&app).run_once().await.unwrap();
    let client = admin.client.clone();
    (app, receiver, hook, client)
}

async fn a_request_is_repeated_after_each_failing_status(engine: Engine) {
    let later = "Retry-After: 4000\r\n";
    let moved = "Location: http://127.0.0.1:1/elsewhere\r\n";
    for (reply, status, error, earliest) in [
        (Reply::status(500), 500, "answered 500", 5),
        (Reply::status(404), 404, "answered 404", 5),
        (Reply::Status(302, moved, String::new()), 302, "redirect is not followed", 5),
        (Reply::Status(429, later, String::new()), 429, "answered 429", 4_000),
        (Reply::Status(502, later, String::new()), 502, "answered 502", 4_000),
        (
            Reply::Status(504, "Retry-After: Mon, 21 Sep 2026 15:13:20 GMT\r\n", String::new()),
            504,
            "504",
            3_600,
        ),
    ] {
        let (app, receiver, hook, _) = tried(engine, reply).await;
        let queued = &deliveries(&app, &hook).await[0];
        assert_eq!((queued.attempts, queued.last_status, queued.sent_at), (1, Some(status), None));
        assert!(queued.last_error.as_ref().unwrap().contains(error), "{queued:?}");
        let wait = queued.next_attempt_at - START;
        // Up to a fifth of the delay, or up to a minute of a `Retry-After`, is added at random (`src/delivery/schedule.rs`).
        assert!((earliest..=earliest + 60).contains(&wait), "{status}: {wait}");
        // The next attempt sends the same id and body, signed with the time of that attempt. A 200 is a success, even if its
        // body is too large to be read.
        receiver.answers(Reply::Status(200, "", "x".repeat(10_000_000)));
        app.clock.advance(wait);
        worker(&app).run_once().await.unwrap();
        let got = receiver.got();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
        assert_eq!(got[1].header("webhook-timestamp"), (START + wait).to_string());
        assert_eq!((got[0].body.as_str(), verified(&got[1], &hook)), (got[1].body.as_str(), (1, 1)));
        let queued = &deliveries(&app, &hook).await[0];
        // If the receiver has a private address, only the status of its reply is stored.
        assert_eq!(
            (queued.sent_at, queued.last_status, &queued.last_reply),
            (Some(START + wait), Some(200), &None)
        );
        app.stop().await;
    }
}

async fn a_webhook_that_answers_410_is_disabled(engine: Engine) {
    let (app, receiver, hook, client) = tried(engine, Reply::status(410)).await;
    let admin = app.administrator_as(&client, "mintmark:manage").await;
    let now = read(&admin, &hook).await;
    assert_eq!((&now["status"], &now["disabled_reason"]), (&json!("disabled"), &json!("gone")));
    let queued = &deliveries(&app, &hook).await[0];
    assert_eq!((queued.dead_at, queued.last_status), (Some(START), Some(410)));
    let events: Value = admin.get("/v1/audit-events?action=webhook.disabled").await.json().await.unwrap();
    assert_eq!(
        (&events["items"][0]["actor"], &events["items"][0]["target"]),
        (&json!("system"), &hook["webhook_id"])
    );
    assert_eq!(receiver.got().len(), 1);
    app.stop().await;
}

async fn five_days_of_failures_disable_a_webhook(engine: Engine) {
    const DAY: i64 = 86_400;
    let (app, receiver, hook, client) = tried(engine, Reply::status(500)).await;
    let admin = app.administrator_as(&client, "mintmark:manage").await;
    // Only the administrators of the workspace get a mail.
    for (email, roles) in [
        ("admin@acme.example", json!([{"role": "workspace_admin", "workspace_id": "acme"}])),
        ("viewer@acme.example", json!([{"role": "workspace_viewer", "workspace_id": "acme"}])),
        ("platform@acme.example", json!([{"role": "platform_admin"}])),
    ] {
        // Only a caller with the permissions of a role may give it.
        let all = app.administrator_as(&admin.client, "mintmark:manage mintmark:introspect").await;
        all.create("/v1/operators", &json!({"email": email, "name": "Name", "roles": roles})).await;
    }
    // A success in between ends the period of failures.
    receiver.answers(Reply::status(200));
    app.clock.advance(4 * DAY);
    worker(&app).run_once().await.unwrap();
    receiver.answers(Reply::status(500));
    let change = async |number: i64| {
        let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
        let path = format!("/v1/webhooks/{}", super::id(&hook));
        admin.patch(&path, &json!({"description": format!("{number}")})).await;
        worker(&app).run_once().await.unwrap();
        let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
        read(&admin, &hook).await["disabled_reason"].clone()
    };
    assert_eq!(change(1).await, json!(null));
    app.clock.advance(5 * DAY - 1);
    assert_eq!(change(2).await, json!(null));
    app.clock.advance(1);
    assert_eq!(change(3).await, json!("failing"));
    let storage = app.database.open().await;
    let mut mails = Vec::new();
    for operator in storage.operators(&mintmark::model::page::Page::first(10)).await.unwrap().items {
        for (kind, recipient) in storage.mails_about(&operator.operator_id).await.unwrap() {
            mails.push((kind, recipient));
        }
    }
    storage.close().await;
    assert_eq!(mails, [("webhook.disabled".to_owned(), "admin@acme.example".to_owned())]);
    // A webhook that is enabled again gets another five days.
    let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
    admin.patch(&format!("/v1/webhooks/{}", super::id(&hook)), &json!({"status": "active"})).await;
    assert_eq!(change(4).await, json!(null));
    // A new URL gets another five days too.
    app.clock.advance(5 * DAY);
    let new = Receiver::start(Reply::status(500));
    let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
    let url = json!({"url": new.url("localhost")});
    assert_eq!(admin.patch(&format!("/v1/webhooks/{}", super::id(&hook)), &url).await.status(), 200);
    assert_eq!(change(5).await, json!(null));
    assert!(!new.got().is_empty());
    app.clock.advance(5 * DAY);
    assert_eq!(change(6).await, json!("failing"));
    app.stop().await;
}

async fn a_success_during_a_request_that_fails_keeps_the_webhook_active(engine: Engine) {
    let (app, receiver, hook, client) = tried(engine, Reply::status(500)).await;
    let mut session = app.database.session().await;
    // Only the delivery that is created below is sent.
    session.execute("UPDATE deliveries SET sent_at = 1").await;
    app.clock.advance(5 * 86_400);
    let admin = app.administrator_as(&client, "mintmark:manage").await;
    admin.patch(&format!("/v1/webhooks/{}", super::id(&hook)), &json!({"description": "held"})).await;
    let meeting = Arc::new(Barrier::new(2));
    receiver.answers(Reply::Held(Arc::clone(&meeting)));
    let meet = async || {
        let meeting = Arc::clone(&meeting);
        tokio::task::spawn_blocking(move || meeting.wait()).await.unwrap();
    };
    let sending = worker(&app);
    let (sent, ()) = tokio::join!(sending.run_once(), async {
        meet().await;
        // This is how a success of another request is stored.
        session.execute("UPDATE webhooks SET failing_since = NULL").await;
        meet().await;
    });
    assert_eq!(sent.unwrap(), 1);
    assert_eq!(read(&admin, &hook).await["status"], "active");
    app.stop().await;
}

async fn a_disabled_webhook_is_sent_nothing(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(200)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({})).await;
    let path = format!("/v1/webhooks/{}", super::id(&hook));
    admin.patch(&path, &json!({"status": "disabled"})).await;
    admin.patch(&path, &json!({"description": "a change while the webhook is disabled"})).await;
    worker(&app).run_once().await.unwrap();
    let queued = deliveries(&app, &hook).await;
    assert_eq!(queued.len(), 1, "only what was queued before the webhook was disabled");
    assert!(queued[0].dead_at.is_some() && queued[0].last_error.as_ref().unwrap().contains("is disabled"));
    assert_eq!(receiver.got().len(), 0);
    app.stop().await;
}

/// Measured by the clock of the machine, because the receivers are really slow.
#[tokio::test]
async fn a_slow_receiver_has_fifteen_seconds() {
    let app = started(Engine::Sqlite).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let mut hooks = Vec::new();
    for (reply, workspace) in [(Reply::Nothing, "a"), (Reply::Slowly, "b"), (Reply::SlowBody, "c")] {
        admin.workspace(workspace, json!({})).await;
        let receiver = Receiver::start(reply);
        hooks.push(webhook(&admin, workspace, &receiver, json!({})).await);
    }
    let worker = worker(&app);
    let began = mintmark::model::clock::Stopwatch::start();
    worker.run_once().await.unwrap();
    let seconds = began.elapsed().as_secs();
    assert!((14..=17).contains(&seconds), "{seconds}");
    for (hook, (error, status)) in hooks.iter().zip([
        (Some("no reply in time"), None),
        (Some("no reply in time"), None),
        (None, Some(200)),
    ]) {
        let queued = &deliveries(&app, hook).await[0];
        assert_eq!((queued.last_error.as_deref(), queued.last_status), (error, status));
        assert_eq!(queued.sent_at.is_some(), status.is_some());
    }
    app.stop().await;
}

async fn deliveries_that_are_given_up_are_reported_in_one_mail_a_day(engine: Engine) {
    let (app, _receiver, _hook, client) = tried(engine, Reply::status(500)).await;
    app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let admin = app.administrator_as(&client, "mintmark:manage").await;
    for _ in 0..3 {
        admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    }
    let waits =
        "SELECT COUNT(*) FROM deliveries WHERE channel = 'webhook' AND sent_at IS NULL AND dead_at IS NULL";
    while app.database.number(waits).await > 0 {
        app.clock.advance(3_600);
        worker(&app).run_once().await.unwrap();
    }
    let given_up = "SELECT COUNT(*) FROM deliveries WHERE channel = 'webhook' AND dead_at IS NOT NULL";
    // At least the one for the webhook itself and those for the three clients.
    assert!(app.database.number(given_up).await >= 4);
    let mails = "SELECT recipient || ' ' || COUNT(*) || ' ' || COUNT(DISTINCT unique_key) FROM deliveries
        WHERE kind = 'delivery.failed' GROUP BY recipient";
    let mails = app.database.session().await.texts(mails).await;
    let days = "SELECT COUNT(DISTINCT dead_at / 86400) FROM deliveries WHERE channel = 'webhook'";
    let days = app.database.number(days).await;
    assert_eq!(mails, [format!("ann@acme.example {days} {days}")], "one mail a day, only to administrators");
    let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'delivery.failed'";
    assert_eq!(app.database.number(events).await, app.database.number(given_up).await);
    app.stop().await;
}
