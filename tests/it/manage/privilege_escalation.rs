//! A caller cannot gain permissions through an API client that has more of them: a matrix over every write to a client.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Reply, ok, problem};
use crate::support::{Administrator, CONTRACT, Engine, TestApp, on_both_engines};

on_both_engines!(
    changes_that_open_access_need_all_permissions_of_the_client,
    changes_that_do_not_open_access_need_no_further_permission,
    a_narrowed_token_cannot_regain_permissions_through_its_own_client,
    a_manager_of_a_workspace_cannot_gain_permissions_through_its_clients,
    permissions_cannot_be_gained_through_a_batch,
    a_saved_reply_is_repeated_only_to_a_token_with_the_same_permissions,
);

const ALL: &str = "mintmark:manage mintmark:introspect";
const CLIENT: &str = "/v1/api-clients/{client_id}";
const SECRETS: &str = "/v1/api-clients/{client_id}/secrets";
const TOKENS: &str = "/v1/api-clients/{client_id}/access-tokens";

/// A write to a client: a change to make before the write, the method, the path and the body.
type Write = (Option<Value>, Method, &'static str, Value);

fn patch(change: Value) -> Write {
    (None, Method::PATCH, CLIENT, change)
}

fn patch_after(before: Value, change: Value) -> Write {
    (Some(before), Method::PATCH, CLIENT, change)
}

/// Writes that may let more callers act as the client, or that give it a permission. Every change of `allowed_ips` counts.
fn opening() -> Vec<Write> {
    let disabled = || json!({"status": "disabled"});
    let until = || json!({"expires_at": "2027-01-01T00:00:00Z"});
    vec![
        (None, Method::POST, SECRETS, json!({})),
        (None, Method::POST, SECRETS, json!({"expire_others_after_seconds": 60, "revoke_tokens": true})),
        (None, Method::POST, TOKENS, json!({})),
        (None, Method::POST, TOKENS, json!({"scope": "gst"})),
        (None, Method::POST, TOKENS, json!({"scope": "mintmark:introspect"})),
        patch(json!({"permissions": ["mintmark:introspect", "mintmark:manage"]})),
        // Another permission instead of the one that the client has: this grants a permission, even if it removes one too.
        patch(json!({"permissions": ["mintmark:read"]})),
        patch(json!({"allowed_ips": []})),
        patch(json!({"allowed_ips": null})),
        patch(json!({"allowed_ips": ["127.0.0.0/8", "203.0.113.0/24"]})),
        patch(json!({"label": "R", "allowed_ips": ["198.51.100.7"]})),
        patch_after(disabled(), json!({"status": "active"})),
        patch_after(disabled(), json!({"status": null, "label": "R"})),
        patch_after(until(), json!({"expires_at": "2027-01-01T00:00:01Z"})),
        patch_after(until(), json!({"expires_at": null})),
    ]
}

/// Writes that let nobody else act as the client, and give it no permission.
fn harmless() -> Vec<Write> {
    vec![
        patch(json!({"label": "R"})),
        patch(json!({"description": "nightly run"})),
        patch(json!({"notification_emails": ["it@acme.example"]})),
        patch(json!({"products": ["tax"]})),
        patch(json!({"token_expiry": {"mode": "after", "seconds": 60}})),
        patch(json!({"active_tokens": "replace", "replace_grace_seconds": 60})),
        patch(json!({"metadata": {"owner": "finance"}})),
        patch(json!({"signing_alg": "ES256"})),
        patch(json!({"status": "disabled"})),
        patch(json!({"permissions": []})),
        patch(json!({"expires_at": "2027-01-01T00:00:00Z"})),
        patch_after(
            json!({"expires_at": "2027-01-01T00:00:00Z"}),
            json!({"expires_at": "2026-12-01T00:00:00Z"}),
        ),
        // Setting members to their current values is not a change.
        patch(json!({
            "status": "active", "permissions": ["mintmark:introspect"], "allowed_ips": ["127.0.0.1"], "expires_at": null,
            "daily_token_limit": null, "auth_method": "client_secret", "require_dpop": false,
        })),
        (None, Method::DELETE, TOKENS, Value::Null),
        (None, Method::DELETE, "/v1/api-clients/{client_id}/access-tokens/{jti}", Value::Null),
        (None, Method::DELETE, "/v1/api-clients/{client_id}/secrets/{secret_id}", Value::Null),
        (None, Method::DELETE, CLIENT, Value::Null),
    ]
}

#[test]
fn every_write_to_a_client_is_in_the_matrix() {
    let rows: Vec<Write> = opening().into_iter().chain(harmless()).collect();
    let covered: BTreeSet<(&str, &str)> = rows.iter().map(|row| (row.2, row.1.as_str())).collect();
    let writes = CONTRACT.operations.iter().filter(|operation| {
        operation.path.starts_with(CLIENT) && !matches!(operation.method.as_str(), "GET" | "HEAD")
    });
    let writes: BTreeSet<(&str, &str)> =
        writes.map(|operation| (operation.path.as_str(), operation.method.as_str())).collect();
    assert_eq!(covered, writes);
    let members: BTreeSet<&String> =
        rows.iter().filter_map(|row| row.3.as_object()).flat_map(|body| body.keys()).collect();
    let schema = CONTRACT.target("#/components/schemas/ApiClientPatch");
    for member in schema["properties"].as_object().unwrap().keys() {
        assert!(members.contains(member), "no row has the member {member}");
    }
}

/// Two callers with tokens of the same client: the first has only `mintmark:manage`, the second all permissions.
async fn furnished(app: &TestApp) -> (Administrator<'_>, Administrator<'_>) {
    let full = app.administrator_as(&app.bootstrap().await, ALL).await;
    for product in ["gst", "tax"] {
        full.product(product, json!({})).await;
    }
    full.workspace("acme", json!({})).await;
    let narrow = app.administrator_as(&full.client, "mintmark:manage").await;
    (narrow, full)
}

/// Makes a client that has `mintmark:introspect`, and applies the change that comes before the write. Returns the path of the
/// client and the path of the write.
async fn target(full: &Administrator<'_>, write: &Write) -> (String, String) {
    let (before, _, path, _) = write;
    let (client, made) = full
        .client(
            "acme",
            json!({"products": ["gst"], "permissions": ["mintmark:introspect"], "allowed_ips": ["127.0.0.1"]}),
        )
        .await;
    let record = format!("/v1/api-clients/{}", client.client_id);
    let mut path = path.replace("{client_id}", &client.client_id);
    path = path.replace("{secret_id}", made["secrets"][0]["secret_id"].as_str().unwrap());
    if path.contains("{jti}") {
        let made = full.create(&format!("{record}/access-tokens"), &json!({})).await;
        path = path.replace("{jti}", made["jti"].as_str().unwrap());
    }
    if path.contains("/secrets/") {
        path.push_str("?force=true");
    }
    if let Some(before) = before {
        assert_eq!(full.patch(&record, before).await.status(), 200, "{before}");
    }
    (record, path)
}

async fn sent(caller: &Administrator<'_>, write: &Write, path: &str) -> Reply {
    let (_, method, _, body) = write;
    let request = caller.request(method.clone(), path);
    Reply::to(if body.is_null() { request } else { request.json(body) }).await
}

#[track_caller]
fn refused(reply: &Reply, write: &Write) {
    let answered = problem(reply, 403, "forbidden");
    assert!(answered["detail"].as_str().unwrap().contains(ALL), "{write:?}: {answered}");
    let challenge = format!(r#"Bearer realm="mintmark", error="insufficient_scope", scope="{ALL}""#);
    assert_eq!(reply.header("www-authenticate"), challenge, "{write:?}");
}

async fn changes_that_open_access_need_all_permissions_of_the_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (narrow, full) = furnished(&app).await;
    for write in opening() {
        let (record, path) = target(&full, &write).await;
        let before = ok(&Reply::of(full.get(&record).await).await, 200);
        refused(&sent(&narrow, &write, &path).await, &write);
        assert_eq!(ok(&Reply::of(full.get(&record).await).await, 200), before, "{write:?}");
        let tokens = ok(&Reply::of(full.get(&format!("{record}/access-tokens")).await).await, 200);
        assert_eq!(tokens["items"], json!([]), "{write:?}");
        let done = sent(&full, &write, &path).await;
        assert!(matches!(done.status, 200 | 201), "{write:?}: {}", done.text());
    }
    // If the client has no more permissions than the token, these writes succeed. Left out are those that need a change before
    // them, and those that name `mintmark:introspect`.
    let (client, _) =
        full.client("acme", json!({"products": ["gst"], "permissions": ["mintmark:read"]})).await;
    for write in opening() {
        if write.0.is_none() && !write.3.to_string().contains("introspect") {
            let path = write.2.replace("{client_id}", &client.client_id);
            let done = sent(&narrow, &write, &path).await;
            assert!(matches!(done.status, 200 | 201), "{write:?}: {}", done.text());
        }
    }
    app.stop().await;
}

async fn changes_that_do_not_open_access_need_no_further_permission(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (narrow, full) = furnished(&app).await;
    for write in harmless() {
        let (_, path) = target(&full, &write).await;
        let done = sent(&narrow, &write, &path).await;
        assert!(matches!(done.status, 200 | 204), "{write:?}: {}", done.text());
    }
    app.stop().await;
}

async fn a_narrowed_token_cannot_regain_permissions_through_its_own_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (narrow, full) = furnished(&app).await;
    let own = &narrow.client.client_id;
    for write in [
        (None, Method::POST, SECRETS, json!({})),
        (None, Method::POST, TOKENS, json!({"scope": "mintmark:manage"})),
        // This narrows access, but every change of `allowed_ips` counts as opening it.
        patch(json!({"allowed_ips": ["127.0.0.1"]})),
    ] {
        let path = write.2.replace("{client_id}", own);
        refused(&sent(&narrow, &write, &path).await, &write);
        let done = sent(&full, &write, &path).await;
        assert!(matches!(done.status, 200 | 201), "{write:?}: {}", done.text());
    }
    app.stop().await;
}

async fn a_manager_of_a_workspace_cannot_gain_permissions_through_its_clients(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, full) = furnished(&app).await;
    let (manager, _) = full.client("acme", json!({"permissions": ["mintmark:manage"]})).await;
    let manager = app.administrator_as(&manager, "").await;
    for write in opening() {
        let (_, path) = target(&full, &write).await;
        refused(&sent(&manager, &write, &path).await, &write);
    }
    // A manager also cannot create a client with more permissions than its own.
    let wanted = json!({"label": "peer", "permissions": ["mintmark:introspect"]});
    let reply = Reply::of(manager.post("/v1/workspaces/acme/api-clients", &wanted).await).await;
    refused(&reply, &patch(wanted));
    app.stop().await;
}

async fn permissions_cannot_be_gained_through_a_batch(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (narrow, full) = furnished(&app).await;
    let changes = opening().into_iter().map(|write| (write, true));
    let changes = changes.chain(harmless().into_iter().map(|write| (write, false)));
    for (write, opens) in changes.filter(|(write, _)| write.1 == Method::PATCH) {
        let (record, _) = target(&full, &write).await;
        let id = record.rsplit('/').next().unwrap();
        let body = json!({"ids": [id], "patch": write.3});
        let sent = async |caller: &Administrator<'_>| {
            Reply::of(caller.post("/v1/api-clients/batch", &body).await).await
        };
        if opens {
            let before = ok(&Reply::of(full.get(&record).await).await, 200);
            refused(&sent(&narrow).await, &write);
            assert_eq!(ok(&Reply::of(full.get(&record).await).await, 200), before, "{write:?}");
            ok(&sent(&full).await, 200);
        } else {
            ok(&sent(&narrow).await, 200);
        }
    }
    app.stop().await;
}

async fn a_saved_reply_is_repeated_only_to_a_token_with_the_same_permissions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (narrow, full) = furnished(&app).await;
    let clients = "/v1/workspaces/acme/api-clients";
    let peer = json!({"label": "peer", "permissions": ["mintmark:introspect"]});
    let (client, _) = full.client("acme", peer.clone()).await;
    let of_client = |path: &str| path.replace("{client_id}", &client.client_id);
    for (path, body) in
        [(clients.to_owned(), peer), (of_client(SECRETS), json!({})), (of_client(TOKENS), json!({}))]
    {
        let once = |caller: &Administrator<'_>| {
            caller.request(Method::POST, &path).header("idempotency-key", "k").json(&body)
        };
        let first = ok(&Reply::to(once(&full)).await, 201);
        refused(&Reply::to(once(&narrow)).await, &(None, Method::POST, "repeated", body.clone()));
        let again = Reply::to(once(&full)).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(ok(&again, 201), first);
    }
    app.stop().await;
}
