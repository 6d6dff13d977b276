//! Entity tags: `If-None-Match` when reading, `If-Match` when changing, and what raises a version.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Reply, ok, problem, replica_of};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    a_reader_who_has_it_gets_304,
    a_change_happens_only_to_the_version_expected,
    a_deletion_happens_only_to_the_version_expected,
    of_parallel_changes_to_one_version_one_wins,
    what_changes_nothing_raises_nothing,
);

async fn sent(request: RequestBuilder) -> Reply {
    Reply::of(request.send().await.unwrap()).await
}

async fn a_reader_who_has_it_gets_304(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for path in ["/v1/products/gst", "/v1/workspaces/platform"] {
        let tag = Reply::of(admin.get(path).await).await.header("etag").to_owned();
        assert_eq!(tag, "\"v1\"");
        for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let reply = sent(admin.request(Method::GET, path).header("if-none-match", held)).await;
            assert_eq!((reply.status, reply.text(), reply.header("etag")), (304, "", tag.as_str()));
        }
        for other in ["\"v2\"", "\"v10\"", "\"v01\"", "v1", "\"x\"", ""] {
            ok(&sent(admin.request(Method::GET, path).header("if-none-match", other)).await, 200);
        }
        ok(&Reply::of(admin.patch(path, &json!({"name": "Other"})).await).await, 200);
        let reply = sent(admin.request(Method::GET, path).header("if-none-match", tag)).await;
        ok(&reply, 200);
        assert_eq!(reply.header("etag"), "\"v2\"");
    }
    // What is not there or not to be seen is not hidden behind a 304.
    problem(
        &sent(admin.request(Method::GET, "/v1/products/none").header("if-none-match", "*")).await,
        404,
        "not-found",
    );
    app.stop().await;
}

async fn a_change_happens_only_to_the_version_expected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let patch = |expected: &str, path: &str, name: &str| {
        let request = admin.request(Method::PATCH, path).header("if-match", expected);
        request.header("content-type", "application/merge-patch+json").body(json!({"name": name}).to_string())
    };
    for path in ["/v1/products/gst", "/v1/workspaces/platform"] {
        for stale in ["\"v2\"", "W/\"v1\"", "\"v0\", \"v3\"", "\"x\"", "\"v01\"", "\"\""] {
            problem(&sent(patch(stale, path, "Lost")).await, 412, "precondition-failed");
        }
        for malformed in ["", "v1", "\"v1", "\"v1\" \"v2\"", "*, \"v1\"", "1"] {
            problem(&sent(patch(malformed, path, "Lost")).await, 400, "invalid-parameter");
        }
        assert_eq!(Reply::of(admin.get(path).await).await.header("etag"), "\"v1\"");
        let reply = sent(patch("\"v1\"", path, "Second")).await;
        assert_eq!((ok(&reply, 200)["name"].as_str(), reply.header("etag")), (Some("Second"), "\"v2\""));
        problem(&sent(patch("\"v1\"", path, "Third")).await, 412, "precondition-failed");
        ok(&sent(patch("\"v1\", \"v2\"", path, "Third")).await, 200);
        assert_eq!(sent(patch("*", path, "Fourth")).await.header("etag"), "\"v4\"");
        // A stale version counts before the body does, a missing thing before either.
        let bad = admin.request(Method::PATCH, path).header("if-match", "\"v1\"");
        problem(
            &sent(bad.header("content-type", "application/json").body("{\"name\":1}")).await,
            412,
            "precondition-failed",
        );
    }
    problem(&sent(patch("*", "/v1/products/none", "X")).await, 404, "not-found");
    app.stop().await;
}

async fn a_deletion_happens_only_to_the_version_expected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    for path in ["/v1/products/gst", "/v1/workspaces/acme"] {
        let delete = |expected: &str| sent(admin.request(Method::DELETE, path).header("if-match", expected));
        problem(&delete("\"v2\"").await, 412, "precondition-failed");
        problem(&delete("v1").await, 400, "invalid-parameter");
        ok(&Reply::of(admin.get(path).await).await, 200);
        assert_eq!(delete("\"v1\"").await.status, 204);
        problem(&delete("*").await, 404, "not-found");
    }
    app.stop().await;
}

async fn of_parallel_changes_to_one_version_one_wins(engine: Engine) {
    let app = TestApp::start(engine).await;
    let replica = replica_of(&app).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for path in ["/v1/products/gst", "/v1/workspaces/platform"] {
        let changes = (0..12).map(|n| {
            let at = if n % 2 == 0 { &app } else { &replica };
            let request =
                at.request(Method::PATCH, path).bearer_auth(&admin.token).header("if-match", "\"v1\"");
            sent(request.json(&json!({"name": format!("Name {n}")})))
        });
        let replies = futures_util::future::join_all(changes).await;
        let won: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1);
        for lost in replies.iter().filter(|reply| reply.status != 200) {
            problem(lost, 412, "precondition-failed");
        }
        let now = Reply::of(admin.get(path).await).await;
        assert_eq!((now.text(), now.header("etag")), (won[0].text(), "\"v2\""));
    }
    replica.stop().await;
    app.stop().await;
}

async fn what_changes_nothing_raises_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({"audience": "https://gst.example"})).await;
    admin.workspace("acme", json!({"products_allowed": ["gst"]})).await;
    let events = || async { ok(&Reply::of(admin.get("/v1/audit-events").await).await, 200) };
    let before = events().await;
    app.clock.advance(60);
    let same = json!({"name": "gst", "audience": "https://gst.example", "max_token_lifetime_seconds": null, "never_expires_allowed": true});
    for body in [json!({}), same, json!({"name": "gst"})] {
        let reply = Reply::of(admin.patch("/v1/products/gst", &body).await).await;
        assert_eq!(
            (ok(&reply, 200)["updated_at"].as_str(), reply.header("etag")),
            (Some("2026-09-21T14:13:20Z"), "\"v1\"")
        );
    }
    let same = json!({"name": "acme", "status": "active", "never_expires_allowed": null, "products_allowed": ["gst"]});
    for body in [json!({}), same, json!({"status": null})] {
        let reply = Reply::of(admin.patch("/v1/workspaces/acme", &body).await).await;
        assert_eq!(
            (ok(&reply, 200)["updated_at"].as_str(), reply.header("etag")),
            (Some("2026-09-21T14:13:20Z"), "\"v1\"")
        );
    }
    assert_eq!(events().await, before);
    app.stop().await;
}
