//! Repeated requests with an `Idempotency-Key`: a reply that shows a secret again leaves the event `secret.shown`, without the
//! secret.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Reply, ok, problem};
use crate::support::{Administrator, Engine, TestApp, on_both_engines};

on_both_engines!(
    each_repeated_reply_with_a_secret_leaves_an_event,
    a_refused_request_and_a_reply_without_a_secret_leave_no_event,
    a_reply_whose_event_cannot_be_recorded_is_not_repeated,
);

const ACME: &str = "/v1/workspaces/acme/api-clients";

async fn furnished(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    admin
}

async fn post(admin: &Administrator<'_>, path: &str, body: &Value) -> Reply {
    Reply::to(admin.request(Method::POST, path).header("idempotency-key", "k").json(body)).await
}

/// The events `secret.shown`, the oldest first.
async fn shown(admin: &Administrator<'_>) -> Vec<Value> {
    let list = Reply::of(admin.get("/v1/audit-events?action=secret.shown&limit=200").await).await;
    ok(&list, 200)["items"].as_array().unwrap().iter().rev().cloned().collect()
}

async fn each_repeated_reply_with_a_secret_leaves_an_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let hook = json!({"url": "https://platform.example/", "events": ["secret.shown"]});
    let hook = admin.create("/v1/workspaces/platform/webhooks", &hook).await;
    let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    let client_path = format!("/v1/api-clients/{}", client.client_id);
    let operator = json!({"email": "a@b.example", "name": "Ada", "roles": [{"role": "workspace_viewer", "workspace_id": "acme"}]});
    let bob = json!({"email": "b@b.example", "name": "Bob", "roles": [{"role": "workspace_viewer", "workspace_id": "acme"}]});
    let bob = admin.create("/v1/operators", &bob).await["operator_id"].as_str().unwrap().to_owned();
    let url = json!({"url": "https://hooks.example/"});
    let webhook = admin.create("/v1/workspaces/acme/webhooks", &url).await;
    let webhook_id = webhook["webhook_id"].as_str().unwrap();
    let acme = json!("acme");
    let none = Value::Null;
    let mut expected = 0;
    // The path, the body and the member with the secret; then the workspace, the client and the target that the event must
    // have. Of the last two, a value with a leading `/` is a JSON pointer into the reply, and an empty one means null.
    for (path, body, member, workspace, of_client, target) in [
        (
            ACME,
            json!({"label": "ERP", "products": ["gst"]}),
            "client_secret",
            &acme,
            "/client_id",
            "/secrets/0/secret_id",
        ),
        (
            &format!("{client_path}/secrets"),
            json!({}),
            "client_secret",
            &acme,
            &client.client_id,
            "/secret_id",
        ),
        (
            &format!("{client_path}/access-tokens"),
            json!({}),
            "access_token",
            &acme,
            &client.client_id,
            "/jti",
        ),
        ("/v1/workspaces/acme/webhooks", url.clone(), "signing_secret", &acme, "", "/webhook_id"),
        (&format!("/v1/webhooks/{webhook_id}/secrets"), json!({}), "signing_secret", &acme, "", webhook_id),
        ("/v1/operators", operator, "setup_link", &none, "", "/operator_id"),
        (&format!("/v1/operators/{bob}/setup-link"), json!({}), "setup_link", &none, "", &bob),
    ] {
        let first = post(&admin, path, &body).await;
        let made = ok(&first, 201);
        assert_eq!(shown(&admin).await.len(), expected, "{path}: the first reply leaves no event");
        let again = post(&admin, path, &body).await;
        assert_eq!((again.text(), again.header("idempotency-replayed")), (first.text(), "true"));
        expected += 1;
        let events = shown(&admin).await;
        assert_eq!(events.len(), expected, "{path}");
        let event = &events[expected - 1];
        let id = |name: &str| match name.strip_prefix('/') {
            Some(_) => made.pointer(name).unwrap().clone(),
            None if name.is_empty() => Value::Null,
            None => json!(name),
        };
        assert_eq!(event["detail"], json!({"what": member, "as": "reply"}), "{path}");
        assert_eq!((&event["workspace_id"], &event["client_id"]), (workspace, &id(of_client)), "{path}");
        assert_eq!(event["target"], id(target), "{path}");
        assert_eq!(event["actor"], format!("client:{}", admin.client.client_id));
        assert_eq!(
            (&event["request_id"], &event["source_ip"]),
            (&json!(again.header("x-request-id")), &json!("127.0.0.1"))
        );
        let secret = made[member].as_str().unwrap();
        assert!(!event.to_string().contains(secret), "{event}");
    }
    // Two repeated requests at the same time leave an event each, unless one gets 409 because the other is in progress.
    let body = json!({});
    let path = format!("{client_path}/secrets");
    let (one, other) = tokio::join!(post(&admin, &path, &body), post(&admin, &path, &body));
    let refused = [&one, &other].iter().filter(|reply| reply.status == 409).count();
    expected += 2 - refused;
    assert_eq!(shown(&admin).await.len(), expected);
    let hook = hook["webhook_id"].as_str().unwrap();
    let sent =
        format!("SELECT COUNT(*) FROM deliveries WHERE recipient = '{hook}' AND kind = 'secret.shown'");
    assert_eq!(app.database.number(&sent).await, i64::try_from(expected).unwrap());
    app.stop().await;
}

async fn a_refused_request_and_a_reply_without_a_secret_leave_no_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    // A reply without a secret is repeated, and leaves no event.
    let product = json!({"product": "vat", "name": "VAT"});
    for replayed in ["", "true"] {
        let reply = post(&admin, "/v1/products", &product).await;
        assert_eq!(
            (ok(&reply, 201)["product"].as_str(), reply.header("idempotency-replayed")),
            (Some("vat"), replayed)
        );
    }
    let body = json!({"label": "ERP", "products": ["gst"]});
    let wide = app.administrator_as(&admin.client, "mintmark:manage mintmark:introspect").await;
    ok(&post(&wide, ACME, &body).await, 201);
    problem(&post(&wide, ACME, &json!({"label": "Other"})).await, 422, "idempotency-key-reused");
    // This token has fewer permissions than the one of the first request.
    problem(&post(&admin, ACME, &body).await, 403, "forbidden");
    assert_eq!(shown(&admin).await, [Value::Null; 0]);
    ok(&post(&wide, ACME, &body).await, 201);
    assert_eq!(shown(&admin).await.len(), 1);
    app.stop().await;
}

async fn a_reply_whose_event_cannot_be_recorded_is_not_repeated(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let body = json!({"label": "ERP", "products": ["gst"]});
    let first = post(&admin, ACME, &body).await;
    ok(&first, 201);
    app.database.execute("ALTER TABLE audit_trees RENAME TO away").await;
    let refused = post(&admin, ACME, &body).await;
    assert!(!refused.text().contains("mms_"), "{}", refused.text());
    problem(&refused, 503, "unavailable");
    app.database.execute("ALTER TABLE away RENAME TO audit_trees").await;
    assert_eq!(post(&admin, ACME, &body).await.text(), first.text());
    assert_eq!(shown(&admin).await.len(), 1);
    app.stop().await;
}
