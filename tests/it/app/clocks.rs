//! Clocks that differ (`docs/revocation.md`): between replicas, between a replica and its database, and before and after a
//! clock is set.

use std::sync::Arc;

use mintmark::jobs;
use mintmark::model::clock::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};

use super::{metric, ready};
use crate::support::{Credentials, Engine, START, TestApp, on_both_engines};

on_both_engines!(
    a_replica_whose_clock_is_behind_revokes_too,
    a_token_that_becomes_valid_within_a_minute_is_accepted,
    a_token_can_be_revoked_until_a_minute_after_its_end,
    a_denied_token_is_kept_for_two_minutes_after_its_end,
    a_leap_stops_deleting_and_making_keys_for_ten_minutes,
    a_leap_before_the_start_is_noticed,
    setting_a_clock_back_does_not_make_stale_memory_fresh,
);

const KEYS: &str = "/v1/signing-keys";

/// A second replica, whose clock is `seconds` ahead of the clock of the first one.
async fn replica(app: &TestApp, seconds: i64) -> TestApp {
    let settings = format!("server.public_url = {:?}", app.base);
    TestApp::start_on(Arc::clone(&app.database), Arc::new(ManualClock::at(START + seconds)), &settings).await
}

async fn post(app: &TestApp, path: &str, client: &Credentials, token: &str) -> reqwest::Response {
    let request = app.request(Method::POST, path).basic_auth(&client.client_id, Some(&client.client_secret));
    request.form(&[("token", token)]).send().await.unwrap()
}

async fn revoke(app: &TestApp, client: &Credentials, token: &str) {
    assert_eq!(post(app, "/oauth2/revoke", client, token).await.status(), 200);
}

async fn is_active(app: &TestApp, client: &Credentials, token: &str) -> bool {
    let reply = post(app, "/oauth2/introspect", client, token).await;
    assert_eq!(reply.status(), 200);
    reply.json::<Value>().await.unwrap()["active"].as_bool().unwrap()
}

/// Creates a product, and a client whose tokens have this expiry. Returns the first management client and this one.
async fn furnished(app: &TestApp, expiry: Value) -> (Credentials, Credentials) {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (client, _) = admin.client("platform", json!({"products": ["gst"], "token_expiry": expiry})).await;
    (admin.client.clone(), client)
}

/// As [`furnished`], without the management client.
async fn client_with_expiry(app: &TestApp, expiry: Value) -> Credentials {
    furnished(app, expiry).await.1
}

async fn a_replica_whose_clock_is_behind_revokes_too(engine: Engine) {
    for expiry in [json!({"mode": "never"}), json!({"mode": "after", "seconds": 600})] {
        for behind in [1, 61, 7200] {
            let app = TestApp::start(engine).await;
            let client = client_with_expiry(&app, expiry.clone()).await;
            let token = app.access_token(&client, &[]).await;
            let other = replica(&app, -behind).await;
            revoke(&other, &client, &token).await;
            // After a second, `app` asks the database for changes before it answers.
            app.clock.advance(1);
            assert!(!is_active(&app, &client, &token).await, "{expiry}, {behind} s behind");
            assert!(!is_active(&other, &client, &token).await);
            // After the clock is corrected, the token is still revoked.
            other.clock.advance(behind);
            assert!(!is_active(&other, &client, &token).await, "{expiry}, {behind} s behind, corrected");
            other.stop().await;
            app.stop().await;
        }
    }
}

async fn a_token_that_becomes_valid_within_a_minute_is_accepted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = furnished(&app, json!({"mode": "after", "seconds": 600})).await;
    let token = app.access_token(&client, &[]).await;
    for (behind, accepted) in [(60, true), (61, false)] {
        let other = replica(&app, -behind).await;
        assert_eq!(is_active(&other, &client, &token).await, accepted, "{behind}");
        other.stop().await;
    }
    // The same for a token for the management API.
    let token = app.access_token(&admin, &[("scope", "mintmark:manage")]).await;
    for (behind, status) in [(60, 200), (61, 401)] {
        let other = replica(&app, -behind).await;
        let reply = other.request(Method::GET, "/v1/products").bearer_auth(&token).send().await.unwrap();
        assert_eq!(reply.status(), status, "{behind}");
        other.stop().await;
    }
    app.stop().await;
}

async fn a_token_can_be_revoked_until_a_minute_after_its_end(engine: Engine) {
    // A stateless token, and one that is recorded because it is valid for longer than a day. Each is revoked 59 seconds after
    // its end, by the clock of `other`.
    for (ahead, seconds) in [(659, 600), (90_059, 90_000)] {
        let app = TestApp::start(engine).await;
        let client = client_with_expiry(&app, json!({"mode": "after", "seconds": seconds})).await;
        let token = app.access_token(&client, &[]).await;
        let other = replica(&app, ahead).await;
        revoke(&other, &client, &token).await;
        app.clock.advance(1);
        assert!(!is_active(&app, &client, &token).await, "{seconds}");
        other.stop().await;
        app.stop().await;
    }
}

async fn a_denied_token_is_kept_for_two_minutes_after_its_end(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = client_with_expiry(&app, json!({"mode": "after", "seconds": 600})).await;
    let token = app.access_token(&client, &[]).await;
    revoke(&app, &client, &token).await;
    for (seconds, kept) in [(719, 1), (1, 0)] {
        app.clock.advance(seconds);
        jobs::housekeeping_once(&app.core.services).await;
        assert_eq!(app.database.number("SELECT COUNT(*) FROM denied_tokens").await, kept);
    }
    app.stop().await;
}

async fn a_leap_stops_deleting_and_making_keys_for_ten_minutes(engine: Engine) {
    // After the longest leap, the denied token would be deleted.
    for leap in [11, -11, 5_000_000] {
        let app = TestApp::start(engine).await;
        let (admin, client) = furnished(&app, json!({"mode": "after", "seconds": 600})).await;
        let token = app.access_token(&client, &[]).await;
        revoke(&app, &client, &token).await;
        app.clock.leap(leap);
        jobs::housekeeping_once(&app.core.services).await;
        assert_eq!(app.database.number("SELECT COUNT(*) FROM denied_tokens").await, 1, "{leap}");
        assert_eq!(app.database.number("SELECT COUNT(*) FROM signing_keys").await, 2, "{leap}");
        let manager = app.administrator_as(&admin, "mintmark:manage").await;
        let new = json!({"alg": "ES256"});
        let refused = manager.post(KEYS, &new).await;
        assert_eq!(refused.status(), 503, "{leap}");
        assert!(refused.headers().contains_key("retry-after"));
        let why = refused.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned();
        assert!(why.contains("clock"), "{why}");
        // The service still works, and is ready.
        manager.product("other", json!({})).await;
        assert_eq!(ready(&app).await.0, 200);
        app.clock.advance(599);
        assert_eq!(manager.post(KEYS, &new).await.status(), 503, "{leap}");
        app.clock.advance(1);
        assert_eq!(manager.post(KEYS, &new).await.status(), 201, "{leap}");
        jobs::housekeeping_once(&app.core.services).await;
        app.stop().await;
    }
    // A change of at most ten seconds is not a leap.
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    app.clock.leap(10);
    assert_eq!(admin.post(KEYS, &json!({"alg": "ES256"})).await.status(), 201);
    app.stop().await;
}

async fn a_leap_before_the_start_is_noticed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.bootstrap().await;
    let (database, clock) = (Arc::clone(&app.database), Arc::clone(&app.clock));
    app.stop().await;
    // More than an hour since the database was last served counts as a leap.
    for (stopped, status) in [(3_600, 201), (3_601, 503)] {
        clock.advance(stopped);
        for starts in 0..2 {
            let app = TestApp::start_on(Arc::clone(&database), Arc::clone(&clock), "").await;
            let manager = app.administrator_as(&admin, "mintmark:manage").await;
            // While the first new key is pending, no other of its algorithm is accepted.
            let alg = if starts == 0 { "ES256" } else { "EdDSA" };
            let reply = manager.post(KEYS, &json!({"alg": alg})).await;
            // A second start does not hide the leap.
            assert_eq!(reply.status(), status, "stopped for {stopped} s, start {starts}");
            app.stop().await;
        }
    }
    let app = TestApp::start_on(database, Arc::clone(&clock), "").await;
    clock.advance(600);
    app.core.services.ledger.beat().await.unwrap();
    let manager = app.administrator_as(&admin, "mintmark:manage").await;
    assert_eq!(manager.post(KEYS, &json!({"alg": "EdDSA", "use_for": "never_expiring"})).await.status(), 201);
    app.stop().await;
}

async fn setting_a_clock_back_does_not_make_stale_memory_fresh(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = client_with_expiry(&app, json!({"mode": "after", "seconds": 600})).await;
    app.access_token(&client, &[]).await;
    app.database.go_away().await;
    app.clock.leap(-30);
    // Memory is stale five seconds after the last answer of the database.
    app.clock.advance_millis(5_001);
    assert_eq!(app.token(&client, &[]).await.status(), 503);
    app.database.come_back().await;
    app.stop().await;
}

#[tokio::test]
async fn a_replica_whose_clock_differs_from_the_database_issues_nothing() {
    for ahead in [31, -31] {
        let app = TestApp::start(Engine::Postgres).await;
        let admin = app.administrator().await;
        admin.product("gst", json!({})).await;
        let (client, made) = admin.client("platform", json!({"products": ["gst"]})).await;
        let token = app.access_token(&client, &[]).await;
        let ledger = &app.core.services.ledger;
        // A difference of 30 seconds is tolerated, 31 are not.
        app.clock.be_ahead_of_database(ahead.clamp(-30, 30));
        ledger.poll().await.unwrap();
        app.access_token(&client, &[]).await;
        app.clock.be_ahead_of_database(ahead);
        ledger.poll().await.unwrap();
        let shown = metric(&app, "mintmark_clock_skew_seconds");
        assert!((shown - if ahead > 0 { 31.0 } else { -31.0 }).abs() < 0.1, "{shown}");
        let refused = app.token(&client, &[]).await;
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        let id = made["client_id"].as_str().unwrap();
        let tokens = format!("/v1/api-clients/{id}/access-tokens");
        for (path, body) in [(tokens.as_str(), json!({})), (KEYS, json!({"alg": "ES256"}))] {
            let refused = admin.post(path, &body).await;
            assert_eq!(refused.status(), 503, "{path}");
            let why = refused.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned();
            assert!(why.contains("clock of this machine differs"), "{why}");
        }
        // Everything else still works.
        assert!(is_active(&app, &client, &token).await);
        revoke(&app, &client, &token).await;
        assert!(!is_active(&app, &client, &token).await);
        admin.product("other", json!({})).await;
        app.clock.be_ahead_of_database(0);
        ledger.poll().await.unwrap();
        app.access_token(&client, &[]).await;
        app.stop().await;
    }
}
