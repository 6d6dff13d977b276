//! Paths and methods: 404 and 405 as problems, HEAD as GET, and an issuer that has a path.

use reqwest::Method;
use serde_json::json;

use super::{Reply, ok, problem};
use crate::support::{Engine, MANAGEMENT_APART, TestApp, on_both_engines};

on_both_engines!(
    unknown_paths_are_problems,
    a_post_to_a_wrong_token_path_gets_the_right_one_and_the_root_leads_to_the_console,
    other_methods_are_405_with_allow,
    head_is_get_without_a_body,
    an_issuer_with_a_path_is_served_with_and_without_the_path,
    ids_that_cannot_exist_are_not_found,
    management_on_a_separate_address_is_not_on_the_public_one,
);

async fn unknown_paths_are_problems(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for path in [
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/products/gst/more",
        "/v1/products/",
        "/v2/products",
        "/v1/Products",
        "/nothing",
        "/token/more",
        "/oauth2",
    ] {
        problem(&Reply::of(admin.get(path).await).await, 404, "not-found");
        problem(&Reply::of(app.get(path).await).await, 404, "not-found");
        problem(&Reply::of(admin.post(path, &json!({})).await).await, 404, "not-found");
    }
    app.stop().await;
}

async fn a_post_to_a_wrong_token_path_gets_the_right_one_and_the_root_leads_to_the_console(engine: Engine) {
    let with_path = "server.public_url = \"{base}/tenant\"";
    for (settings, prefixes) in [("", &[""][..]), (with_path, &["", "/tenant"])] {
        let app = TestApp::start_with(engine, settings).await;
        let issuer = format!("{}{}", app.base, prefixes.last().unwrap());
        for prefix in prefixes {
            for path in ["/", "/token", "/token/", "/oauth/token", "/oauth/token/", "/oauth2/token/"] {
                let path = format!("{prefix}{path}");
                let request = app.request(Method::POST, &path).body("grant_type=client_credentials");
                let reply = Reply::of(request.send().await.unwrap()).await;
                assert_eq!(reply.status, 404, "{path}");
                assert_eq!(
                    reply.json(),
                    json!({
                        "error": "invalid_request",
                        "error_description": format!("the token endpoint is {issuer}/oauth2/token"),
                    })
                );
                assert_eq!(
                    (reply.header("content-type"), reply.header("cache-control")),
                    ("application/json", "no-store")
                );
                for method in [Method::PUT, Method::DELETE] {
                    let other = app.request(method, &path).send().await.unwrap();
                    problem(&Reply::of(other).await, 404, "not-found");
                }
                // A GET of the root leads to the console: see below.
                if !path.ends_with("token") && !path.ends_with("token/") {
                    continue;
                }
                problem(&Reply::of(app.get(&path).await).await, 404, "not-found");
            }
            for method in [Method::GET, Method::HEAD] {
                let reply = app.request(method, &format!("{prefix}/")).send().await.unwrap();
                assert_eq!(reply.status(), 303);
                let location = reply.headers()["location"].to_str().unwrap().to_owned();
                assert_eq!(location, format!("{prefix}/console"));
                let sign_in = app.get(&location).await;
                assert_eq!(sign_in.status(), 303);
                let sign_in = sign_in.headers()["location"].to_str().unwrap().to_owned();
                assert_eq!(app.get(&sign_in).await.status(), 200);
            }
        }
        app.stop().await;
    }
}

async fn other_methods_are_405_with_allow(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let all = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];
    for (path, allow) in [
        ("/v1/products", "GET, HEAD, POST"),
        ("/v1/products/gst", "GET, HEAD, PATCH, DELETE"),
        ("/v1/workspaces", "GET, HEAD, POST"),
        ("/v1/workspaces/platform", "GET, HEAD, PATCH, DELETE"),
        ("/v1/audit-events", "GET, HEAD"),
    ] {
        for method in all.iter().filter(|method| !allow.split(", ").any(|known| known == **method)) {
            let request = admin.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
            let reply = Reply::of(request.send().await.unwrap()).await;
            problem(&reply, 405, "method-not-allowed");
            assert_eq!(reply.header("allow"), allow, "{method} {path}");
        }
        // The reply is the same without a token.
        let reply = Reply::of(app.request(Method::PUT, path).send().await.unwrap()).await;
        problem(&reply, 405, "method-not-allowed");
    }
    app.stop().await;
}

async fn head_is_get_without_a_body(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for path in
        ["/v1/products", "/v1/products/gst", "/v1/workspaces", "/v1/workspaces/platform", "/v1/audit-events"]
    {
        let get = Reply::of(admin.get(path).await).await;
        let head = Reply::of(admin.request(Method::HEAD, path).send().await.unwrap()).await;
        assert_eq!((head.status, head.text()), (200, ""), "{path}");
        for header in ["content-type", "content-length", "etag", "cache-control"] {
            assert_eq!(head.header(header), get.header(header), "{header} of {path}");
        }
        let refused = Reply::of(app.request(Method::HEAD, path).send().await.unwrap()).await;
        assert_eq!((refused.status, refused.text()), (401, ""));
        assert_eq!(refused.header("www-authenticate"), r#"Bearer realm="mintmark""#);
    }
    app.stop().await;
}

async fn an_issuer_with_a_path_is_served_with_and_without_the_path(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"http://127.0.0.1:1/tenant/v1\"").await;
    let admin = app.administrator().await;
    for (n, prefix) in ["", "/tenant/v1"].into_iter().enumerate() {
        let body = json!({"product": format!("p{n}"), "name": "P"});
        let made = Reply::of(admin.post(&format!("{prefix}/v1/products"), &body).await).await;
        ok(&made, 201);
        assert_eq!(made.header("location"), format!("{prefix}/v1/products/p{n}"));
        ok(&Reply::of(admin.get(made.header("location")).await).await, 200);
        problem(&Reply::of(admin.get(&format!("{prefix}/v1/nothing")).await).await, 404, "not-found");
        problem(&Reply::of(app.get(&format!("{prefix}/v1/products")).await).await, 401, "unauthorized");
    }
    // The issuer, here with its path, cannot be the audience of a product.
    let refused = Reply::of(
        admin
            .post(
                "/v1/products",
                &json!({"product": "a", "name": "A", "audience": "http://127.0.0.1:1/tenant/v1"}),
            )
            .await,
    )
    .await;
    problem(&refused, 422, "validation");
    app.stop().await;
}

async fn ids_that_cannot_exist_are_not_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let long = "x".repeat(3000);
    for id in [
        "%00",
        "%ff",
        "%c0%80",
        "a%00b",
        "..%2f..",
        "a%2Fb",
        "%20",
        "ä",
        "'%20OR%201=1",
        "%25",
        "%",
        &long,
        "mintmark:read",
    ] {
        for noun in ["products", "workspaces"] {
            let path = format!("/v1/{noun}/{id}");
            problem(&Reply::of(admin.get(&path).await).await, 404, "not-found");
            problem(&Reply::of(admin.patch(&path, &json!({"name": "X"})).await).await, 404, "not-found");
            problem(&Reply::of(admin.delete(&path).await).await, 404, "not-found");
        }
    }
    admin.product("a:b", json!({})).await;
    ok(&Reply::of(admin.get("/v1/products/a%3Ab").await).await, 200);
    ok(&Reply::of(admin.get("/v1/products/a:b").await).await, 200);
    app.stop().await;
}

async fn management_on_a_separate_address_is_not_on_the_public_one(engine: Engine) {
    let app = TestApp::start_with(engine, MANAGEMENT_APART).await;
    let admin = app.administrator().await;
    for path in ["/v1/products", "/v1/workspaces", "/v1/workspaces/platform", "/v1/audit-events"] {
        problem(&Reply::of(admin.get(path).await).await, 404, "not-found");
        problem(&Reply::of(admin.post(path, &json!({"name": "X"})).await).await, 404, "not-found");
    }
    assert_eq!(app.get("/healthz").await.status(), 200);
    app.stop().await;
}
