//! Entity tags: `If-None-Match` when reading, `If-Match` when changing, and what raises a version.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Reply, ok, problem, replica_of};
use crate::support::{Engine, START, TestApp, on_both_engines};

on_both_engines!(
    a_reader_with_the_current_version_gets_304,
    a_change_happens_only_to_the_version_expected,
    a_deletion_happens_only_to_the_version_expected,
    of_parallel_changes_to_one_version_one_wins,
    a_change_without_effect_does_not_raise_the_version,
    the_entity_tag_of_a_deleted_product_does_not_match_its_successor,
);

async fn sent(request: RequestBuilder) -> Reply {
    Reply::of(request.send().await.unwrap()).await
}

async fn a_reader_with_the_current_version_gets_304(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    // The first version of a product is the time of its creation in milliseconds, and that of a workspace is 1.
    for (path, first) in [("/v1/products/gst", START * 1000), ("/v1/workspaces/platform", 1)] {
        let tag = |n: i64| format!("\"v{}\"", first + n - 1);
        assert_eq!(Reply::of(admin.get(path).await).await.header("etag"), tag(1));
        let v1 = tag(1);
        for held in [v1.clone(), format!("W/{v1}"), format!("\"x\", {v1}"), "*".to_owned()] {
            let reply = sent(admin.request(Method::GET, path).header("if-none-match", held)).await;
            assert_eq!((reply.status, reply.text(), reply.header("etag")), (304, "", v1.as_str()));
        }
        let near = [tag(2), v1.replace("\"v", "\"v0"), v1.replace('"', ""), v1.to_uppercase()];
        for other in near.iter().map(String::as_str).chain(["\"x\"", "\"v\"", ""]) {
            ok(&sent(admin.request(Method::GET, path).header("if-none-match", other)).await, 200);
        }
        ok(&Reply::of(admin.patch(path, &json!({"name": "Other"})).await).await, 200);
        let reply = sent(admin.request(Method::GET, path).header("if-none-match", v1)).await;
        ok(&reply, 200);
        assert_eq!(reply.header("etag"), tag(2));
    }
    // A record that does not exist gets 404, not 304.
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
    for (path, first) in [("/v1/products/gst", START * 1000), ("/v1/workspaces/platform", 1)] {
        let tag = |n: i64| format!("\"v{}\"", first + n - 1);
        let (v1, v2) = (tag(1), tag(2));
        let stale =
            [v2.clone(), format!("W/{v2}"), format!("{}, {}", tag(0), tag(3)), v1.replace("\"v", "\"v0")];
        for stale in stale.iter().map(String::as_str).chain(["\"x\"", "\"\""]) {
            problem(&sent(patch(stale, path, "Lost")).await, 412, "precondition-failed");
        }
        for malformed in ["", "v1", "\"v1", "\"v1\" \"v2\"", "*, \"v1\"", "1"] {
            problem(&sent(patch(malformed, path, "Lost")).await, 400, "invalid-parameter");
        }
        assert_eq!(Reply::of(admin.get(path).await).await.header("etag"), v1);
        // A proxy that compresses a reply makes its tag weak (`W/`). The tag still names the same version.
        let reply = sent(patch(&format!("W/{v1}"), path, "Second")).await;
        assert_eq!((ok(&reply, 200)["name"].as_str(), reply.header("etag")), (Some("Second"), v2.as_str()));
        problem(&sent(patch(&v1, path, "Third")).await, 412, "precondition-failed");
        ok(&sent(patch(&format!("{v1}, {v2}"), path, "Third")).await, 200);
        assert_eq!(sent(patch("*", path, "Fourth")).await.header("etag"), tag(4));
        // A stale version is reported before an invalid body.
        let bad = admin.request(Method::PATCH, path).header("if-match", v1);
        problem(
            &sent(bad.header("content-type", "application/json").body("{\"name\":1}")).await,
            412,
            "precondition-failed",
        );
    }
    // `*` means any version, but there must be a record.
    problem(&sent(patch("*", "/v1/products/none", "X")).await, 404, "not-found");
    app.stop().await;
}

async fn a_deletion_happens_only_to_the_version_expected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    for (path, first) in [("/v1/products/gst", START * 1000), ("/v1/workspaces/acme", 1)] {
        let tag = |n: i64| format!("\"v{}\"", first + n - 1);
        let delete = |expected: &str| sent(admin.request(Method::DELETE, path).header("if-match", expected));
        problem(&delete(&tag(2)).await, 412, "precondition-failed");
        problem(&delete("v1").await, 400, "invalid-parameter");
        ok(&Reply::of(admin.get(path).await).await, 200);
        assert_eq!(delete(&tag(1)).await.status, 204);
        problem(&delete("*").await, 404, "not-found");
    }
    app.stop().await;
}

async fn of_parallel_changes_to_one_version_one_wins(engine: Engine) {
    let app = TestApp::start(engine).await;
    let replica = replica_of(&app).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for (path, first) in [("/v1/products/gst", START * 1000), ("/v1/workspaces/platform", 1)] {
        let tag = |n: i64| format!("\"v{}\"", first + n - 1);
        let changes = (0..12).map(|n| {
            let at = if n % 2 == 0 { &app } else { &replica };
            let request =
                at.request(Method::PATCH, path).bearer_auth(&admin.token).header("if-match", tag(1));
            sent(request.json(&json!({"name": format!("Name {n}")})))
        });
        let replies = futures_util::future::join_all(changes).await;
        let won: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1);
        for lost in replies.iter().filter(|reply| reply.status != 200) {
            problem(lost, 412, "precondition-failed");
        }
        let now = Reply::of(admin.get(path).await).await;
        assert_eq!((now.text(), now.header("etag")), (won[0].text(), tag(2).as_str()));
    }
    replica.stop().await;
    app.stop().await;
}

async fn a_change_without_effect_does_not_raise_the_version(engine: Engine) {
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
            (Some("2026-09-21T14:13:20Z"), "\"v1790000000000\"")
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

async fn the_entity_tag_of_a_deleted_product_does_not_match_its_successor(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({"name": "First"})).await;
    let tag = Reply::of(admin.get("/v1/products/gst").await).await.header("etag").to_owned();
    assert_eq!(admin.delete("/v1/products/gst").await.status(), 204);
    app.clock.advance_millis(1);
    admin.product("gst", json!({"name": "Second"})).await;
    let read = sent(admin.request(Method::GET, "/v1/products/gst").header("if-none-match", &tag)).await;
    assert_eq!(ok(&read, 200)["name"], "Second");
    let late = admin
        .request(Method::PATCH, "/v1/products/gst")
        .header("if-match", &tag)
        .json(&json!({"name": "Late"}));
    problem(&sent(late).await, 412, "precondition-failed");
    problem(
        &sent(admin.request(Method::DELETE, "/v1/products/gst").header("if-match", &tag)).await,
        412,
        "precondition-failed",
    );
    app.stop().await;
}
