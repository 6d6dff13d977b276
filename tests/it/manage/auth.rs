//! Access to the management API: bearer tokens (RFC 6750), scopes, and the current state of the caller's client.

use mintmark::kernel::Manager;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Reply, ok, problem};
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

on_both_engines!(
    without_a_token_the_challenge_has_no_error,
    a_token_that_does_not_verify_is_invalid,
    a_token_is_read_only_from_one_header,
    the_issuer_must_be_the_only_audience_of_the_token,
    a_scope_gives_exactly_its_permissions,
    the_current_permissions_of_the_client_count,
    a_revoked_token_is_refused_at_once,
    a_client_that_is_disabled_suspended_expired_or_deleted_is_refused_at_once,
    a_database_that_does_not_answer_is_503,
);

const CHALLENGE: &str = r#"Bearer realm="mintmark""#;
const INVALID_TOKEN: &str = r#"Bearer realm="mintmark", error="invalid_token""#;

#[track_caller]
fn refused(reply: &Reply, challenge: &str) {
    problem(reply, 401, "unauthorized");
    assert_eq!(reply.header("www-authenticate"), challenge);
}

async fn sent(request: RequestBuilder) -> Reply {
    Reply::of(request.send().await.unwrap()).await
}

async fn without_a_token_the_challenge_has_no_error(engine: Engine) {
    let app = TestApp::start(engine).await;
    for path in ["/v1/products", "/v1/products/x", "/v1/workspaces", "/v1/audit-events"] {
        refused(&Reply::of(app.get(path).await).await, CHALLENGE);
    }
    refused(&sent(app.request(Method::POST, "/v1/products").body("{")).await, CHALLENGE);
    let client = app.bootstrap().await;
    let basic =
        app.request(Method::GET, "/v1/products").basic_auth(&client.client_id, Some(&client.client_secret));
    refused(&sent(basic).await, CHALLENGE);
    refused(
        &sent(app.request(Method::GET, "/v1/products").header("authorization", "Bearer2 x")).await,
        CHALLENGE,
    );
    app.stop().await;
}

async fn a_token_that_does_not_verify_is_invalid(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let token = admin.token.clone();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut flipped = signature.to_owned();
    flipped.replace_range(..1, if signature.starts_with('A') { "B" } else { "A" });
    let long = "x".repeat(7000);
    let other = TestApp::start(engine).await;
    let foreign = other.administrator().await.token;
    for bad in [
        "",
        " ",
        "x",
        "a.b.c",
        "..",
        signed,
        &format!("{signed}."),
        &format!("{signed}.{flipped}"),
        &format!("{token}.x"),
        &format!("{token} x"),
        &format!("{token},{token}"),
        "eyJhbGciOiJub25lIn0.e30.",
        &long,
        &foreign,
    ] {
        let request =
            app.request(Method::GET, "/v1/products").header("authorization", format!("Bearer {bad}"));
        refused(&sent(request).await, INVALID_TOKEN);
    }
    // If a token does not have three parts, or its signature is too short, the error says that it may have been cut.
    for cut in
        [&token[..token.len() - 1], &token[..40], signed, &token[..signed.len() - 5], &format!("{token}.x")]
    {
        let request =
            app.request(Method::GET, "/v1/products").header("authorization", format!("Bearer {cut}"));
        let detail = sent(request).await.json()["detail"].as_str().unwrap().to_owned();
        let expected = format!("it may have been cut when pasted; it has {} characters", cut.len());
        assert!(detail.ends_with(&expected), "{detail}");
    }
    let whole = format!("{signed}.{flipped}");
    let request = app.request(Method::GET, "/v1/products").bearer_auth(&whole);
    assert!(!sent(request).await.text().contains("cut when pasted"));
    // This request has the token without the word Bearer before it.
    let reply = sent(app.request(Method::GET, "/v1/products").header("authorization", &token)).await;
    refused(&reply, CHALLENGE);
    assert!(reply.json()["detail"].as_str().unwrap().contains("lacks the word Bearer"));
    refused(
        &sent(app.request(Method::GET, "/v1/products").header("authorization", "Bearer")).await,
        INVALID_TOKEN,
    );
    let bytes = reqwest::header::HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    refused(
        &sent(app.request(Method::GET, "/v1/products").header("authorization", bytes)).await,
        INVALID_TOKEN,
    );
    ok(&Reply::of(admin.get("/v1/products").await).await, 200);
    app.clock.advance(3599);
    ok(&Reply::of(admin.get("/v1/products").await).await, 200);
    app.clock.advance(1);
    refused(&Reply::of(admin.get("/v1/products").await).await, INVALID_TOKEN);
    other.stop().await;
    app.stop().await;
}

async fn a_token_is_read_only_from_one_header(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.administrator().await.token;
    for scheme in ["Bearer", "bearer", "BEARER", "bEARER"] {
        let request =
            app.request(Method::GET, "/v1/products").header("authorization", format!("{scheme} {token}"));
        ok(&sent(request).await, 200);
    }
    let twice = app.request(Method::GET, "/v1/products").bearer_auth(&token).bearer_auth(&token);
    let in_query = app.request(Method::GET, &format!("/v1/products?access_token={token}"));
    let in_both =
        app.request(Method::GET, &format!("/v1/products?limit=1&access_token={token}")).bearer_auth(&token);
    for request in [twice, in_query, in_both] {
        let reply = sent(request).await;
        problem(&reply, 400, "invalid-parameter");
        assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="mintmark", error="invalid_request""#);
        assert!(!reply.text().contains(&token));
    }
    let form = app.request(Method::POST, "/v1/products").form(&[("access_token", &token)]);
    refused(&sent(form).await, CHALLENGE);
    app.stop().await;
}

async fn the_issuer_must_be_the_only_audience_of_the_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("own", json!({"audience": "https://own.example"})).await;
    let granted = json!({"products": ["gst", "own"], "permissions": ["mintmark:manage", "mintmark:read"]});
    let (client, _) = admin.client("platform", granted).await;
    for scope in ["gst", "own", "gst mintmark:read", "own mintmark:manage", ""] {
        let caller = app.administrator_as(&client, scope).await;
        let reply = Reply::of(caller.get("/v1/products").await).await;
        refused(&reply, INVALID_TOKEN);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("scope=mintmark:manage"), "{detail}");
    }
    for scope in ["mintmark:read", "mintmark:manage", "mintmark:manage mintmark:read"] {
        let caller = app.administrator_as(&client, scope).await;
        ok(&Reply::of(caller.get("/v1/products").await).await, 200);
    }
    app.stop().await;
}

#[track_caller]
fn lacks(reply: &Reply, scope: &str) {
    problem(reply, 403, "forbidden");
    let challenge = format!(r#"Bearer realm="mintmark", error="insufficient_scope", scope="{scope}""#);
    assert_eq!(reply.header("www-authenticate"), challenge);
}

async fn a_scope_gives_exactly_its_permissions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let manager = app.administrator_as(&client, "mintmark:manage").await;
    manager.product("gst", json!({})).await;
    let reader = app.administrator_as(&client, "mintmark:read").await;
    for path in
        ["/v1/products", "/v1/products/gst", "/v1/workspaces", "/v1/workspaces/platform", "/v1/audit-events"]
    {
        ok(&Reply::of(reader.get(path).await).await, 200);
        ok(&Reply::of(manager.get(path).await).await, 200);
    }
    lacks(
        &Reply::of(reader.post("/v1/products", &json!({"product": "x", "name": "X"})).await).await,
        "mintmark:manage",
    );
    lacks(&Reply::of(reader.patch("/v1/products/gst", &json!({"name": "X"})).await).await, "mintmark:manage");
    lacks(&Reply::of(reader.delete("/v1/products/gst").await).await, "mintmark:manage");
    lacks(&Reply::of(reader.post("/v1/workspaces", &json!({"name": "X"})).await).await, "mintmark:manage");
    lacks(
        &Reply::of(reader.patch("/v1/workspaces/platform", &json!({"name": "X"})).await).await,
        "mintmark:manage",
    );
    lacks(&Reply::of(reader.delete("/v1/workspaces/platform").await).await, "mintmark:manage");
    // A caller without the permission does not learn whether the record exists or whether the body is valid.
    lacks(&Reply::of(reader.delete("/v1/products/absent").await).await, "mintmark:manage");
    lacks(&sent(reader.request(Method::POST, "/v1/products").body("{")).await, "mintmark:manage");
    let introspector = app.administrator_as(&client, "mintmark:introspect").await;
    lacks(&Reply::of(introspector.get("/v1/products").await).await, "mintmark:read");
    lacks(&Reply::of(introspector.delete("/v1/products/gst").await).await, "mintmark:manage");
    assert_eq!(
        ok(&Reply::of(manager.get("/v1/products").await).await, 200)["items"].as_array().unwrap().len(),
        1
    );
    app.stop().await;
}

async fn the_current_permissions_of_the_client_count(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator_as(&app.bootstrap().await, "mintmark:introspect mintmark:manage").await;
    let both = json!({"permissions": ["mintmark:manage", "mintmark:read"]});
    let (client, _) = admin.client("platform", both.clone()).await;
    let caller = app.administrator_as(&client, "mintmark:manage mintmark:read").await;
    ok(&Reply::of(caller.post("/v1/products", &json!({"product": "a", "name": "A"})).await).await, 201);
    let path = format!("/v1/api-clients/{}", client.client_id);
    // Removing a permission revokes the tokens that include it.
    ok(&Reply::of(admin.patch(&path, &json!({"permissions": ["mintmark:read"]})).await).await, 200);
    refused(&Reply::of(caller.get("/v1/products").await).await, INVALID_TOKEN);
    let reader = app.administrator_as(&client, "").await;
    ok(&Reply::of(reader.get("/v1/products").await).await, 200);
    let attempt = json!({"product": "b", "name": "B"});
    lacks(&Reply::of(reader.post("/v1/products", &attempt).await).await, "mintmark:manage");
    // A new permission has no effect on tokens without it in their scope, and makes no revoked token valid.
    ok(&Reply::of(admin.patch(&path, &both).await).await, 200);
    lacks(&Reply::of(reader.post("/v1/products", &attempt).await).await, "mintmark:manage");
    refused(&Reply::of(caller.post("/v1/products", &attempt).await).await, INVALID_TOKEN);
    let caller = app.administrator_as(&client, "mintmark:manage mintmark:read").await;
    ok(&Reply::of(caller.post("/v1/products", &attempt).await).await, 201);
    app.stop().await;
}

async fn a_revoked_token_is_refused_at_once(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.record_above_seconds = 600").await;
    let admin = app.administrator().await;
    // The tokens of the first client are recorded, those of the second are stateless.
    for expiry in [3600, 600] {
        let expiry = json!({"mode": "after", "seconds": expiry});
        let granted = json!({"permissions": ["mintmark:read"], "token_expiry": expiry});
        let (client, _) = admin.client("platform", granted).await;
        let one = app.administrator_as(&client, "mintmark:read").await;
        let other = app.administrator_as(&client, "mintmark:read").await;
        let revoked = app
            .request(Method::POST, "/oauth2/revoke")
            .basic_auth(&client.client_id, Some(&client.client_secret))
            .form(&[("token", &one.token)]);
        assert_eq!(sent(revoked).await.status, 200);
        refused(&Reply::of(one.get("/v1/products").await).await, INVALID_TOKEN);
        ok(&Reply::of(other.get("/v1/products").await).await, 200);
        let caller = Manager::command_line();
        app.core.services.tokens.revoke_tokens(&caller, &client.client_id).await.unwrap();
        refused(&Reply::of(other.get("/v1/products").await).await, INVALID_TOKEN);
        let new = app.administrator_as(&client, "mintmark:read").await;
        ok(&Reply::of(new.get("/v1/products").await).await, 200);
    }
    app.stop().await;
}

async fn manager_of<'a>(
    app: &'a TestApp,
    admin: &Administrator<'_>,
    workspace: &str,
    more: serde_json::Value,
) -> (Administrator<'a>, Credentials) {
    let mut members = json!({"permissions": ["mintmark:manage"]});
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (client, _) = admin.client(workspace, members).await;
    (app.administrator_as(&client, "mintmark:manage").await, client)
}

async fn a_client_that_is_disabled_suspended_expired_or_deleted_is_refused_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let (caller, client) =
        manager_of(&app, &admin, "acme", json!({"expires_at": "2026-09-21T15:00:00Z"})).await;
    let (path, own) = (format!("/v1/api-clients/{}", client.client_id), "/v1/workspaces/acme");
    ok(&Reply::of(caller.get(own).await).await, 200);
    ok(&Reply::of(admin.patch(&path, &json!({"status": "disabled"})).await).await, 200);
    refused(&Reply::of(caller.get(own).await).await, INVALID_TOKEN);
    ok(&Reply::of(admin.patch(&path, &json!({"status": "active"})).await).await, 200);
    ok(&Reply::of(caller.get(own).await).await, 200);
    ok(&Reply::of(admin.patch(own, &json!({"status": "suspended"})).await).await, 200);
    refused(&Reply::of(caller.get(own).await).await, INVALID_TOKEN);
    ok(&Reply::of(admin.patch(own, &json!({"status": "active"})).await).await, 200);
    ok(&Reply::of(caller.get(own).await).await, 200);
    // A second after the `expires_at` of the client, its token has expired too. So deletion is tested with a second client.
    app.clock.advance(46 * 60 + 41);
    refused(&Reply::of(caller.get(own).await).await, INVALID_TOKEN);
    let (caller, client) = manager_of(&app, &admin, "acme", json!({})).await;
    ok(&Reply::of(caller.get(own).await).await, 200);
    let gone = Reply::of(admin.delete(&format!("/v1/api-clients/{}", client.client_id)).await).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    refused(&Reply::of(caller.get(own).await).await, INVALID_TOKEN);
    app.stop().await;
}

async fn a_database_that_does_not_answer_is_503(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    ok(&Reply::of(admin.get("/v1/products").await).await, 200);
    app.core.services.close().await;
    // The client is still cached, but the cache is too old to be used.
    app.clock.advance(6);
    for request in [
        admin.request(Method::GET, "/v1/products"),
        admin.request(Method::POST, "/v1/products").json(&json!({"product": "a", "name": "A"})),
        admin.request(Method::DELETE, "/v1/products/a"),
    ] {
        let reply = sent(request).await;
        problem(&reply, 503, "unavailable");
        assert_eq!(reply.header("retry-after"), "5");
        for word in ["sqlx", "sqlite", "postgres", "pool", "closed"] {
            assert!(!reply.text().to_lowercase().contains(word), "{}", reply.text());
        }
    }
    app.stop().await;
}
