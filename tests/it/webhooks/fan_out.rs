//! Which webhooks get which events.

use serde_json::{Value, json};

use super::receiver::{Receiver, Reply};
use super::{deliveries, started, webhook, worker};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_workspace_gets_its_own_events_and_the_platform_gets_all,
    patterns_select_events,
    a_refused_change_queues_no_event,
    a_long_event_is_shortened,
    webhooks_report_a_disabled_webhook_but_no_failed_delivery,
    checkpoints_go_only_to_webhooks_that_subscribe_to_them,
);

async fn a_workspace_gets_its_own_events_and_the_platform_gets_all(engine: Engine) {
    let app = started(engine).await;
    let admin = app.administrator().await;
    let mut receivers = Vec::new();
    for workspace in ["acme", "other", "platform"] {
        if workspace != "platform" {
            admin.workspace(workspace, json!({})).await;
        }
        let receiver = Receiver::start(Reply::status(200));
        webhook(&admin, workspace, &receiver, json!({"events": ["client.*", "product.*"]})).await;
        receivers.push(receiver);
    }
    admin.product("gst", json!({})).await;
    let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    worker(&app).run_once().await.unwrap();
    let [acme, other, platform] = [0, 1, 2].map(|index: usize| {
        let mut types = receivers[index].types();
        types.sort();
        types
    });
    assert_eq!(acme, ["client.created"]);
    assert_eq!(other, [""; 0]);
    assert_eq!(platform, ["client.created", "product.created"]);
    let got = receivers[0].got().pop().unwrap().json();
    assert_eq!(
        (&got["data"]["client_id"], &got["data"]["detail"]["label"]),
        (&json!(client.client_id), &json!("ERP"))
    );
    assert_eq!(got["data"].get("action"), None, "the action is the `type` of the event");
    app.stop().await;
}

async fn patterns_select_events(engine: Engine) {
    let app = started(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let mut hooks = Vec::new();
    for events in [json!(null), json!(["*"]), json!(["client.created", "secret.*"])] {
        let receiver = Receiver::start(Reply::status(200));
        hooks.push((webhook(&admin, "acme", &receiver, json!({"events": events})).await, receiver));
    }
    let (client, _) = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    admin.create(&format!("{path}/secrets"), &json!({})).await;
    admin.patch(&path, &json!({"label": "Other"})).await;
    worker(&app).run_once().await.unwrap();
    let count = |index: usize, kind: &str| hooks[index].1.types().iter().filter(|got| *got == kind).count();
    for kind in ["client.created", "secret.created", "client.updated"] {
        assert_eq!((count(0, kind), count(1, kind)), (1, 1), "{kind}");
    }
    let mut chosen = hooks[2].1.types();
    chosen.sort();
    assert_eq!(chosen, ["client.created", "secret.created"]);
    app.stop().await;
}

async fn a_refused_change_queues_no_event(engine: Engine) {
    let app = started(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let receiver = Receiver::start(Reply::status(200));
    let hook = webhook(&admin, "acme", &receiver, json!({"events": ["client.*"]})).await;
    let refused =
        admin.post("/v1/workspaces/acme/api-clients", &json!({"label": "ERP", "products": ["none"]})).await;
    assert_eq!(refused.status(), 422);
    assert_eq!(deliveries(&app, &hook).await.len(), 0);
    app.stop().await;
}

async fn a_long_event_is_shortened(engine: Engine) {
    let app = started(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let receiver = Receiver::start(Reply::status(200));
    webhook(&admin, "acme", &receiver, json!({"events": ["client.*"]})).await;
    // 24,000 bytes, more than the 20,000 that the body of an event may have.
    let metadata = |fill: &str| -> Value {
        let pairs = (0..16).map(|n| (format!("key-{n}"), json!(fill.repeat(500))));
        Value::Object(pairs.collect())
    };
    let more = json!({"permissions": ["mintmark:read"], "metadata": metadata("✓")});
    let (client, _) = admin.client("acme", more).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    assert_eq!(admin.patch(&path, &json!({"metadata": metadata("✗"), "label": "Other"})).await.status(), 200);
    worker(&app).run_once().await.unwrap();
    for got in receiver.got() {
        assert!(got.body.len() < 20_000, "{}", got.body.len());
    }
    let cut = receiver
        .got()
        .into_iter()
        .map(|got| got.json())
        .find(|body| body["type"] == "client.updated")
        .unwrap();
    assert_eq!(cut["data"]["detail_omitted"], json!(["changed"]));
    assert_eq!(cut["data"]["detail"].get("changed"), None);
    assert!(cut["data"]["event_id"].as_str().is_some());
    app.stop().await;
}

async fn webhooks_report_a_disabled_webhook_but_no_failed_delivery(engine: Engine) {
    let app = started(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let good = Receiver::start(Reply::status(200));
    let watching = webhook(&admin, "platform", &good, json!({"events": ["*"]})).await;
    let gone = Receiver::start(Reply::status(410));
    webhook(&admin, "acme", &gone, json!({})).await;
    // The first run disables the webhook, and the second sends the event about that.
    worker(&app).run_once().await.unwrap();
    worker(&app).run_once().await.unwrap();
    let mut types = good.types();
    types.sort();
    types.dedup();
    assert!(types.contains(&"webhook.disabled".to_owned()), "{types:?}");
    assert!(!types.contains(&"delivery.failed".to_owned()), "{types:?}");
    assert!(deliveries(&app, &watching).await.iter().all(|queued| queued.sent_at.is_some()));
    app.stop().await;
}

async fn checkpoints_go_only_to_webhooks_that_subscribe_to_them(engine: Engine) {
    let app = started(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let (usual, named) = (Receiver::start(Reply::status(200)), Receiver::start(Reply::status(200)));
    webhook(&admin, "acme", &usual, json!({})).await;
    webhook(&admin, "acme", &named, json!({"events": ["audit.checkpoint"]})).await;
    let storage = app.database.open().await;
    // The checkpoint is announced twice, as if by two processes.
    for _ in 0..2 {
        let mut tx = storage.begin().await.unwrap();
        let announced =
            app.core.services.ledger.announce_checkpoint(&mut tx, "h/audit", 7, "h/audit\n7\nroot\n");
        announced.await.unwrap();
        tx.commit().await.unwrap();
    }
    storage.close().await;
    worker(&app).run_once().await.unwrap();
    assert!(!usual.types().contains(&"audit.checkpoint".to_owned()));
    assert_eq!(named.types(), ["audit.checkpoint"]);
    let got = named.got()[0].json();
    assert_eq!(got["data"], json!({"origin": "h/audit", "size": 7, "checkpoint": "h/audit\n7\nroot\n"}));
    app.stop().await;
}
