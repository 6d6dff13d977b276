//! `Idempotency-Key`: a repeated request gets the same reply and creates nothing.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::future::{Either, select};
use mintmark::model::reach::Reach;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Reply, broken, ok, problem, replica_of};
use crate::support::{Administrator, Engine, START, TestApp, on_both_engines};

on_both_engines!(
    the_same_request_gives_the_same_reply,
    another_body_is_refused,
    a_key_belongs_to_caller_and_path,
    refusals_are_not_kept,
    replies_are_kept_for_a_day,
    keys_are_visible_ascii,
    a_key_is_refused_while_its_request_is_running,
    saved_replies_are_sealed,
    parallel_requests_create_once,
    parallel_requests_to_two_replicas_create_once,
    a_caller_without_the_permission_gets_no_saved_reply,
);

fn post(admin: &Administrator<'_>, path: &str, key: &str, body: &Value) -> RequestBuilder {
    admin.request(Method::POST, path).header("idempotency-key", key).json(body)
}

async fn sent(request: RequestBuilder) -> Reply {
    Reply::of(request.send().await.unwrap()).await
}

async fn workspaces(admin: &Administrator<'_>) -> usize {
    let body = ok(&Reply::of(admin.get("/v1/workspaces?limit=200").await).await, 200);
    // The workspace `platform` always exists.
    body["items"].as_array().unwrap().len() - 1
}

#[track_caller]
fn replayed(first: &Reply, again: &Reply) {
    assert_eq!((again.status, again.text()), (first.status, first.text()));
    for header in ["location", "etag", "content-type", "cache-control"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
}

async fn the_same_request_gives_the_same_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let body = json!({"name": "Acme"});
    let first = sent(post(&admin, "/v1/workspaces", "key-1", &body)).await;
    let id = ok(&first, 201)["workspace_id"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), format!("/v1/workspaces/{id}"));
    app.clock.advance(600);
    // The reply is still the first one, although the record has changed since.
    ok(&Reply::of(admin.patch(&format!("/v1/workspaces/{id}"), &json!({"name": "Other"})).await).await, 200);
    replayed(&first, &sent(post(&admin, "/v1/workspaces", "key-1", &body)).await);
    replayed(&first, &sent(post(&admin, "/v1/workspaces", "key-1", &body)).await);
    assert_eq!(workspaces(&admin).await, 1);
    // Without a key, or with another key, it is another request.
    ok(&sent(post(&admin, "/v1/workspaces", "key-2", &body)).await, 201);
    ok(&Reply::of(admin.post("/v1/workspaces", &body).await).await, 201);
    assert_eq!(workspaces(&admin).await, 3);

    let client = json!({"label": "ERP", "permissions": ["mintmark:read"]});
    let path = "/v1/workspaces/platform/api-clients";
    let first = sent(post(&admin, path, "key-1", &client)).await;
    assert!(ok(&first, 201)["client_secret"].as_str().unwrap().starts_with("mms_"));
    replayed(&first, &sent(post(&admin, path, "key-1", &client)).await);
    app.stop().await;
}

async fn another_body_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let first = sent(post(&admin, "/v1/workspaces", "k", &json!({"name": "Acme"}))).await;
    ok(&first, 201);
    for other in [json!({"name": "Acme "}), json!({"name": "Acme", "status": "active"}), json!({}), json!([])]
    {
        problem(&sent(post(&admin, "/v1/workspaces", "k", &other)).await, 422, "idempotency-key-reused");
    }
    replayed(&first, &sent(post(&admin, "/v1/workspaces", "k", &json!({"name": "Acme"}))).await);
    assert_eq!(workspaces(&admin).await, 1);
    app.stop().await;
}

async fn a_key_belongs_to_caller_and_path(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let (other, _) = admin.client("platform", json!({"permissions": ["mintmark:manage"]})).await;
    let other = app.administrator_as(&other, "mintmark:manage").await;
    // A refused request does not use up its key.
    let body = json!({"name": "Acme", "product": "acme"});
    broken(&sent(post(&admin, "/v1/workspaces", "k", &body)).await, &["/product"]);
    let body = json!({"name": "Acme"});
    let first = sent(post(&admin, "/v1/workspaces", "k", &body)).await;
    let second = sent(post(&other, "/v1/workspaces", "k", &body)).await;
    assert_ne!(ok(&first, 201)["workspace_id"], ok(&second, 201)["workspace_id"]);
    assert_eq!(second.header("idempotency-replayed"), "");
    ok(&sent(post(&admin, "/v1/products", "k", &json!({"product": "a", "name": "A"}))).await, 201);
    // The same client with a new token is the same caller.
    let again = app.administrator_as(&admin.client, "mintmark:manage").await;
    replayed(&first, &sent(post(&again, "/v1/workspaces", "k", &body)).await);
    // Another spelling of the path is the same path.
    let clients = "/v1/workspaces/platform/api-clients";
    let body = json!({"label": "ERP", "products": ["a"]});
    let first = sent(post(&admin, clients, "p", &body)).await;
    ok(&first, 201);
    for other in ["/v1/workspaces/%70latform/api-clients", "/v1/workspaces/platfor%6D/api-clients"] {
        replayed(&first, &sent(post(&admin, other, "p", &body)).await);
    }
    // Another workspace has another path.
    admin.workspace("acme", json!({})).await;
    let reply = sent(post(&admin, "/v1/workspaces/acme/api-clients", "p", &body)).await;
    assert_eq!(ok(&reply, 201)["workspace_id"], "acme");
    // Requests that create nothing ignore the key.
    for _ in 0..2 {
        let patch = admin.request(Method::PATCH, "/v1/products/a").header("idempotency-key", "k");
        let reply = sent(patch.json(&json!({"name": "B"}))).await;
        ok(&reply, 200);
        assert_eq!(reply.header("idempotency-replayed"), "");
    }
    app.stop().await;
}

async fn refusals_are_not_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    broken(&sent(post(&admin, "/v1/products", "k", &json!({"product": "gst"}))).await, &["/name"]);
    let malformed = admin.request(Method::POST, "/v1/products").header("idempotency-key", "k");
    problem(
        &sent(malformed.header("content-type", "application/json").body("{")).await,
        400,
        "malformed-json",
    );
    admin.product("taken", json!({})).await;
    let taken = json!({"product": "taken", "name": "Taken"});
    problem(&sent(post(&admin, "/v1/products", "k", &taken)).await, 409, "conflict");
    assert_eq!(admin.delete("/v1/products/taken").await.status(), 204);
    // The refusal was not saved, so the same request is executed.
    let first = sent(post(&admin, "/v1/products", "k", &taken)).await;
    ok(&first, 201);
    replayed(&first, &sent(post(&admin, "/v1/products", "k", &taken)).await);
    app.stop().await;
}

async fn replies_are_kept_for_a_day(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let body = json!({"name": "Acme"});
    let first = sent(post(&admin, "/v1/workspaces", "k", &body)).await;
    ok(&first, 201);
    app.clock.advance(24 * 3600 - 1);
    app.core.services.clean_up().await.unwrap();
    let again = app.administrator_as(&admin.client, "mintmark:manage").await;
    replayed(&first, &sent(post(&again, "/v1/workspaces", "k", &body)).await);
    app.clock.advance(1);
    // The reply expires at its time, whether or not the clean-up has run.
    let second = sent(post(&again, "/v1/workspaces", "k", &json!({"name": "Another"}))).await;
    ok(&second, 201);
    app.core.services.clean_up().await.unwrap();
    replayed(&second, &sent(post(&again, "/v1/workspaces", "k", &json!({"name": "Another"}))).await);
    assert_eq!(workspaces(&again).await, 2);
    app.stop().await;
}

async fn keys_are_visible_ascii(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let body = json!({"name": "Acme"});
    let too_long = "k".repeat(256);
    for bad in ["", "a b", "a\tb", "ä", &too_long] {
        problem(&sent(post(&admin, "/v1/workspaces", bad, &body)).await, 400, "invalid-parameter");
    }
    let twice = post(&admin, "/v1/workspaces", "a", &body).header("idempotency-key", "b");
    problem(&sent(twice).await, 400, "invalid-parameter");
    assert_eq!(workspaces(&admin).await, 0);
    for good in ["!", "~", "\"quoted\"", "5f1c9a2e-7d34-4b8e-9c06-2a1d8e7f4b30", "'OR1=1", &"k".repeat(255)] {
        let first = sent(post(&admin, "/v1/workspaces", good, &body)).await;
        ok(&first, 201);
        replayed(&first, &sent(post(&admin, "/v1/workspaces", good, &body)).await);
    }
    app.stop().await;
}

async fn a_key_is_refused_while_its_request_is_running(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    // Another transaction is about to create the same workspace, so the first request must wait for it.
    let elsewhere = app.database.open().await;
    let mut blocking = elsewhere.begin().await.unwrap();
    let mut workspace = elsewhere.workspace(&Reach::Platform, "platform").await.unwrap().unwrap();
    "acme".clone_into(&mut workspace.workspace_id);
    assert!(blocking.insert_workspace(&workspace).await.unwrap());
    let body = json!({"workspace_id": "acme", "name": "Acme"});
    let one = pin!(sent(post(&admin, "/v1/workspaces", "k", &body)));
    let two = pin!(sent(post(&admin, "/v1/workspaces", "k", &body)));
    let (Either::Left((answered, waiting)) | Either::Right((answered, waiting))) = select(one, two).await;
    problem(&answered, 409, "idempotency-in-progress");
    let other = json!({"workspace_id": "other", "name": "Other"});
    problem(&sent(post(&admin, "/v1/workspaces", "k", &other)).await, 409, "idempotency-in-progress");
    blocking.rollback().await.unwrap();
    let first = waiting.await;
    ok(&first, 201);
    replayed(&first, &sent(post(&admin, "/v1/workspaces", "k", &body)).await);
    elsewhere.close().await;
    app.stop().await;
}

async fn saved_replies_are_sealed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let path = "/v1/workspaces/platform/api-clients";
    let body = json!({"label": "Canary label", "permissions": ["mintmark:read"]});
    let made = ok(&sent(post(&admin, path, "k", &body)).await, 201);
    let storage = app.database.open().await;
    let kept = storage.saved_reply(&admin.client.client_id, "POST", path, "k", START).await.unwrap().unwrap();
    let secret = made["client_secret"].as_str().unwrap();
    for bytes in [&kept.sealed_reply, &kept.body_hash] {
        for canary in ["Canary label", secret, &secret[4..12]] {
            assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()));
        }
    }
    assert_eq!(kept.expires_at, START + 24 * 3600);
    storage.close().await;
    app.stop().await;
}

/// Sends the same request 20 times at once, alternately to each app, and expects one workspace and one reply.
async fn create_once(apps: &[&TestApp]) {
    let admin = apps[0].administrator().await;
    for round in ["generated", "chosen"] {
        let body = if round == "chosen" {
            json!({"workspace_id": "acme", "name": "Acme"})
        } else {
            json!({"name": "Acme"})
        };
        let requests = (0..20).map(|n| {
            let app = apps[n % apps.len()];
            let request = app.request(Method::POST, "/v1/workspaces").bearer_auth(&admin.token);
            sent(request.header("idempotency-key", round).json(&body))
        });
        let replies = futures_util::future::join_all(requests).await;
        let mut created = BTreeMap::new();
        for reply in &replies {
            if reply.status == 201 {
                *created.entry(reply.text()).or_insert(0) += 1;
            } else {
                problem(reply, 409, "idempotency-in-progress");
            }
        }
        assert_eq!(created.len(), 1, "{created:?}");
        assert_eq!(
            replies.iter().filter(|r| r.status == 201 && r.header("idempotency-replayed").is_empty()).count(),
            1
        );
        for app in apps {
            let late = app.request(Method::POST, "/v1/workspaces").bearer_auth(&admin.token);
            let late = sent(late.header("idempotency-key", round).json(&body)).await;
            assert_eq!((late.status, late.header("idempotency-replayed")), (201, "true"));
            assert!(created.contains_key(late.text()));
        }
    }
    assert_eq!(workspaces(&admin).await, 2);
}

async fn parallel_requests_create_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    create_once(&[&app]).await;
    app.stop().await;
}

async fn parallel_requests_to_two_replicas_create_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let replica = replica_of(&app).await;
    create_once(&[&app, &replica]).await;
    replica.stop().await;
    app.stop().await;
}

async fn a_caller_without_the_permission_gets_no_saved_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let (client, _) = admin.client("platform", json!({"permissions": ["mintmark:manage"]})).await;
    let caller = app.administrator_as(&client, "mintmark:manage").await;
    let body = json!({"name": "Acme"});
    ok(&sent(post(&caller, "/v1/workspaces", "k", &body)).await, 201);
    let path = format!("/v1/api-clients/{}", client.client_id);
    ok(&Reply::of(admin.patch(&path, &json!({"permissions": ["mintmark:read"]})).await).await, 200);
    // The token with the removed permission was revoked; a token without it may not create.
    problem(&sent(post(&caller, "/v1/workspaces", "k", &body)).await, 401, "unauthorized");
    let caller = app.administrator_as(&client, "mintmark:read").await;
    problem(&sent(post(&caller, "/v1/workspaces", "k", &body)).await, 403, "forbidden");
    app.stop().await;
}
