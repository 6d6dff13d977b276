//! `/v1/workspaces`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Reply, broken, ok, problem, replica_of};
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_workspace_is_created_changed_and_deleted,
    an_id_is_chosen_or_generated,
    an_id_is_never_used_again,
    a_workspace_with_clients_is_not_deleted,
    the_workspace_platform_cannot_be_suspended_or_deleted,
    clients_of_a_suspended_workspace_get_no_tokens_until_it_is_active_again,
    suspending_and_revoking_do_not_deadlock,
    only_existing_products_are_added_to_products_allowed,
    a_product_that_clients_have_cannot_be_disallowed,
    a_manager_of_a_workspace_may_only_rename_it,
    another_workspace_is_not_found,
    of_creating_a_client_and_deleting_its_workspace_one_wins,
);

async fn a_workspace_is_created_changed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let made = Reply::of(
        admin.post("/v1/workspaces", &json!({"workspace_id": "acme-in", "name": "Acme India"})).await,
    )
    .await;
    let expected = json!({
        "workspace_id": "acme-in", "name": "Acme India", "description": null, "status": "active", "never_expires_allowed": true,
        "products_allowed": null, "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(ok(&made, 201), expected);
    assert_eq!((made.header("location"), made.header("etag")), ("/v1/workspaces/acme-in", "\"v1\""));
    let read = Reply::of(admin.get("/v1/workspaces/acme-in").await).await;
    assert_eq!((ok(&read, 200), read.header("etag")), (expected, "\"v1\""));
    app.clock.advance(60);
    admin.product("gst", json!({})).await;
    let change = json!({"name": "Acme", "status": "suspended", "never_expires_allowed": false, "products_allowed": ["gst"]});
    let changed = Reply::of(admin.patch("/v1/workspaces/acme-in", &change).await).await;
    let expected = json!({
        "workspace_id": "acme-in", "name": "Acme", "description": null, "status": "suspended", "never_expires_allowed": false,
        "products_allowed": ["gst"], "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:14:20Z"
    });
    assert_eq!((ok(&changed, 200), changed.header("etag")), (expected, "\"v2\""));
    let defaults = json!({"status": null, "never_expires_allowed": null, "products_allowed": null});
    let changed = ok(&Reply::of(admin.patch("/v1/workspaces/acme-in", &defaults).await).await, 200);
    assert_eq!(changed["name"], "Acme");
    assert_eq!((&changed["status"], &changed["products_allowed"]), (&json!("active"), &Value::Null));
    assert_eq!(changed["never_expires_allowed"], true);
    broken(&Reply::of(admin.patch("/v1/workspaces/acme-in", &json!({"name": null})).await).await, &["/name"]);
    broken(
        &Reply::of(admin.patch("/v1/workspaces/acme-in", &json!({"workspace_id": "b"})).await).await,
        &["/workspace_id"],
    );
    let gone = Reply::of(admin.delete("/v1/workspaces/acme-in").await).await;
    assert_eq!((gone.status, gone.text()), (204, ""));
    problem(&Reply::of(admin.get("/v1/workspaces/acme-in").await).await, 404, "not-found");
    problem(
        &Reply::of(admin.patch("/v1/workspaces/acme-in", &json!({"name": "X"})).await).await,
        404,
        "not-found",
    );
    problem(&Reply::of(admin.delete("/v1/workspaces/acme-in").await).await, 404, "not-found");
    app.stop().await;
}

async fn an_id_is_chosen_or_generated(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let (longest, too_long) = ("w".repeat(64), "w".repeat(65));
    for good in ["a", "0", "_", "-", "Acme_IN-1", "acme", "ACME", "ws_", &longest] {
        assert_eq!(admin.workspace(good, json!({})).await["workspace_id"], good);
    }
    for bad in ["", "a b", "a/b", "a.b", "ä", "a\n", "a:b", &too_long] {
        let reply =
            Reply::of(admin.post("/v1/workspaces", &json!({"workspace_id": bad, "name": "X"})).await).await;
        broken(&reply, &["/workspace_id"]);
    }
    let mut seen = std::collections::HashSet::new();
    for body in [json!({"name": "A"}), json!({"name": "A", "workspace_id": null})] {
        let id = admin.create("/v1/workspaces", &body).await["workspace_id"].as_str().unwrap().to_owned();
        let random = id.strip_prefix("ws_").unwrap();
        assert!(random.len() == 22 && random.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        assert!(seen.insert(id));
    }
    let suspended =
        json!({"workspace_id": "s", "name": "S", "status": "suspended", "never_expires_allowed": false});
    let made = admin.create("/v1/workspaces", &suspended).await;
    assert_eq!((&made["status"], &made["never_expires_allowed"]), (&json!("suspended"), &json!(false)));
    app.stop().await;
}

async fn an_id_is_never_used_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let body = json!({"workspace_id": "acme", "name": "Acme"});
    admin.create("/v1/workspaces", &body).await;
    problem(&Reply::of(admin.post("/v1/workspaces", &body).await).await, 409, "conflict");
    assert_eq!(admin.delete("/v1/workspaces/acme").await.status(), 204);
    problem(&Reply::of(admin.post("/v1/workspaces", &body).await).await, 409, "conflict");
    problem(
        &Reply::of(admin.post("/v1/workspaces", &json!({"workspace_id": "platform", "name": "P"})).await)
            .await,
        409,
        "conflict",
    );
    let list = ok(&Reply::of(admin.get("/v1/workspaces").await).await, 200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "a deleted workspace is not listed");
    app.stop().await;
}

async fn a_workspace_with_clients_is_not_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let reading = json!({"permissions": ["mintmark:read"]});
    let (one, _) = admin.client("acme", reading.clone()).await;
    let (two, _) = admin.client("acme", reading).await;
    let reply = Reply::of(admin.delete("/v1/workspaces/acme").await).await;
    assert!(
        problem(&reply, 409, "conflict")["detail"].as_str().unwrap().contains("2 API clients"),
        "{}",
        reply.text()
    );
    assert_eq!(admin.delete(&format!("/v1/api-clients/{}", one.client_id)).await.status(), 204);
    let reply = Reply::of(admin.delete("/v1/workspaces/acme").await).await;
    assert!(
        problem(&reply, 409, "conflict")["detail"].as_str().unwrap().contains("1 API client:"),
        "{}",
        reply.text()
    );
    assert_eq!(admin.delete(&format!("/v1/api-clients/{}", two.client_id)).await.status(), 204);
    assert_eq!(admin.delete("/v1/workspaces/acme").await.status(), 204);
    app.stop().await;
}

async fn the_workspace_platform_cannot_be_suspended_or_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    problem(&Reply::of(admin.delete("/v1/workspaces/platform").await).await, 409, "conflict");
    for body in [json!({"status": "suspended"}), json!({"name": "Ours", "status": "suspended"})] {
        problem(&Reply::of(admin.patch("/v1/workspaces/platform", &body).await).await, 409, "conflict");
    }
    let now = Reply::of(admin.get("/v1/workspaces/platform").await).await;
    assert_eq!((ok(&now, 200)["status"].as_str(), now.header("etag")), (Some("active"), "\"v1\""));
    let renamed =
        Reply::of(admin.patch("/v1/workspaces/platform", &json!({"name": "Ours", "status": "active"})).await)
            .await;
    assert_eq!(ok(&renamed, 200)["name"], "Ours");
    app.stop().await;
}

async fn clients_of_a_suspended_workspace_get_no_tokens_until_it_is_active_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let replica = replica_of(&app).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    let (other, _) = admin.client("platform", json!({"products": ["gst"]})).await;
    for _ in 0..2 {
        assert_eq!(app.token(&client, &[]).await.status(), 200);
        assert_eq!(replica.token(&client, &[]).await.status(), 200);
        ok(&Reply::of(admin.patch("/v1/workspaces/acme", &json!({"status": "suspended"})).await).await, 200);
        assert_eq!(app.token(&client, &[]).await.status(), 401, "at once in the same process");
        assert_eq!(app.token(&other, &[]).await.status(), 200);
        app.clock.advance(1);
        assert_eq!(replica.token(&client, &[]).await.status(), 401, "within a second in another process");
        ok(&Reply::of(admin.patch("/v1/workspaces/acme", &json!({"status": "active"})).await).await, 200);
        app.clock.advance(1);
    }
    assert_eq!(app.token(&client, &[]).await.status(), 200);
    replica.stop().await;
    app.stop().await;
}

async fn only_existing_products_are_added_to_products_allowed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for code in ["a", "b", "c"] {
        admin.product(code, json!({})).await;
    }
    let made = admin.workspace("acme", json!({"products_allowed": ["c", "a"]})).await;
    assert_eq!(made["products_allowed"], json!(["a", "c"]));
    for (bad, pointers) in [
        (json!(["x"]), &["/products_allowed/0"][..]),
        (json!(["a", "a", "x", "A"]), &["/products_allowed/1", "/products_allowed/2", "/products_allowed/3"]),
        (json!("a"), &["/products_allowed"]),
        (json!({"a": 1}), &["/products_allowed"]),
        (json!([["a"]]), &["/products_allowed/0"]),
        (json!(["a\u{0}"]), &["/products_allowed/0"]),
    ] {
        broken(
            &Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": bad})).await).await,
            pointers,
        );
    }
    let reordered =
        Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": ["c", "a"]})).await).await;
    assert_eq!(
        (ok(&reordered, 200)["products_allowed"].clone(), reordered.header("etag")),
        (json!(["a", "c"]), "\"v1\"")
    );
    // A deleted product may stay in `products_allowed`, but cannot be added to it.
    assert_eq!(admin.delete("/v1/products/c").await.status(), 204);
    let kept =
        Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": ["a", "b", "c"]})).await)
            .await;
    assert_eq!(ok(&kept, 200)["products_allowed"], json!(["a", "b", "c"]));
    ok(&Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": []})).await).await, 200);
    let again =
        Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": ["c"]})).await).await;
    broken(&again, &["/products_allowed/0"]);
    app.stop().await;
}

async fn a_product_that_clients_have_cannot_be_disallowed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for code in ["a", "b", "c"] {
        admin.product(code, json!({})).await;
    }
    admin.workspace("acme", json!({})).await;
    admin.workspace("other", json!({})).await;
    admin.client("acme", json!({"products": ["a", "b"]})).await;
    admin.client("acme", json!({"products": ["b"]})).await;
    admin.client("other", json!({"products": ["c"]})).await;
    let reply =
        Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": ["c"]})).await).await;
    let detail = problem(&reply, 409, "conflict")["detail"].as_str().unwrap().to_owned();
    assert!(detail.ends_with("a (1), b (2)"), "{detail}");
    let reply =
        Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": ["a", "c"]})).await).await;
    let detail = problem(&reply, 409, "conflict")["detail"].as_str().unwrap().to_owned();
    assert!(detail.ends_with(": b (2)"), "{detail}");
    assert_eq!(Reply::of(admin.get("/v1/workspaces/acme").await).await.header("etag"), "\"v1\"");
    // A product that no client is granted may be removed.
    ok(
        &Reply::of(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": ["a", "b"]})).await).await,
        200,
    );
    app.stop().await;
}

async fn with_scope<'a>(
    app: &'a TestApp,
    admin: &Administrator<'_>,
    workspace: &str,
    scope: &str,
) -> (Administrator<'a>, Credentials) {
    let (client, _) = admin.client(workspace, json!({"permissions": [scope]})).await;
    (app.administrator_as(&client, scope).await, client)
}

async fn a_manager_of_a_workspace_may_only_rename_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({"products_allowed": ["gst"], "description": "Ours"})).await;
    let (manager, _) = with_scope(&app, &admin, "acme", "mintmark:manage").await;
    let renamed = Reply::of(manager.patch("/v1/workspaces/acme", &json!({"name": "Renamed"})).await).await;
    assert_eq!((ok(&renamed, 200)["name"].as_str(), renamed.header("etag")), (Some("Renamed"), "\"v2\""));
    // A value that equals the current one is not a change, so it is allowed.
    let same = json!({
        "name": "Again", "description": "Ours", "status": "active", "never_expires_allowed": true,
        "products_allowed": ["gst"]
    });
    assert_eq!(ok(&Reply::of(manager.patch("/v1/workspaces/acme", &same).await).await, 200)["name"], "Again");
    for more in [
        json!({"status": "suspended"}),
        json!({"never_expires_allowed": false}),
        json!({"products_allowed": null}),
        json!({"products_allowed": []}),
        json!({"products_allowed": ["gst", "unheard-of"]}),
        json!({"name": "Mixed", "status": "suspended"}),
        json!({"description": "Theirs"}),
        json!({"description": null}),
        json!({"description": ""}),
    ] {
        problem(&Reply::of(manager.patch("/v1/workspaces/acme", &more).await).await, 403, "forbidden");
    }
    broken(&Reply::of(manager.patch("/v1/workspaces/acme", &json!({"name": ""})).await).await, &["/name"]);
    problem(
        &Reply::of(manager.post("/v1/workspaces", &json!({"name": "Mine"})).await).await,
        403,
        "forbidden",
    );
    problem(&Reply::of(manager.delete("/v1/workspaces/acme").await).await, 403, "forbidden");
    problem(&Reply::of(manager.delete("/v1/workspaces/platform").await).await, 403, "forbidden");
    let now = Reply::of(admin.get("/v1/workspaces/acme").await).await;
    assert_eq!((ok(&now, 200)["name"].as_str(), now.header("etag")), (Some("Again"), "\"v3\""));
    app.stop().await;
}

async fn another_workspace_is_not_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for id in ["acme", "acme2", "other"] {
        admin.workspace(id, json!({})).await;
    }
    let (manager, _) = with_scope(&app, &admin, "acme", "mintmark:manage").await;
    let (reader, _) = with_scope(&app, &admin, "acme", "mintmark:read").await;
    let absent = Reply::of(manager.get("/v1/workspaces/absent").await).await;
    for id in ["other", "acme2", "platform", "absent", "ACME"] {
        let path = format!("/v1/workspaces/{id}");
        for caller in [&manager, &reader] {
            let reply = Reply::of(caller.get(&path).await).await;
            problem(&reply, 404, "not-found");
            assert_eq!(
                reply.json()["detail"],
                absent.json()["detail"],
                "the reply is the same as for a workspace that does not exist"
            );
        }
        problem(&Reply::of(manager.patch(&path, &json!({"name": "X"})).await).await, 404, "not-found");
    }
    for caller in [&manager, &reader] {
        let list = ok(&Reply::of(caller.get("/v1/workspaces").await).await, 200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        assert_eq!(list["items"][0]["workspace_id"], "acme");
        assert_eq!(list["next_cursor"], Value::Null);
    }
    app.stop().await;
}

async fn of_creating_a_client_and_deleting_its_workspace_one_wins(engine: Engine) {
    let app = TestApp::start(engine).await;
    let replica = replica_of(&app).await;
    let admin = app.administrator().await;
    let there = app.administrator_as(&admin.client, "mintmark:manage").await;
    for n in 0..8 {
        let id = format!("w{n}");
        admin.workspace(&id, json!({})).await;
        let (path, clients) = (format!("/v1/workspaces/{id}"), format!("/v1/workspaces/{id}/api-clients"));
        let body = json!({"label": "ERP", "permissions": ["mintmark:read"]});
        let create =
            replica.request(reqwest::Method::POST, &clients).bearer_auth(&there.token).json(&body).send();
        let (deleted, created) = futures_util::future::join(admin.delete(&path), create).await;
        let (deleted, created) = (Reply::of(deleted).await, Reply::of(created.unwrap()).await);
        match (deleted.status, created.status) {
            (204, 404) | (409, 201) => {}
            other => panic!("{other:?}: {} {}", deleted.text(), created.text()),
        }
    }
    replica.stop().await;
    app.stop().await;
}

async fn suspending_and_revoking_do_not_deadlock(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    admin.product("gst", json!({})).await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
        tokens.push(format!("/v1/api-clients/{}/access-tokens", client.client_id));
    }
    for round in 0..12 {
        let status = json!({"status": if round % 2 == 0 { "suspended" } else { "active" }});
        let suspending = admin.patch("/v1/workspaces/acme", &status);
        let revoking = join_all(tokens.iter().map(|tokens| admin.delete(tokens)));
        let (suspended, revoked) = tokio::join!(suspending, revoking);
        assert_eq!(suspended.status(), 200);
        for reply in revoked {
            assert_eq!(reply.status(), 204);
        }
    }
    app.stop().await;
}
