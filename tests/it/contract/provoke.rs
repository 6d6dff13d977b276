//! Requests that get each reply of `openapi.yaml`, by operation and status. Those of the OAuth endpoints are in [`token`] and
//! [`presented`].

use std::pin::pin;

use futures_util::future::{Either, select};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::world::{Ids, World, nothing, path};
use super::{presented, token};
use crate::support::{Operation, Reply, rsa_private_key};

/// One byte more than the longest body that any endpoint accepts.
const TOO_LONG: usize = 256 * 1024 + 1;

/// Sends a few requests that `operation` should answer with `status`, and returns the replies. For 503, the caller has made the
/// database unavailable.
pub(super) async fn provoke(world: &World, operation: &Operation, status: u16) -> Vec<Reply> {
    let ids = &world.ids;
    let request = match (operation.id.as_str(), status) {
        (_, 408) => return vec![world.promise_body(operation, 100).await],
        (_, 413) => return vec![world.promise_body(operation, TOO_LONG).await],
        (_, 405) => world.other_method(operation),
        ("requestToken", _) => return token::provoke(world, operation, status).await,
        ("introspectToken" | "revokeToken", _) => return presented::provoke(world, operation, status).await,
        ("verifyToken", _) => return presented::provoke_verify(world, operation, status).await,
        ("getMetrics", 200) => {
            let openmetrics = world.ask(operation, ids).header("accept", "application/openmetrics-text");
            return all(vec![world.ask(operation, ids), openmetrics]).await;
        }
        ("getAuditCheckpoint", 404) => with_query(world, operation, "log=9"),
        ("getAuditConsistency", 404) => with_query(world, operation, "from=999999"),
        ("getAuditConsistency", 200 | 503) => with_query(world, operation, "from=1"),
        ("getDocsAsset", 200) => return all_files(world, operation).await,
        ("getJwks", 200) => {
            let accepts = ["*/*", "application/json"];
            return all(accepts.map(|accept| world.ask(operation, ids).header("accept", accept)).into())
                .await;
        }
        (_, 409) => return vec![conflict(world, operation).await],
        (_, 200 | 201 | 204) => return success(world, operation).await,
        (_, 304) => {
            let known = Reply::to(world.ask(operation, ids)).await;
            world.ask(operation, ids).header("if-none-match", known.header("etag").unwrap())
        }
        (_, 400) => return unreadable(world, operation).await,
        (_, 401) => world.ask_at(None, operation, &path(operation, ids)),
        (_, 403) => world.ask_at(Some(&world.powerless), operation, &path(operation, ids)),
        (_, 404) => world.valid(operation, &nothing()),
        (_, 406) => world.ask(operation, ids).header("accept", "text/html"),
        (_, 501) => world.ask_at(None, operation, &format!("{}?time=1", path(operation, ids))),
        (_, 412) if operation.method == Method::PATCH => {
            world.send(operation, ids, &json!({})).header("if-match", "\"v999\"")
        }
        (_, 412) => world.ask(operation, ids).header("if-match", "\"v999\""),
        (_, 415) => world.ask(operation, ids).header("content-type", "text/plain").body("{}"),
        (_, 422) => return invalid(world, operation).await,
        (_, 503) => world.valid(operation, ids),
        (id, _) => panic!("no request is known that {id} answers with {status}: add one"),
    };
    vec![Reply::to(request).await]
}

fn with_query(world: &World, operation: &Operation, query: &str) -> RequestBuilder {
    world.ask_at(Some(&world.manage), operation, &format!("{}?{query}", path(operation, &world.ids)))
}

async fn all(requests: Vec<RequestBuilder>) -> Vec<Reply> {
    let mut replies = Vec::new();
    for request in requests {
        replies.push(Reply::to(request).await);
    }
    replies
}

/// Sends requests that must succeed: one with each example of a body (a POST twice, with the same idempotency key), deletions
/// of new records, and reads (of a list also with `limit` and `count`).
async fn success(world: &World, operation: &Operation) -> Vec<Reply> {
    let mut requests = Vec::new();
    let mut ids = world.ids.clone();
    match operation.method {
        Method::POST => {
            ids = world.fresh().await;
            for (_, example) in operation.examples() {
                let (body, key) = (renamed(world, &ids, example), world.new_name());
                let request = || world.send(operation, &ids, &body).header("idempotency-key", &key);
                requests.extend([request(), request()]);
            }
        }
        Method::PATCH => {
            for (_, example) in operation.examples() {
                requests.push(world.send(operation, &world.fresh().await, example));
            }
        }
        Method::DELETE => {
            ids = world.fresh().await;
            if operation.id == "deleteSigningKey" {
                // The key is one for never-expiring tokens. To delete one for expiring tokens would revoke the caller's token.
                let pem = rsa_private_key();
                let new = json!({"alg": "PS256", "use_for": "never_expiring", "private_key_pem": pem});
                let key = world.admin().create("/v1/signing-keys", &new).await;
                ids.insert("kid", key["kid"].as_str().unwrap().to_owned());
            }
            let force = match operation.id.as_str() {
                "deleteSecret" => "?force=true",
                "deleteSigningKey" => "?revoke_tokens=true",
                _ => "",
            };
            let path = format!("{}{force}", path(operation, &ids));
            requests.push(world.ask_at(Some(&world.manage), operation, &path));
        }
        _ => {
            requests.push(world.ask(operation, &ids));
            if operation.parameters.iter().any(|parameter| parameter["name"] == "cursor") {
                let page = format!("{}?limit=1&count=true", path(operation, &ids));
                requests.push(world.ask_at(Some(&world.manage), operation, &page));
            }
        }
    }
    all(requests).await
}

/// The example with names that are not used yet, and with the id of a client that exists.
fn renamed(world: &World, ids: &Ids, example: &Value) -> Value {
    let mut body = example.clone();
    if let Some(named) = body.get_mut("ids") {
        *named = json!([ids["client_id"]]);
    }
    for name in ["product", "workspace_id"] {
        if let Some(taken) = body.get_mut(name) {
            *taken = world.new_name().into();
        }
    }
    if let Some(taken) = body.get_mut("email") {
        *taken = format!("{}@acme.example", world.new_name()).into();
    }
    body
}

async fn all_files(world: &World, operation: &Operation) -> Vec<Reply> {
    let files = operation.parameters[0].pointer("/schema/enum").unwrap().as_array().unwrap().iter();
    let asks = files.map(|file| {
        let mut ids = world.ids.clone();
        ids.insert("file", file.as_str().unwrap().to_owned());
        world.ask(operation, &ids)
    });
    all(asks.collect()).await
}

/// Sends a request with a token in the query and, if the operation takes a body, one with a body that is not JSON.
async fn unreadable(world: &World, operation: &Operation) -> Vec<Reply> {
    let path = format!("{}?access_token=x", path(operation, &world.ids));
    let mut requests = vec![world.ask_at(None, operation, &path)];
    if let Some((media_type, _)) = operation.takes.iter().next() {
        requests.push(world.ask(operation, &world.ids).header("content-type", media_type).body("{"));
    }
    all(requests).await
}

/// Sends a body with an unknown member and, to some operations, a value that only later versions support, or another body with
/// an idempotency key that was used before.
async fn invalid(world: &World, operation: &Operation) -> Vec<Reply> {
    let send = |body: &Value| world.send(operation, &world.ids, body);
    let mut requests = vec![send(&json!({"unknown": 1}))];
    if operation.id == "createApiClient" {
        requests.push(send(&json!({"label": "ERP", "products": ["gst"], "require_dpop": true})));
    }
    if operation.id == "createWorkspace" {
        let key = world.new_name();
        let one = send(&json!({"name": "One"})).header("idempotency-key", &key);
        assert_eq!(Reply::to(one).await.status, 201);
        requests.push(send(&json!({"name": "Other"})).header("idempotency-key", &key));
    }
    all(requests).await
}

/// The reply to a request that existing records do not allow.
async fn conflict(world: &World, operation: &Operation) -> Reply {
    let send = |body: &Value| world.send(operation, &world.ids, body);
    let request = match operation.id.as_str() {
        "createProduct" => send(&json!({"product": "gst", "name": "GST"})),
        "createWorkspace" => send(&json!({"workspace_id": "acme-in", "name": "Acme"})),
        "updateWorkspace" => {
            let mut platform = world.ids.clone();
            platform.insert("workspace_id", "platform".to_owned());
            world.send(operation, &platform, &json!({"status": "suspended"}))
        }
        "changeApiClients" => {
            let client_id = &world.fresh().await["client_id"];
            let more_than_a_batch_revokes = format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)
                 INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at,
                    issued_by)
                 SELECT 'many' || i, '{client_id}', 'acme-in', 'kid', 1, 'gst', 'gst', 1, 'client' FROM n"
            );
            world.app.database.session().await.execute(&more_than_a_batch_revokes).await;
            let patch = json!({"products": ["e-invoicing"]});
            send(&json!({"ids": [client_id], "patch": patch}))
        }
        "createWebhook" => {
            let mut reply = Reply::to(world.valid(operation, &world.ids)).await;
            for _ in 0..20 {
                if reply.status == 201 {
                    reply = Reply::to(world.valid(operation, &world.ids)).await;
                }
            }
            return reply;
        }
        "testWebhook" => {
            let ids = world.fresh().await;
            let path = format!("/v1/webhooks/{}", ids["webhook_id"]);
            assert_eq!(world.admin().patch(&path, &json!({"status": "disabled"})).await.status(), 200);
            world.send(operation, &ids, &json!({}))
        }
        "resendWebhookDelivery" => {
            let ids = world.fresh().await;
            let being_sent = "UPDATE deliveries SET lease_until = 9999999999";
            world.app.database.session().await.execute(being_sent).await;
            world.send(operation, &ids, &json!({}))
        }
        "createApiClient" | "replaceWebhookSecrets" => return still_running(world, operation).await,
        "createSecret" | "createSigningKey" => {
            // A few can be created before the limit is reached.
            let mut reply = Reply::to(world.valid(operation, &world.ids)).await;
            for _ in 0..5 {
                if reply.status == 201 {
                    reply = Reply::to(world.valid(operation, &world.ids)).await;
                }
            }
            return reply;
        }
        "createAccessToken" => {
            let ids = world.fresh().await;
            let disabled = json!({"status": "disabled"});
            let path = format!("/v1/api-clients/{}", ids["client_id"]);
            assert_eq!(world.admin().patch(&path, &disabled).await.status(), 200);
            world.send(operation, &ids, &json!({}))
        }
        "createOperator" => send(&json!({
            "email": "FIRST@acme.example", "name": "Again", "roles": [{"role": "platform_admin"}]
        })),
        "updateOperator" => {
            world.send(operation, &world.fresh().await, &json!({"email": "first@acme.example"}))
        }
        "createSetupLink" => {
            let ids = world.fresh().await;
            let path = format!("/v1/operators/{}", ids["operator_id"]);
            assert_eq!(world.admin().patch(&path, &json!({"status": "disabled"})).await.status(), 200);
            world.send(operation, &ids, &json!({}))
        }
        // The only administrator who can sign in may not be deleted.
        "deleteOperator" => {
            let only =
                json!({"email": "only@acme.example", "name": "Only", "roles": [{"role": "platform_admin"}]});
            let created = world.admin().create("/v1/operators", &only).await;
            world.app.use_setup_link(&created).await;
            let mut ids = world.ids.clone();
            ids.insert("operator_id", created["operator_id"].as_str().unwrap().to_owned());
            world.ask(operation, &ids)
        }
        "deleteProduct" | "deleteWorkspace" | "deleteSigningKey" => world.ask(operation, &world.ids),
        // The client has no other secret.
        "deleteSecret" => world.ask(operation, &world.fresh().await),
        id => panic!("no request is known that {id} answers with 409: add one"),
    };
    Reply::to(request).await
}

/// Sends two requests with the same idempotency key while another transaction makes the first one wait. Returns the reply to
/// the second one, which is refused because the first is still running.
async fn still_running(world: &World, operation: &Operation) -> Reply {
    let request = || world.valid(operation, &world.ids).header("idempotency-key", "running");
    let elsewhere = world.app.database.open().await;
    let blocking = elsewhere.begin().await.unwrap();
    let (one, two) = (pin!(Reply::to(request())), pin!(Reply::to(request())));
    let (Either::Left((answered, waiting)) | Either::Right((answered, waiting))) = select(one, two).await;
    blocking.rollback().await.unwrap();
    assert_eq!(waiting.await.status, 201);
    elsewhere.close().await;
    answered
}
