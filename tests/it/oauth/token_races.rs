//! No token is issued to a client that may no longer get it (`docs/revocation.md`): if the client loses the right to the token
//! between authentication and commit, the token is neither recorded nor returned.
//!
//! In most of these tests an open transaction makes the change. The request does not see the change when it authenticates, and
//! has to wait for the transaction before it records the token.

use std::sync::Arc;

use mintmark::clients::Credentials as Known;
use mintmark::issuance::{IssueError, TokenRequest};
use mintmark::kernel::{Manager, Precondition};
use mintmark::model::proof::Proof;
use mintmark::model::token::RecordedToken;
use mintmark::storage::{IssueCheck, IssueGuard};
use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{GRANT, invalid_client, issued, post_as, refused, reply_as};
use super::verifying::accepted;
use crate::support::{
    Administrator, Credentials, Engine, Reply, TestApp, on_both_engines, outcome_after, until,
};

on_both_engines!(
    a_client_that_may_no_longer_get_tokens_gets_none,
    a_generation_that_ended_meanwhile_is_followed_by_the_next,
    a_generation_that_ended_meanwhile_does_not_fail_an_administrators_request,
    a_key_that_retired_meanwhile_is_followed_by_its_successor,
    without_a_successor_there_is_no_token,
    a_second_change_during_a_request_gets_503_with_retry_after,
    changes_by_an_administrator_in_the_meantime_take_effect,
    revoking_a_key_revokes_a_token_that_is_being_recorded,
    a_token_whose_key_is_revoked_meanwhile_is_signed_by_the_successor,
    a_parked_request_gets_its_token_if_nothing_changed,
);

const COUNT: &str = "SELECT COUNT(*) FROM access_tokens";

/// A client with never-expiring tokens of one product, in a workspace of its own.
async fn client_in(admin: &Administrator<'_>, workspace: &str) -> Credentials {
    admin.workspace(workspace, json!({})).await;
    admin.client(workspace, json!({"products": ["gst"], "token_expiry": {"mode": "never"}})).await.0
}

/// An administrator. The product `gst` exists.
async fn stocked(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin
}

/// The reply to a token request of `client` that waits between authentication and commit while `change` is committed.
async fn parked(app: &TestApp, client: &Credentials, change: &str) -> Reply {
    // The client is cached from here on, so that authentication does not read the database.
    issued(&reply_as(app, client, GRANT).await);
    // The next use of the secret then has another time.
    app.clock.advance(1);
    let now = app.core.services.clock().now();
    let mut session = app.database.session().await;
    session.begin().await;
    session.execute(change).await;
    let mut request = std::pin::pin!(Reply::to(post_as(app, client, GRANT)));
    let waits = async {
        let caller = Manager::command_line();
        let services = &app.core.services;
        let has_authenticated = async || {
            let client = services.clients.client(&caller, &client.client_id).await.unwrap();
            client.secrets[0].last_used_at == Some(now)
        };
        until("the client has authenticated", has_authenticated).await;
        app.database.someone_waits().await;
    };
    tokio::select! {
        biased;
        reply = &mut request => panic!("the request should have waited: {reply:?}"),
        () = waits => {}
    }
    session.execute("COMMIT").await;
    request.await
}

async fn a_client_that_may_no_longer_get_tokens_gets_none(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    for (n, change) in [
        "UPDATE api_clients SET disabled_at = 1 WHERE client_id = '{client}'",
        "DELETE FROM api_clients WHERE client_id = '{client}'",
        "UPDATE api_clients SET expires_at = {now} WHERE client_id = '{client}'",
        "DELETE FROM client_secrets WHERE client_id = '{client}'",
        "UPDATE client_secrets SET expires_at = {now} WHERE client_id = '{client}'",
        "UPDATE workspaces SET suspended_at = 1 WHERE workspace_id = '{workspace}'",
    ]
    .into_iter()
    .enumerate()
    {
        let workspace = format!("w{n}");
        let client = client_in(&admin, &workspace).await;
        let before = app.database.number(COUNT).await;
        // The time of the request: `parked` advances the clock by a second.
        let now = app.core.services.clock().now() + 1;
        let change = change.replace("{client}", &client.client_id).replace("{workspace}", &workspace);
        let reply = parked(&app, &client, &change.replace("{now}", &now.to_string())).await;
        invalid_client(&reply);
        assert_eq!(app.database.number(COUNT).await, before + 1, "{change}");
    }
    app.stop().await;
}

/// If only the generation has ended, the request is checked again with the client's current state.
async fn a_generation_that_ended_meanwhile_is_followed_by_the_next(engine: Engine) {
    const NEXT: &str = "UPDATE api_clients SET generation = generation + 1";
    /// `tokens.never_expires.expires_in`, for tokens that never expire.
    const YEAR: i64 = 31_536_000;
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    admin.product("tax", json!({})).await;
    for (n, (change, products, expires_in)) in [
        ("", json!(["gst"]), YEAR),
        // The token includes the product that the client has now.
        (
            ", version = version + 1 WHERE client_id = '{client}';
             UPDATE client_products SET product = 'tax'",
            json!(["tax"]),
            YEAR,
        ),
        // A token of 60 seconds needs no record. This one is recorded all the same, because the client is checked for the last time
        // when the row is written.
        (", token_expiry_seconds = 60, active_tokens = 'many'", json!(["gst"]), 60),
        // The address of the request is compared with the new list.
        (", allowed_ips = '127.0.0.0/8'", json!(["gst"]), YEAR),
    ]
    .into_iter()
    .enumerate()
    {
        let client = client_in(&admin, &format!("w{n}")).await;
        let change = format!("{NEXT}{change} WHERE client_id = '{{client}}'");
        let token = issued(&parked(&app, &client, &change.replace("{client}", &client.client_id)).await);
        assert_eq!((&token.claims["products"], &token.reply["expires_in"]), (&products, &json!(expires_in)));
        accepted(&app, &token).await;
        let its_row = format!(
            "SELECT COUNT(*) FROM access_tokens WHERE generation = 2 AND jti = {}",
            quoted(&token.claims)
        );
        assert_eq!(app.database.number(&its_row).await, 1);
    }
    // The second check finds that the client may no longer get tokens.
    for (n, change) in [
        ", disabled_at = 1 WHERE client_id = '{client}'",
        ", allowed_ips = '203.0.113.7/32' WHERE client_id = '{client}'",
        " WHERE client_id = '{client}'; DELETE FROM client_secrets WHERE client_id = '{client}'",
        " WHERE client_id = '{client}';
          UPDATE workspaces SET suspended_at = 1 WHERE workspace_id = '{workspace}'",
    ]
    .into_iter()
    .enumerate()
    {
        let workspace = format!("x{n}");
        let client = client_in(&admin, &workspace).await;
        let change = format!("{NEXT}{change}").replace("{client}", &client.client_id);
        invalid_client(&parked(&app, &client, &change.replace("{workspace}", &workspace)).await);
    }
    app.stop().await;
}

/// A token that an administrator generates is recorded in the next generation too.
async fn a_generation_that_ended_meanwhile_does_not_fail_an_administrators_request(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client_in(&admin, "acme").await;
    let path = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    admin.create(&path, &json!({})).await;
    let mut session = app.database.session().await;
    session.begin().await;
    let change = "UPDATE api_clients SET generation = generation + 1 WHERE client_id = '{client}';
        UPDATE service_state SET change_seq = change_seq + 1;
        INSERT INTO change_log (seq, kind, id) SELECT change_seq, 'client', '{client}' FROM service_state";
    session.execute(&change.replace("{client}", &client.client_id)).await;
    let everything = json!({});
    let committing = async { session.execute("COMMIT").await };
    let made = outcome_after(&app.database, admin.create(&path, &everything), committing).await;
    let its_row = format!(
        "SELECT COUNT(*) FROM access_tokens WHERE generation = 2 AND jti = '{}'",
        made["jti"].as_str().unwrap()
    );
    assert_eq!(app.database.number(&its_row).await, 1);
    app.stop().await;
}

async fn a_parked_request_gets_its_token_if_nothing_changed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client_in(&admin, "acme").await;
    let touched =
        format!("UPDATE api_clients SET version = version WHERE client_id = '{}'", client.client_id);
    accepted(&app, &issued(&parked(&app, &client, &touched).await)).await;
    assert_eq!(app.database.number(COUNT).await, 2);
    app.stop().await;
}

/// SQL that retires the active key for never-expiring tokens, as another process does when it rotates the keys.
fn retire(successor: &str) -> String {
    format!(
        "UPDATE signing_keys SET phase = 'retiring', sealed_private = NULL, retired_at = 1
            WHERE use_for = 'never_expiring' AND phase = 'active';
        UPDATE signing_keys SET phase = 'active' WHERE kid = '{successor}';
        UPDATE service_state SET change_seq = change_seq + 1;
        INSERT INTO change_log (seq, kind, id) SELECT change_seq, 'signing_keys', '' FROM service_state"
    )
}

async fn a_key_that_retired_meanwhile_is_followed_by_its_successor(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client_in(&admin, "acme").await;
    let next = admin.create("/v1/signing-keys", &json!({"alg": "ES256", "use_for": "never_expiring"})).await;
    assert_eq!(next["phase"], "pending");
    let kid = next["kid"].as_str().unwrap();
    let token = issued(&parked(&app, &client, &retire(kid)).await);
    assert_eq!(token.header["kid"], kid);
    accepted(&app, &token).await;
    assert_eq!(app.database.number(COUNT).await, 2);
    let its_row =
        format!("SELECT COUNT(*) FROM access_tokens WHERE kid = '{kid}' AND jti = {}", quoted(&token.claims));
    assert_eq!(app.database.number(&its_row).await, 1);
    app.stop().await;
}

/// Revoking a key begins new generations, so that stateless tokens become invalid. A recorded token that is being issued at
/// that moment is signed again and not refused.
async fn a_token_whose_key_is_revoked_meanwhile_is_signed_by_the_successor(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let two_days = json!({"products": ["gst"], "token_expiry": {"mode": "after", "seconds": 172_800}});
    let (client, _) = admin.client("platform", two_days).await;
    let next = admin.create("/v1/signing-keys", &json!({"alg": "ES256"})).await;
    let kid = next["kid"].as_str().unwrap();
    let change = retire(kid).replace("'never_expiring'", "'expiring'")
        + "; UPDATE api_clients SET generation = generation + 1 WHERE client_id = '{client}';
            UPDATE service_state SET change_seq = change_seq + 1;
            INSERT INTO change_log (seq, kind, id) SELECT change_seq, 'client', '{client}' FROM service_state";
    let token = issued(&parked(&app, &client, &change.replace("{client}", &client.client_id)).await);
    assert_eq!(token.header["kid"], kid);
    accepted(&app, &token).await;
    let its_row = format!(
        "SELECT COUNT(*) FROM access_tokens WHERE kid = '{kid}' AND generation = 2 AND jti = {}",
        quoted(&token.claims)
    );
    assert_eq!(app.database.number(&its_row).await, 1);
    app.stop().await;
}

fn quoted(claims: &Value) -> String {
    format!("'{}'", claims["jti"].as_str().unwrap())
}

async fn without_a_successor_there_is_no_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client_in(&admin, "acme").await;
    let reply = parked(&app, &client, &retire("none")).await;
    refused(&reply, 503, "temporarily_unavailable");
    assert_eq!(app.database.number(COUNT).await, 1);
    // `/readyz` names the missing key.
    let ready = Reply::of(app.get("/readyz").await).await;
    assert_eq!(ready.status, 503);
    let check = ready.json()["checks"]["signing_keys"].clone();
    assert_eq!(check["ok"], false);
    assert!(
        check["detail"].as_str().unwrap().contains("no active ES256 key signs never-expiring tokens"),
        "{check}"
    );
    app.stop().await;
}

/// The test makes only one change, which is not in the change log. This process does not notice it, so the second attempt fails
/// like the first.
async fn a_second_change_during_a_request_gets_503_with_retry_after(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client_in(&admin, "acme").await;
    let tokens = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    issued(&reply_as(&app, &client, GRANT).await);
    let mut session = app.database.session().await;
    let retired = "UPDATE signing_keys SET phase = '{phase}' WHERE use_for = 'never_expiring'";
    session.execute(&retired.replace("{phase}", "retiring")).await;

    let reply = reply_as(&app, &client, GRANT).await;
    refused(&reply, 503, "temporarily_unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(reply.json()["error_description"].as_str().unwrap().contains("changed during the request"));
    let generated = Reply::of(admin.post(&tokens, &json!({})).await).await;
    assert_eq!((generated.status, generated.header("retry-after")), (503, Some("1")));
    assert!(generated.json()["detail"].as_str().unwrap().contains("was changed at the same time, twice"));
    assert_eq!(app.database.number(COUNT).await, 1);
    // A request after that is served.
    session.execute(&retired.replace("{phase}", "active")).await;
    issued(&reply_as(&app, &client, GRANT).await);
    app.stop().await;
}

/// Authenticates as a token request does. Returns the cached client and the proof.
async fn authenticated(app: &TestApp, client: &Credentials) -> (Arc<Known>, Proof) {
    let source: std::net::IpAddr = "127.0.0.1".parse().unwrap();
    let services = &app.core.services;
    services
        .clients
        .authenticate_secret(&client.client_id, &client.client_secret, source)
        .await
        .unwrap()
        .unwrap()
}

async fn changes_by_an_administrator_in_the_meantime_take_effect(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    admin.product("tax", json!({})).await;
    for (n, (method, path, body)) in [
        (Method::PATCH, "/v1/api-clients/{client}", json!({"status": "disabled"})),
        (Method::PATCH, "/v1/workspaces/{workspace}", json!({"status": "suspended"})),
        (Method::POST, "/v1/api-clients/{client}/secrets", json!({"expire_others_after_seconds": 0})),
        (Method::DELETE, "/v1/api-clients/{client}/secrets/{secret}?force=true", Value::Null),
        (Method::DELETE, "/v1/api-clients/{client}", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let workspace = format!("w{n}");
        let client = client_in(&admin, &workspace).await;
        let (known, proof) = authenticated(&app, &client).await;
        let path = path.replace("{client}", &client.client_id).replace("{workspace}", &workspace);
        let Proof::Secret { secret_id } = &proof;
        let request = admin.request(method, &path.replace("{secret}", secret_id));
        let done = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        assert!(done.status().is_success(), "{path}: {}", done.text().await.unwrap());
        let before = app.database.number(COUNT).await;
        let outcome = app.core.services.issuer.issue(&known, &proof, TokenRequest::default()).await;
        assert!(matches!(outcome, Err(IssueError::ClientRefused(_))), "{path} {body}: {outcome:?}");
        assert_eq!(app.database.number(COUNT).await, before, "{path}");
    }
    // If only the generation has ended, the client gets a token for what it is granted now.
    for (n, (method, path, body, scope)) in [
        (Method::PATCH, "/v1/api-clients/{client}", json!({"products": ["tax"]}), "tax"),
        (Method::PATCH, "/v1/api-clients/{client}", json!({"active_tokens": "replace"}), "gst"),
        (Method::DELETE, "/v1/api-clients/{client}/access-tokens", Value::Null, "gst"),
    ]
    .into_iter()
    .enumerate()
    {
        let client = client_in(&admin, &format!("g{n}")).await;
        let (known, proof) = authenticated(&app, &client).await;
        let request = admin.request(method, &path.replace("{client}", &client.client_id));
        let done = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        assert!(done.status().is_success(), "{path}: {}", done.text().await.unwrap());
        let issued = app.core.services.issuer.issue(&known, &proof, TokenRequest::default()).await.unwrap();
        assert_eq!(&*issued.grant.scope, scope, "{path} {body}");
        let old = TokenRequest { scope: "gst", ..TokenRequest::default() };
        let asked = app.core.services.issuer.issue(&known, &proof, old).await;
        assert_eq!(asked.is_ok(), scope == "gst", "{path} {body}: {asked:?}");
    }
    // The secret expires while the request is in progress.
    let client = client_in(&admin, "ending").await;
    let path = format!("/v1/api-clients/{}/secrets", client.client_id);
    admin.create(&path, &json!({"expire_others_after_seconds": 60})).await;
    let (known, proof) = authenticated(&app, &client).await;
    app.clock.advance(60);
    let outcome = app.core.services.issuer.issue(&known, &proof, TokenRequest::default()).await;
    assert!(matches!(outcome, Err(IssueError::ClientRefused(_))), "{outcome:?}");
    app.stop().await;
}

async fn revoking_a_key_revokes_a_token_that_is_being_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let client = client_in(&admin, "acme").await;
    let token = issued(&reply_as(&app, &client, GRANT).await);
    let kid = token.header["kid"].as_str().unwrap();
    let (_, proof) = authenticated(&app, &client).await;

    // Another replica records a token, and has not committed yet.
    let now = app.core.services.clock().now();
    let elsewhere = app.database.open().await;
    let late = RecordedToken {
        jti: "late".to_owned(),
        client_id: client.client_id.clone(),
        workspace_id: "acme".into(),
        kid: kid.into(),
        generation: 1,
        scope: "gst".into(),
        products: "gst".into(),
        issued_at: now,
        expires_at: None,
        revoked_at: None,
        revoke_at: None,
        slot: None,
        last_introspected_at: None,
        issued_by: "client".into(),
    };
    let mut tx = elsewhere.begin().await.unwrap();
    let guard = IssueGuard { proof: Some(proof.clone()), now, replaces: false };
    assert_eq!(tx.may_issue(&late, &guard).await.unwrap(), IssueCheck::Allowed);
    tx.insert_recorded_token(&late).await.unwrap();

    let (services, caller, any) =
        (Arc::clone(&app.core.services), Manager::command_line(), Precondition::None);
    let mut revoked = std::pin::pin!(services.signing.delete_signing_key(&caller, kid, true, &any));
    tokio::select! {
        biased;
        outcome = &mut revoked => panic!("the revocation should have waited: {outcome:?}"),
        () = app.database.someone_waits() => {}
    }
    tx.commit().await.unwrap();
    revoked.await.unwrap();
    let live = format!("SELECT COUNT(*) FROM access_tokens WHERE kid = '{kid}' AND revoked_at IS NULL");
    assert_eq!(app.database.number(COUNT).await, 2);
    assert_eq!(app.database.number(&live).await, 0);
    elsewhere.close().await;
    app.stop().await;
}
