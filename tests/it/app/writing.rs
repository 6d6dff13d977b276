//! Writing fails and works again: refused changes were not made, the next change succeeds without a restart, and `/readyz`
//! shows the state at once.

use std::fs;
use std::sync::Arc;

use serde_json::json;

use super::{metric, ready};
use crate::support::{Engine, TestApp, on_both_engines, until};

on_both_engines!(
    a_failed_commit_shows_at_once_and_the_next_change_succeeds,
    waiting_for_the_writer_is_not_a_failure_for_fifteen_seconds,
    a_refused_revocation_changed_nothing_and_succeeds_later,
);

const FULL: &str = "the database accepts no writes: see the log";

async fn a_failed_commit_shows_at_once_and_the_next_change_succeeds(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let rename = async |name: &str| admin.patch("/v1/products/gst", &json!({"name": name})).await.status();
    assert_eq!(ready(&app).await.0, 200);
    assert!(metric(&app, "mintmark_db_write_failures_total").abs() < 0.5);
    for round in 0..3 {
        app.database.fill_disk().await;
        for _ in 0..3 {
            assert_eq!(rename("full").await, 503, "round {round}");
        }
        assert_eq!(ready(&app).await, (503, json!(FULL)));
        assert!(metric(&app, "mintmark_db_write_failures_total") >= 3.0);
        app.database.empty_disk().await;
        assert_eq!(rename(&format!("name {round}")).await, 200);
        assert_eq!(ready(&app).await.0, 200);
    }
    // If nothing else is written, the heartbeat notices that writing fails, and that it works again.
    app.core.services.ledger.beat().await.unwrap();
    app.database.fill_disk().await;
    app.core.services.ledger.beat().await.unwrap_err();
    assert_eq!(ready(&app).await, (503, json!(FULL)));
    app.database.empty_disk().await;
    app.core.services.ledger.beat().await.unwrap();
    assert_eq!(ready(&app).await.0, 200);
    app.stop().await;
}

async fn a_refused_revocation_changed_nothing_and_succeeds_later(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (erp, _) =
        admin.client("platform", json!({"products": ["gst"], "token_expiry": {"mode": "never"}})).await;
    let token = app.access_token(&erp, &[]).await;
    app.database.fill_disk().await;
    let revoke = || app.request(reqwest::Method::POST, "/oauth2/revoke");
    let as_erp = |request: reqwest::RequestBuilder| {
        request.basic_auth(&erp.client_id, Some(&erp.client_secret)).form(&[("token", &token)])
    };
    assert_eq!(as_erp(revoke()).send().await.unwrap().status(), 503);
    let introspected = as_erp(app.request(reqwest::Method::POST, "/oauth2/introspect")).send().await.unwrap();
    assert_eq!(introspected.json::<serde_json::Value>().await.unwrap()["active"], true);
    app.database.empty_disk().await;
    assert_eq!(as_erp(revoke()).send().await.unwrap().status(), 200);
    let introspected = as_erp(app.request(reqwest::Method::POST, "/oauth2/introspect")).send().await.unwrap();
    assert_eq!(introspected.json::<serde_json::Value>().await.unwrap(), json!({"active": false}));
    app.stop().await;
}

async fn waiting_for_the_writer_is_not_a_failure_for_fifteen_seconds(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ledger = &app.core.services.ledger;
    let mut session = app.database.session().await;
    // As another process that writes and does not commit.
    session.begin().await;
    session.execute("UPDATE service_state SET change_seq = change_seq").await;
    ledger.beat().await.unwrap_err();
    app.clock.advance_millis(14_000);
    ledger.poll().await.unwrap();
    assert_eq!(ready(&app).await.0, 200);
    app.clock.advance_millis(1_000);
    ledger.poll().await.unwrap();
    let why = "another process has been writing to the database for too long: see the log";
    assert_eq!(ready(&app).await, (503, json!(why)));
    assert!(metric(&app, "mintmark_db_write_failures_total").abs() < 0.5);
    session.execute("ROLLBACK").await;
    ledger.beat().await.unwrap();
    assert_eq!(ready(&app).await.0, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_read_only_postgres_is_not_ready() {
    let app = TestApp::start(Engine::Postgres).await;
    let admin = app.administrator().await;
    app.core.services.ledger.beat().await.unwrap();
    app.database.set_read_only(true).await;
    app.core.services.ledger.poll().await.unwrap();
    // A connection that was being opened at that moment may still write.
    until("nothing can be written", async || app.core.services.ledger.beat().await.is_err()).await;
    assert_eq!(ready(&app).await, (503, json!(FULL)));
    // Requests that only read still work.
    assert_eq!(admin.get("/v1/products").await.status(), 200);
    app.database.set_read_only(false).await;
    app.core.services.ledger.beat().await.unwrap();
    assert_eq!(ready(&app).await.0, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_probe_does_not_touch_the_database() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let app = TestApp::start(engine).await;
        app.database.go_away().await;
        app.core.services.ledger.poll().await.unwrap_err();
        assert_eq!(ready(&app).await, (503, json!("the database does not answer: see the log")));
        app.database.come_back().await;
        // Nothing has used the database since it came back.
        assert_eq!(ready(&app).await.0, 503);
        app.core.services.ledger.poll().await.unwrap();
        app.core.services.ledger.beat().await.unwrap();
        assert_eq!(ready(&app).await.0, 200);
        app.stop().await;
    }
}

/// The write-ahead log of a SQLite database has the last commits. If it is removed, they are lost when the process is killed.
#[tokio::test]
async fn a_removed_file_of_the_database_is_noticed() {
    for suffix in ["-wal", "-shm", ""] {
        let app = TestApp::start(Engine::Sqlite).await;
        let admin = app.administrator().await;
        admin.product("before", json!({})).await;
        let mut file = app.database.file().into_os_string();
        file.push(suffix);
        fs::remove_file(&file).unwrap();
        let refused = admin.post("/v1/products", &json!({"product": "gst", "name": "GST"})).await;
        assert_eq!(refused.status(), 503, "{suffix}");
        let error = app.core.services.ledger.poll().await.unwrap_err().to_string();
        assert!(error.contains("removed") && error.contains("mintmark.db"), "{error}");
        assert_eq!(ready(&app).await.0, 503, "{suffix}");
        let database = Arc::clone(&app.database);
        app.stop().await;
        // The service was stopped properly, so it has written what was only in the removed log into the database file.
        if !suffix.is_empty() {
            let storage = database.open().await;
            assert!(storage.product("before").await.unwrap().is_some(), "{suffix}");
            assert!(storage.product("gst").await.unwrap().is_none(), "{suffix}");
        }
    }
}
