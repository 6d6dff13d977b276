//! The database does not answer for a while (`docs/revocation.md`): caches are used for five seconds, and to issue stateless
//! tokens for `tokens.serve_stale_seconds` more. Then the reply is 503.

use serde_json::{Value, json};

use super::expect::{GRANT, invalid_client, issued, post, refused, reply_as};
use super::verifying::accepted;
use crate::support::{Administrator, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    stateless_tokens_are_issued_for_five_seconds,
    stateless_tokens_are_issued_for_as_long_as_the_setting_allows,
    a_client_that_is_not_cached_gets_503,
    recorded_tokens_are_not_issued,
    readyz_names_the_failed_check,
    a_change_by_another_replica_is_in_force_within_a_second,
    a_change_during_the_outage_is_in_force_after_it,
);

async fn client(admin: &Administrator<'_>, more: Value) -> Credentials {
    let mut members = json!({"products": ["gst"]});
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.client("platform", members).await.0
}

/// An administrator. The product `gst` exists.
async fn stocked(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin
}

#[track_caller]
fn unavailable(reply: &Reply) {
    refused(reply, 503, "temporarily_unavailable");
    assert_eq!(reply.header("retry-after"), Some("5"));
}

async fn stateless_tokens_are_issued_for_five_seconds(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client(&admin, json!({})).await;
    // The changes so far have invalidated the caches. The next requests cache the client and the status list.
    app.core.services.ledger.poll().await.unwrap();
    accepted(&app, &issued(&reply_as(&app, &client, GRANT).await)).await;
    app.database.go_away().await;
    for millis in [0, 900, 4100] {
        app.clock.advance_millis(millis);
        accepted(&app, &issued(&reply_as(&app, &client, GRANT).await)).await;
    }
    app.clock.advance_millis(1);
    unavailable(&reply_as(&app, &client, GRANT).await);
    // A request without credentials gets 503 too, not 401.
    unavailable(&Reply::to(post(&app, GRANT)).await);
    app.clock.advance(3600);
    unavailable(&reply_as(&app, &client, GRANT).await);
    // Requests that need no database are answered.
    assert_eq!(app.get("/.well-known/jwks.json").await.status(), 200);
    assert_eq!(app.get("/.well-known/oauth-authorization-server").await.status(), 200);
    assert_eq!(app.get("/healthz").await.status(), 200);
    app.database.come_back().await;
    accepted(&app, &issued(&reply_as(&app, &client, GRANT).await)).await;
    app.stop().await;
}

async fn stateless_tokens_are_issued_for_as_long_as_the_setting_allows(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.serve_stale_seconds = 60").await;
    let admin = stocked(&app).await;
    let client = client(&admin, json!({})).await;
    issued(&reply_as(&app, &client, GRANT).await);
    app.database.go_away().await;
    // The usual five seconds, and the sixty of the setting.
    for seconds in [5, 1, 59] {
        app.clock.advance(seconds);
        issued(&reply_as(&app, &client, GRANT).await);
    }
    app.clock.advance_millis(1);
    unavailable(&reply_as(&app, &client, GRANT).await);
    app.database.come_back().await;
    issued(&reply_as(&app, &client, GRANT).await);
    app.stop().await;
}

async fn a_client_that_is_not_cached_gets_503(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let known = client(&admin, json!({})).await;
    let unknown = client(&admin, json!({})).await;
    issued(&reply_as(&app, &known, GRANT).await);
    app.database.go_away().await;
    unavailable(&reply_as(&app, &unknown, GRANT).await);
    let nobody = Credentials { client_id: "cl_0000000000000000000000".to_owned(), ..known.clone() };
    unavailable(&reply_as(&app, &nobody, GRANT).await);
    // The cached client is enough to refuse a wrong secret.
    let wrong = Credentials { client_secret: unknown.client_secret.clone(), ..known.clone() };
    invalid_client(&reply_as(&app, &wrong, GRANT).await);
    app.database.come_back().await;
    issued(&reply_as(&app, &unknown, GRANT).await);
    invalid_client(&reply_as(&app, &nobody, GRANT).await);
    app.stop().await;
}

async fn recorded_tokens_are_not_issued(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.serve_stale_seconds = 60").await;
    let admin = stocked(&app).await;
    let never_expiring = client(&admin, json!({"token_expiry": {"mode": "never"}})).await;
    issued(&reply_as(&app, &never_expiring, GRANT).await);
    app.database.go_away().await;
    unavailable(&reply_as(&app, &never_expiring, GRANT).await);
    app.database.come_back().await;
    issued(&reply_as(&app, &never_expiring, GRANT).await);
    assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, 2);
    app.stop().await;
}

async fn ready(app: &TestApp) -> (u16, Value) {
    let reply = Reply::of(app.get("/readyz").await).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    (reply.status, reply.json())
}

async fn readyz_names_the_failed_check(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (status, body) = ready(&app).await;
    assert_eq!((status, &body["status"]), (200, &json!("ready")));
    for check in ["storage", "migrations", "signing_keys"] {
        assert_eq!(body["checks"][check]["ok"], true, "{body}");
    }
    app.database.go_away().await;
    app.core.services.ledger.poll().await.unwrap_err();
    let (status, body) = ready(&app).await;
    assert_eq!((status, &body["status"]), (503, &json!("not_ready")));
    assert_eq!(body["checks"]["storage"]["ok"], false);
    assert!(body["checks"]["storage"]["detail"].as_str().unwrap().contains("does not answer"), "{body}");
    assert_eq!(body["checks"]["signing_keys"]["ok"], true);
    // `/readyz` is public, so it says nothing about the database except that it does not answer.
    let text = body.to_string();
    for private in [app.database.url(), "postgres://", "sqlite://", "/tmp", "no such table", "mintmark.db"] {
        assert!(!text.contains(private), "{body}");
    }
    app.database.come_back().await;
    app.core.services.ledger.poll().await.unwrap();
    app.core.services.ledger.beat().await.unwrap();
    assert_eq!(ready(&app).await.0, 200);
    // The database answers, but the app cannot read what changed in it. It would refuse requests, so it is not ready.
    let away = "ALTER TABLE change_log RENAME TO change_log_away";
    app.database.session().await.execute(away).await;
    app.core.services.ledger.poll().await.unwrap_err();
    let (status, body) = ready(&app).await;
    assert_eq!((status, &body["checks"]["storage"]["ok"]), (503, &json!(false)), "{body}");
    let back = "ALTER TABLE change_log_away RENAME TO change_log";
    app.database.session().await.execute(back).await;
    app.core.services.ledger.poll().await.unwrap();
    app.core.services.ledger.beat().await.unwrap();
    assert_eq!(ready(&app).await.0, 200);
    app.stop().await;
}

async fn a_change_by_another_replica_is_in_force_within_a_second(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client(&admin, json!({})).await;
    let other = app.replica(&format!("server.public_url = {:?}", app.base)).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    for (change, is_served) in [("disabled", false), ("active", true), ("disabled", false)] {
        // With this request the other replica confirms its caches just before the change.
        issued(&reply_as(&other, &admin.client, format!("{GRANT}&scope=mintmark:read")).await);
        let changed = admin.patch(&path, &json!({"status": change})).await;
        assert_eq!(changed.status(), 200);
        // A change takes effect at once on the replica that acknowledged it.
        assert_eq!(reply_as(&app, &client, GRANT).await.status == 200, is_served);
        app.clock.advance(1);
        assert_eq!(reply_as(&other, &client, GRANT).await.status == 200, is_served, "{change}");
    }
    other.stop().await;
    app.stop().await;
}

async fn a_change_during_the_outage_is_in_force_after_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client(&admin, json!({})).await;
    issued(&reply_as(&app, &client, GRANT).await);
    app.database.go_away().await;
    app.clock.advance_millis(5001);
    unavailable(&reply_as(&app, &client, GRANT).await);
    app.database.come_back().await;
    // Another process, which reached the database first, disabled the client.
    app.database
        .session()
        .await
        .execute(&format!(
            "UPDATE api_clients SET disabled_at = 1 WHERE client_id = '{}';
             UPDATE service_state SET change_seq = change_seq + 1;
             INSERT INTO change_log (seq, kind, id) SELECT change_seq, 'client', '{}' FROM service_state",
            client.client_id, client.client_id
        ))
        .await;
    app.clock.advance(1);
    invalid_client(&reply_as(&app, &client, GRANT).await);
    app.stop().await;
}
