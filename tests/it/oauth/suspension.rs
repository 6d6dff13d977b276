//! Tokens of disabled clients, of expired clients and of suspended workspaces are suspended. They are valid again when none of
//! these reasons is left (`docs/revocation.md`). A revoked token stays revoked.

use reqwest::Method;
use serde_json::json;

use super::expect::{GRANT, Token, invalid_client, reply_as};
use super::listed::{revoke, status_of};
use super::presenting::{client_in, introspected, never, stateless, token_of};
use crate::support::{Administrator, Credentials, Engine, START, TestApp, on_both_engines};

on_both_engines!(
    suspended_tokens_become_valid_again,
    a_token_is_valid_again_only_when_no_suspension_is_left,
    a_token_that_is_revoked_while_suspended_stays_revoked,
    tokens_of_an_expired_client_are_valid_again_when_its_expiry_is_removed,
    disabling_and_enabling_a_client_changes_nothing_else,
);

const VALID: u8 = 0;
const REVOKED: u8 = 1;
const SUSPENDED: u8 = 2;

/// An administrator, and two clients of `acme`: one with a stateless token, and one with a recorded token.
async fn holders(app: &TestApp) -> (Administrator<'_>, [(Credentials, Token); 2]) {
    let admin = app.administrator().await;
    let mut both = Vec::new();
    for expiry in [stateless(), never()] {
        let client = client_in(&admin, "acme", expiry).await;
        let token = token_of(app, &client).await;
        both.push((client, token));
    }
    (admin, both.try_into().unwrap())
}

fn path(client: &Credentials) -> String {
    format!("/v1/api-clients/{}", client.client_id)
}

async fn patch(admin: &Administrator<'_>, path: &str, body: serde_json::Value) {
    let reply = admin.patch(path, &body).await;
    assert_eq!(reply.status(), 200, "{path} {body}: {}", reply.text().await.unwrap());
}

/// Checks that a token has this status in its list, that introspection by another client agrees, and that the client gets a new
/// token, or `invalid_client` if the status is [`SUSPENDED`].
async fn must_be(
    app: &TestApp,
    admin: &Administrator<'_>,
    (client, token): &(Credentials, Token),
    status: u8,
) {
    assert_eq!(status_of(app, token).await, status, "{}", token.claims);
    let answer = introspected(app, &admin.client, &token.text).await.json();
    assert_eq!(answer["active"], status == VALID, "{answer}");
    let reply = reply_as(app, client, GRANT).await;
    if status == SUSPENDED { invalid_client(&reply) } else { assert_eq!(reply.status, 200, "{reply:?}") }
}

async fn suspended_tokens_become_valid_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, holders) = holders(&app).await;
    for holder in &holders {
        must_be(&app, &admin, holder, VALID).await;
        let path = path(&holder.0);
        for _ in 0..2 {
            patch(&admin, &path, json!({"status": "disabled"})).await;
            must_be(&app, &admin, holder, SUSPENDED).await;
            patch(&admin, &path, json!({"status": "active"})).await;
            must_be(&app, &admin, holder, VALID).await;
        }
    }
    patch(&admin, "/v1/workspaces/acme", json!({"status": "suspended"})).await;
    for holder in &holders {
        must_be(&app, &admin, holder, SUSPENDED).await;
    }
    // A client of another workspace has another slot in the same list, and that slot is not suspended.
    let elsewhere = client_in(&admin, "other", stateless()).await;
    let token = token_of(&app, &elsewhere).await;
    must_be(&app, &admin, &(elsewhere, token), VALID).await;
    patch(&admin, "/v1/workspaces/acme", json!({"status": "active"})).await;
    for holder in &holders {
        must_be(&app, &admin, holder, VALID).await;
    }
    app.stop().await;
}

async fn a_token_is_valid_again_only_when_no_suspension_is_left(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, holders) = holders(&app).await;
    let workspace = "/v1/workspaces/acme";
    for client_first in [true, false] {
        for (client, _) in &holders {
            patch(&admin, &path(client), json!({"status": "disabled"})).await;
        }
        patch(&admin, workspace, json!({"status": "suspended"})).await;
        for client_now in [client_first, !client_first] {
            for holder in &holders {
                must_be(&app, &admin, holder, SUSPENDED).await;
                if client_now {
                    patch(&admin, &path(&holder.0), json!({"status": "active"})).await;
                }
            }
            if !client_now {
                patch(&admin, workspace, json!({"status": "active"})).await;
            }
        }
        for holder in &holders {
            must_be(&app, &admin, holder, VALID).await;
        }
    }
    app.stop().await;
}

async fn a_token_that_is_revoked_while_suspended_stays_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    // `shared` is a stateless token, which shares the slot of its generation. `one` and `other` have their own slots.
    let (admin, [(stateless, shared), (recorded, one)]) = holders(&app).await;
    let other = token_of(&app, &recorded).await;
    for client in [&stateless, &recorded] {
        patch(&admin, &path(client), json!({"status": "disabled"})).await;
    }
    revoke(&app, &one).await;
    let all = format!("{}/access-tokens", path(&stateless));
    assert_eq!(admin.request(Method::DELETE, &all).send().await.unwrap().status(), 204);
    for (token, status) in [(&one, REVOKED), (&other, SUSPENDED), (&shared, REVOKED)] {
        assert_eq!(status_of(&app, token).await, status);
    }
    for client in [&stateless, &recorded] {
        patch(&admin, &path(client), json!({"status": "active"})).await;
    }
    for (token, status) in [(&one, REVOKED), (&other, VALID), (&shared, REVOKED)] {
        assert_eq!(status_of(&app, token).await, status);
    }
    // The generation that began while the client was disabled is valid.
    let new = token_of(&app, &stateless).await;
    must_be(&app, &admin, &(stateless, new), VALID).await;
    app.stop().await;
}

async fn tokens_of_an_expired_client_are_valid_again_when_its_expiry_is_removed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, [_, holder]) = holders(&app).await;
    let path = path(&holder.0);
    // A minute after `START`.
    patch(&admin, &path, json!({"expires_at": "2026-09-21T14:14:20Z"})).await;
    must_be(&app, &admin, &holder, VALID).await;
    app.clock.advance(60);
    app.core.services.tokens.apply_due_changes().await.unwrap();
    must_be(&app, &admin, &holder, SUSPENDED).await;
    // The workspace is suspended too, so the tokens stay suspended when the client no longer expires.
    patch(&admin, "/v1/workspaces/acme", json!({"status": "suspended"})).await;
    patch(&admin, &path, json!({"expires_at": null})).await;
    must_be(&app, &admin, &holder, SUSPENDED).await;
    patch(&admin, "/v1/workspaces/acme", json!({"status": "active"})).await;
    must_be(&app, &admin, &holder, VALID).await;
    assert_eq!(app.core.services.clock().now(), START + 60);
    app.stop().await;
}

/// After a client was disabled and enabled again, its record is as before, except for `updated_at` and a secret that was added
/// meanwhile.
async fn disabling_and_enabling_a_client_changes_nothing_else(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, [_, (client, _)]) = holders(&app).await;
    let read = async || -> serde_json::Value { admin.get(&path(&client)).await.json().await.unwrap() };
    let before = read().await;
    patch(&admin, &path(&client), json!({"status": "disabled"})).await;
    // A secret may be added while the client is disabled. Both secrets work afterwards.
    let added = admin.create(&format!("{}/secrets", path(&client)), &json!({})).await;
    patch(&admin, &path(&client), json!({"status": "active"})).await;
    let client_secret = added["client_secret"].as_str().unwrap().to_owned();
    for secret in [Credentials { client_secret, ..client.clone() }, client.clone()] {
        assert_eq!(reply_as(&app, &secret, GRANT).await.status, 200);
    }
    let mut after = read().await;
    assert_eq!(after["secrets"].as_array().unwrap().len(), 2);
    for member in ["secrets", "updated_at"] {
        after[member] = before[member].clone();
    }
    assert_eq!(after, before);
    app.stop().await;
}
