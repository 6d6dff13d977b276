//! What issuing writes (`docs/tokens.md`): nothing for a stateless token, and for a recorded one a row that is durable
//! before the token is sent.

use serde_json::json;

use super::expect::{GRANT, Token, issued, reply_as};
use crate::support::{Credentials, Engine, START, TestApp, on_both_engines};

on_both_engines!(
    a_stateless_token_writes_nothing,
    a_recorded_token_is_stored_before_the_reply,
    the_record_threshold_is_a_setting,
    refused_requests_are_not_recorded,
);

async fn token(app: &TestApp, client: &Credentials) -> Token {
    issued(&reply_as(app, client, GRANT).await)
}

async fn a_stateless_token_writes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let day = json!({"mode": "after", "seconds": 86_400});
    let (client, _) = admin.client("platform", json!({"products": ["gst"], "token_expiry": day})).await;
    let mut session = app.database.session().await;
    let before = session.everything().await;
    // On SQLite also the files are compared. On PostgreSQL there are none at these paths.
    let file = std::path::Path::new(app.database.url().trim_start_matches("sqlite://")).to_owned();
    let log = file.with_extension("db-wal");
    let on_disk = || (std::fs::read(&file).ok(), std::fs::read(&log).ok());
    let bytes = on_disk();
    assert_eq!(bytes.1.is_some(), engine == Engine::Sqlite);
    for _ in 0..20 {
        token(&app, &client).await;
    }
    assert!(on_disk() == bytes, "a byte of the database was written");
    assert_eq!(session.everything().await, before);
    assert_eq!(session.number("SELECT COUNT(*) FROM access_tokens").await, 0);
    app.stop().await;
}

async fn a_recorded_token_is_stored_before_the_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for product in ["gst", "e-invoicing"] {
        admin.product(product, json!({})).await;
    }
    admin.workspace("acme", json!({})).await;
    let mut session = app.database.session().await;
    let mut count = 0;
    for (expiry, expires_at) in [
        (json!({"mode": "never"}), "-".to_owned()),
        (json!({"mode": "after", "seconds": 86_401}), (START + 86_401).to_string()),
    ] {
        let more = json!({"products": ["gst", "e-invoicing"], "token_expiry": expiry});
        let (client, _) = admin.client("acme", more).await;
        let token = token(&app, &client).await;
        count += 1;
        assert_eq!(session.number("SELECT COUNT(*) FROM access_tokens").await, count);
        let jti = token.claims["jti"].as_str().unwrap();
        let row = session
            .texts(&format!(
                "SELECT client_id || ' ' || workspace_id || ' ' || kid || ' ' || generation || ' [' || scope || '] ['
                    || products || '] ' || issued_at || ' ' || COALESCE(CAST(expires_at AS TEXT), '-') || ' '
                    || COALESCE(CAST(revoked_at AS TEXT), '-') || ' ' || issued_by
                FROM access_tokens WHERE jti = '{jti}'"
            ))
            .await;
        let scope = "[e-invoicing gst]";
        let kid = token.header["kid"].as_str().unwrap();
        let expected =
            format!("{} acme {kid} 1 {scope} {scope} {START} {expires_at} - client", client.client_id);
        assert_eq!(row, [expected]);
        // The token itself is not in the database.
        let all = session.everything().await;
        assert!(all.contains(jti) && !all.contains(token.text.rsplit('.').next().unwrap()));
    }
    // Issuing a token adds no audit event, and no change that would invalidate caches.
    let events = session.number("SELECT COUNT(*) FROM audit_events").await;
    let changes = session.number("SELECT change_seq FROM service_state").await;
    let never = json!({"products": ["gst"], "token_expiry": {"mode": "never"}});
    let (client, _) = admin.client("acme", never).await;
    let (after_creation, seq) = (
        session.number("SELECT COUNT(*) FROM audit_events").await,
        session.number("SELECT change_seq FROM service_state").await,
    );
    assert!(after_creation > events && seq > changes);
    token(&app, &client).await;
    assert_eq!(session.number("SELECT COUNT(*) FROM audit_events").await, after_creation);
    assert_eq!(session.number("SELECT change_seq FROM service_state").await, seq);
    app.stop().await;
}

async fn the_record_threshold_is_a_setting(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.record_above_seconds = 600").await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    // The administrator's own token is valid for longer than the threshold, so it is already recorded.
    let mut recorded = app.database.number("SELECT COUNT(*) FROM access_tokens").await;
    assert_eq!(recorded, 1);
    for (seconds, is_recorded) in [(600, false), (601, true)] {
        let expiry = json!({"mode": "after", "seconds": seconds});
        let (client, _) =
            admin.client("platform", json!({"products": ["gst"], "token_expiry": expiry})).await;
        token(&app, &client).await;
        recorded += i64::from(is_recorded);
        assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, recorded, "{seconds}");
    }
    // The lifetime of the token counts, not the `token_expiry`: this client expires ten minutes after `START`.
    let more = json!({
        "products": ["gst"], "token_expiry": {"mode": "never"}, "active_tokens": "many",
        "expires_at": "2026-09-21T14:23:20Z",
    });
    let (client, _) = admin.client("platform", more).await;
    assert_eq!(token(&app, &client).await.reply["expires_in"], 600);
    assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, recorded);
    app.stop().await;
}

async fn refused_requests_are_not_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let never = json!({"products": ["gst"], "token_expiry": {"mode": "never"}});
    let (client, _) = admin.client("platform", never).await;
    let wrong = Credentials { client_secret: "wrong".to_owned(), ..client.clone() };
    assert_eq!(reply_as(&app, &wrong, GRANT).await.status, 401);
    for more in ["&scope=nothing", "&resource=https://nowhere.example", "&x=%zz"] {
        assert_eq!(reply_as(&app, &client, format!("{GRANT}{more}")).await.status, 400);
    }
    assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, 0);
    app.stop().await;
}
