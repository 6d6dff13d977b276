//! Token revocation (RFC 7009; `docs/conformance.md` R1–R7): a client revokes its own tokens, and after 200 they are not
//! valid.

use futures_util::future::join_all;
use mintmark::kernel::Manager;
use mintmark::model::status::{Status, status};
use mintmark::signing::handle::TokenTyp;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::expect::{FORM, Token, invalid_client, invalid_request, refused};
use super::presenting::{
    INTROSPECT, REVOKE, SIGNED, acknowledged, active, client_in, form, inactive, introspected, never,
    recorded, revoked, signed, stateless, token_of, with,
};
use crate::support::{Engine, Reply, START, TestApp, on_both_engines};

on_both_engines!(
    r1_a_client_revokes_its_own_token,
    r1_the_client_must_authenticate,
    r2_an_invalid_or_unknown_token_gets_the_same_reply,
    r3_the_token_of_another_client_stays_active,
    r4_the_token_is_required_and_the_hint_ignored,
    r4_jwts_that_are_not_access_tokens_cannot_be_revoked,
    r4_a_token_in_the_url_is_not_read,
    r5_a_revocation_that_is_not_stored_is_not_acknowledged,
    r6_the_status_list_shows_a_revoked_recorded_token,
    r7_simultaneous_revocations_are_stored_once,
    a_revocation_is_in_force_on_every_replica,
);

async fn r1_a_client_revokes_its_own_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for (n, expiry) in [stateless(), recorded(), never()].into_iter().enumerate() {
        let client = client_in(&admin, "acme", expiry).await;
        let (one, other) = (token_of(&app, &client).await.text, token_of(&app, &client).await);
        active(&introspected(&app, &client, &one).await);
        acknowledged(&revoked(&app, &client, &one).await);
        inactive(&introspected(&app, &client, &one).await);
        // Only that token is revoked.
        active(&introspected(&app, &client, &other.text).await);
        // Credentials in the form work too.
        let (id, secret) = (client.client_id.as_str(), client.client_secret.as_str());
        let post = [("token", other.text.as_str()), ("client_id", id), ("client_secret", secret)];
        acknowledged(&Reply::to(app.request(Method::POST, REVOKE).form(&post)).await);
        inactive(&introspected(&app, &client, &other.text).await);

        let path = format!("/v1/audit-events?client_id={id}&action=access_token.revoked");
        let events = Reply::of(admin.get(&path).await).await.json();
        let events = events["items"].as_array().unwrap();
        assert_eq!(events.len(), 2, "{n}: {events:?}");
        let jti = &other.claims["jti"];
        let event = events.iter().find(|event| event["target"] == *jti).unwrap();
        let expected = (json!(format!("client:{id}")), json!("127.0.0.1"), json!("acme"));
        assert_eq!(
            (event["actor"].clone(), event["source_ip"].clone(), event["workspace_id"].clone()),
            expected
        );
        assert!(event["request_id"].is_string());
        // Neither the token nor its signature is stored.
        let all = app.database.session().await.everything().await;
        assert!(!all.contains(other.text.rsplit('.').next().unwrap()));
    }
    app.stop().await;
}

async fn r1_the_client_must_authenticate(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    let by = |parameters: &[(&str, &str)]| app.request(Method::POST, REVOKE).form(parameters);
    let asked = [("token", token.as_str())];
    for request in [
        by(&asked),
        by(&[("token", &token), ("client_id", &client.client_id)]),
        by(&asked).basic_auth(&client.client_id, Some("wrong")),
        by(&asked).bearer_auth(&token),
        by(&asked).bearer_auth(&admin.token),
    ] {
        invalid_client(&Reply::to(request).await);
    }
    active(&introspected(&app, &client, &token).await);
    app.stop().await;
}

async fn r2_an_invalid_or_unknown_token_gets_the_same_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let never_expiring = client_in(&admin, "acme", never()).await;
    let token = token_of(&app, &client).await;
    let other = TestApp::start(engine).await;
    let foreign = token_of(&other, &other.bootstrap().await).await.text;
    other.stop().await;
    let (rest, _) = token.text.rsplit_once('.').unwrap();
    let elsewhere = json!({"status_list": {"idx": 1, "uri": format!("{}/oauth2/status-lists/9", app.base)}});
    let forged = |changes| signed(&app, TokenTyp::AccessToken, &with(&token.claims, changes));
    for unknown in [
        "x",
        "..",
        "ä",
        rest,
        &format!("{rest}.AAAA"),
        &foreign,
        &client.client_secret,
        &"x".repeat(20_000),
        &forged(json!({"exp": START})),
        &forged(json!({"nbf": START + 60})),
        // A token with the slot of a recorded token, but without a row.
        &forged(json!({"jti": "unrecorded", "status": elsewhere})),
    ] {
        acknowledged(&revoked(&app, &client, unknown).await);
    }
    for _ in 0..2 {
        acknowledged(&revoked(&app, &client, &token.text).await);
        let recorded = token_of(&app, &never_expiring).await.text;
        acknowledged(&revoked(&app, &never_expiring, &recorded).await);
        acknowledged(&revoked(&app, &never_expiring, &recorded).await);
    }
    // Tokens of a generation that has ended get the same reply.
    let old = [token_of(&app, &client).await.text, token_of(&app, &never_expiring).await.text];
    let before = denied(&app).await;
    for (client, old) in [&client, &never_expiring].into_iter().zip(&old) {
        app.core.services.tokens.revoke_tokens(&Manager::command_line(), &client.client_id).await.unwrap();
        acknowledged(&revoked(&app, client, old).await);
        inactive(&introspected(&app, client, old).await);
    }
    // So does a token that has expired, even by the clock of a replica that is a minute slow.
    let last = token_of(&app, &client).await.text;
    app.clock.advance(3660);
    acknowledged(&revoked(&app, &client, &last).await);
    assert_eq!(denied(&app).await, before, "a token that is not valid needs no row");
    app.stop().await;
}

async fn denied(app: &TestApp) -> i64 {
    app.database.number("SELECT COUNT(*) FROM denied_tokens").await
}

async fn r3_the_token_of_another_client_stays_active(engine: Engine) {
    let app = TestApp::start(engine).await;
    let of_platform = app.bootstrap().await;
    let admin = app.administrator_as(&of_platform, "mintmark:manage").await;
    for expiry in [stateless(), recorded(), never()] {
        let client = client_in(&admin, "acme", expiry.clone()).await;
        let token = token_of(&app, &client).await.text;
        let neighbour = client_in(&admin, "acme", expiry.clone()).await;
        let stranger = client_in(&admin, "other", expiry).await;
        // A client with all permissions cannot revoke the token here either. It may do so in `/v1`.
        for other in [&neighbour, &stranger, &of_platform] {
            let reply = revoked(&app, other, &token).await;
            invalid_request(&reply);
            assert!(reply.text().contains("another client"), "{}", reply.text());
            active(&introspected(&app, &client, &token).await);
        }
    }
    assert_eq!(
        app.database.number("SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NOT NULL").await,
        0
    );
    assert_eq!(denied(&app).await, 0);
    app.stop().await;
}

async fn r4_the_token_is_required_and_the_hint_ignored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    let hint = ("token_type_hint", "access_token");
    for parameters in [
        &[][..],
        &[hint],
        &[("token", "")],
        &[("token", &token), ("token", &token)],
        &[("token", &token), hint, hint],
    ] {
        invalid_request(&Reply::to(form(&app, REVOKE, &client, parameters)).await);
    }
    active(&introspected(&app, &client, &token).await);
    for hint in ["access_token", "refresh_token", "id_token", "x", ""] {
        let token = token_of(&app, &client).await.text;
        let with_hint = [("token", token.as_str()), ("token_type_hint", hint), ("x", "y")];
        acknowledged(&Reply::to(form(&app, REVOKE, &client, &with_hint)).await);
        inactive(&introspected(&app, &client, &token).await);
    }
    app.stop().await;
}

async fn r4_jwts_that_are_not_access_tokens_cannot_be_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await;
    let reply = form(&app, INTROSPECT, &client, &[("token", &token.text)]).header("accept", SIGNED);
    let reply = Reply::to(reply).await.text();
    let list = signed(&app, TokenTyp::StatusList, &json!({"sub": "x"}));
    for other in [&reply, &list] {
        refused(&revoked(&app, &client, other).await, 400, "unsupported_token_type");
    }
    // A JWT that another issuer signed gets the reply for an unknown token, whatever its `typ`.
    let (_, rest) = list.split_once('.').unwrap();
    let header = r#"{"alg":"ES256","kid":"of-another","typ":"statuslist+jwt"}"#;
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header);
    acknowledged(&revoked(&app, &client, &format!("{encoded}.{rest}")).await);
    active(&introspected(&app, &client, &token.text).await);
    app.stop().await;
}

async fn r4_a_token_in_the_url_is_not_read(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    let by = |request: RequestBuilder| request.basic_auth(&client.client_id, Some(&client.client_secret));
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let path = format!("{REVOKE}?token={token}");
        refused(&Reply::to(by(app.request(method, &path))).await, 405, "invalid_request");
    }
    let post = by(app.request(Method::POST, &format!("{REVOKE}?token={token}")));
    invalid_request(&Reply::to(post.header("content-type", FORM).body("x=y")).await);
    active(&introspected(&app, &client, &token).await);
    app.stop().await;
}

async fn r5_a_revocation_that_is_not_stored_is_not_acknowledged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for expiry in [stateless(), recorded(), never()] {
        let client = client_in(&admin, "acme", expiry).await;
        let token = token_of(&app, &client).await.text;
        app.database.go_away().await;
        let unavailable = async || {
            let reply = revoked(&app, &client, &token).await;
            refused(&reply, 503, "temporarily_unavailable");
            assert_eq!(reply.header("retry-after"), Some("5"));
        };
        unavailable().await;
        app.clock.advance_millis(5001);
        unavailable().await;
        app.database.come_back().await;
        // No revocation was acknowledged, and none was stored.
        active(&introspected(&app, &client, &token).await);
        acknowledged(&revoked(&app, &client, &token).await);
        inactive(&introspected(&app, &client, &token).await);
    }
    // The revocation fails at its last write, when the other rows are already changed.
    let client = client_in(&admin, "acme", never()).await;
    let token = token_of(&app, &client).await.text;
    let mut session = app.database.session().await;
    session.execute("ALTER TABLE audit_events RENAME TO audit_events_away").await;
    refused(&revoked(&app, &client, &token).await, 503, "temporarily_unavailable");
    active(&introspected(&app, &client, &token).await);
    session.execute("ALTER TABLE audit_events_away RENAME TO audit_events").await;
    acknowledged(&revoked(&app, &client, &token).await);
    inactive(&introspected(&app, &client, &token).await);
    app.stop().await;
}

/// The status of a token in its list.
async fn listed(app: &TestApp, token: &Token) -> Status {
    let place = &token.claims["status"]["status_list"];
    let list = place["uri"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap();
    let list = app.core.services.tokens.status_list(list).await.unwrap().unwrap();
    status(&list.bits, u32::try_from(place["idx"].as_u64().unwrap()).unwrap()).unwrap()
}

async fn r6_the_status_list_shows_a_revoked_recorded_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let product = json!({"products": ["gst"]});
    for (expiry, afterwards) in
        // A stateless token shares its slot with other valid tokens; offline it is valid until its `exp`.
        [(stateless(), Status::Valid), (recorded(), Status::Invalid), (never(), Status::Invalid)]
    {
        let client = client_in(&admin, "acme", with(&product, expiry)).await;
        let (one, other) = (token_of(&app, &client).await, token_of(&app, &client).await);
        assert_eq!(listed(&app, &one).await, Status::Valid);
        acknowledged(&revoked(&app, &client, &one.text).await);
        assert_eq!(listed(&app, &one).await, afterwards);
        assert_eq!(listed(&app, &other).await, Status::Valid);
    }
    app.stop().await;
}

async fn r7_simultaneous_revocations_are_stored_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for expiry in [stateless(), never()] {
        let contact = json!({"notification_emails": ["it@acme.example"]});
        let client = client_in(&admin, "acme", with(&expiry, contact)).await;
        let token = token_of(&app, &client).await.text;
        let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'access_token.revoked'";
        let mails = "SELECT COUNT(*) FROM deliveries WHERE kind = 'access_token.revoked'";
        let (events_before, mails_before) =
            (app.database.number(events).await, app.database.number(mails).await);
        for reply in join_all((0..50).map(|_| revoked(&app, &client, &token))).await {
            acknowledged(&reply);
        }
        inactive(&introspected(&app, &client, &token).await);
        assert_eq!(app.database.number(events).await, events_before + 1);
        assert_eq!(app.database.number(mails).await, mails_before + 1);
    }
    app.stop().await;
}

async fn a_revocation_is_in_force_on_every_replica(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let other = app.replica(&format!("server.public_url = {:?}", app.base)).await;
    let members: [Value; 3] = [stateless(), recorded(), never()];
    for expiry in members {
        let client = client_in(&admin, "acme", expiry).await;
        let token = token_of(&app, &client).await.text;
        app.clock.advance(1);
        active(&introspected(&other, &client, &token).await);
        acknowledged(&revoked(&app, &client, &token).await);
        // The other replica refuses the token immediately too, because it reads the database each time.
        inactive(&introspected(&other, &client, &token).await);
        acknowledged(&revoked(&other, &client, &token).await);
    }
    other.stop().await;
    app.stop().await;
}
