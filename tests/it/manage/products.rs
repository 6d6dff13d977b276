//! `/v1/products`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Reply, broken, ok, problem};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    a_product_is_created_changed_and_deleted,
    a_code_is_a_scope_token_without_the_reserved_prefix,
    an_audience_is_an_absolute_uri_and_never_the_issuer,
    a_cap_lies_between_a_minute_and_a_year,
    a_code_belongs_to_one_product_at_a_time,
    a_granted_product_is_not_deleted,
    a_cap_lowered_later_is_allowed_and_takes_effect,
    only_the_platform_writes_products,
    a_product_that_is_not_allowed_is_refused_like_an_unknown_one,
    a_workspace_sees_only_the_products_that_it_may_grant,
);

async fn a_product_is_created_changed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let made = Reply::of(admin.post("/v1/products", &json!({"product": "gst", "name": "GST"})).await).await;
    let expected = json!({
        "product": "gst", "name": "GST", "description": null, "audience": null, "max_token_lifetime_seconds": null,
        "never_expires_allowed": true, "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(ok(&made, 201), expected);
    assert_eq!(made.header("location"), "/v1/products/gst");
    // The first version is the time of the creation in milliseconds. Each change adds 1.
    assert_eq!(made.header("etag"), "\"v1790000000000\"");
    assert_eq!(made.header("cache-control"), "no-store");
    let read = Reply::of(admin.get("/v1/products/gst").await).await;
    assert_eq!(ok(&read, 200), expected);
    assert_eq!(
        (read.header("etag"), read.header("cache-control")),
        ("\"v1790000000000\"", "private, no-cache")
    );

    app.clock.advance(60);
    let change =
        json!({"name": "GST returns", "audience": "https://gst.example", "max_token_lifetime_seconds": 600});
    let changed = Reply::of(admin.patch("/v1/products/gst", &change).await).await;
    let after = ok(&changed, 200);
    assert_eq!(changed.header("etag"), "\"v1790000000001\"");
    assert_eq!(after["name"], "GST returns");
    assert_eq!(after["audience"], "https://gst.example");
    assert_eq!(after["max_token_lifetime_seconds"], 600);
    assert_eq!(after["never_expires_allowed"], true);
    assert_eq!(after["updated_at"], "2026-09-21T14:14:20Z");

    // `null` sets the default; a member that is left out does not change.
    let undone =
        json!({"audience": null, "max_token_lifetime_seconds": null, "never_expires_allowed": false});
    let undone = Reply::of(admin.patch("/v1/products/gst", &undone).await).await;
    assert_eq!(ok(&undone, 200)["name"], "GST returns");
    assert_eq!(undone.json()["audience"], Value::Null);
    assert_eq!(undone.json()["never_expires_allowed"], false);
    let defaulted =
        Reply::of(admin.patch("/v1/products/gst", &json!({"never_expires_allowed": null})).await).await;
    assert_eq!(ok(&defaulted, 200)["never_expires_allowed"], true);

    let gone = Reply::of(admin.delete("/v1/products/gst").await).await;
    assert_eq!((gone.status, gone.text()), (204, ""));
    problem(&Reply::of(admin.get("/v1/products/gst").await).await, 404, "not-found");
    problem(&Reply::of(admin.delete("/v1/products/gst").await).await, 404, "not-found");
    broken(&Reply::of(admin.post("/v1/products", &json!({})).await).await, &["/product", "/name"]);
    app.stop().await;
}

async fn a_code_is_a_scope_token_without_the_reserved_prefix(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let (longest, too_long) = ("x".repeat(64), "x".repeat(65));
    for bad in [
        "",
        "-a",
        ".a",
        "GST",
        "a b",
        "a/b",
        "ä",
        "a\u{0}",
        "mintmark:read",
        "mintmark:",
        "mintmark:own",
        &too_long,
    ] {
        let reply = Reply::of(admin.post("/v1/products", &json!({"product": bad, "name": "X"})).await).await;
        broken(&reply, &["/product"]);
    }
    for good in ["a", "0", "e-invoicing", "a.b_c:d-e", "mintmark", "mintmark-x:y", &longest] {
        assert_eq!(admin.product(good, json!({})).await["product"], good);
    }
    // The code cannot be changed, so it is not a member of a change.
    broken(&Reply::of(admin.patch("/v1/products/a", &json!({"product": "b"})).await).await, &["/product"]);
    app.stop().await;
}

async fn an_audience_is_an_absolute_uri_and_never_the_issuer(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let long = format!("https://h/{}", "x".repeat(2000));
    for bad in [
        "",
        "api",
        "/api",
        "//h/api",
        "https://h/#",
        "https://h/a b",
        "https://",
        "1a:b",
        "https://h/ä",
        &long,
        &app.base,
    ] {
        let reply = Reply::of(
            admin.post("/v1/products", &json!({"product": "x", "name": "X", "audience": bad})).await,
        )
        .await;
        broken(&reply, &["/audience"]);
        broken(
            &Reply::of(admin.patch("/v1/products/gst", &json!({"audience": bad})).await).await,
            &["/audience"],
        );
    }
    for good in [
        "https://api.example.com",
        "https://API.example.com/",
        "urn:example:api",
        "api:gst?x=%20",
        &format!("{}/", app.base),
    ] {
        let reply = Reply::of(admin.patch("/v1/products/gst", &json!({"audience": good})).await).await;
        assert_eq!(ok(&reply, 200)["audience"], good, "kept byte for byte");
    }
    app.stop().await;
}

async fn a_cap_lies_between_a_minute_and_a_year(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let pointer = "/max_token_lifetime_seconds";
    let bad = [
        json!(59),
        json!(31_536_001),
        json!(0),
        json!(-60),
        json!(60.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!("60"),
        json!(true),
        json!([60]),
    ];
    for bad in bad {
        let body = json!({"product": "x", "name": "X", "max_token_lifetime_seconds": bad});
        broken(&Reply::of(admin.post("/v1/products", &body).await).await, &[pointer]);
        broken(
            &Reply::of(admin.patch("/v1/products/gst", &json!({"max_token_lifetime_seconds": bad})).await)
                .await,
            &[pointer],
        );
    }
    for good in [json!(60), json!(31_536_000), json!(61.0), Value::Null] {
        let reply =
            Reply::of(admin.patch("/v1/products/gst", &json!({"max_token_lifetime_seconds": good})).await)
                .await;
        assert_eq!(ok(&reply, 200)["max_token_lifetime_seconds"].as_f64(), good.as_f64());
    }
    app.stop().await;
}

async fn a_code_belongs_to_one_product_at_a_time(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let first = admin.product("gst", json!({"name": "First"})).await;
    let reply =
        Reply::of(admin.post("/v1/products", &json!({"product": "gst", "name": "Second"})).await).await;
    problem(&reply, 409, "conflict");
    assert_eq!(ok(&Reply::of(admin.get("/v1/products/gst").await).await, 200), first);
    let body = json!({"product": "race", "name": "Race"});
    let race = futures_util::future::join_all((0..10).map(|_| admin.post("/v1/products", &body))).await;
    let mut statuses: Vec<u16> = race.iter().map(|reply| reply.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201][..], &[409; 9]].concat());
    // A deleted product can be created again.
    assert_eq!(admin.delete("/v1/products/gst").await.status(), 204);
    admin.product("gst", json!({})).await;
    app.stop().await;
}

async fn a_granted_product_is_not_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("spare", json!({})).await;
    let (one, _) = admin.client("platform", json!({"products": ["gst", "spare"]})).await;
    let (two, _) = admin.client("platform", json!({"products": ["gst"]})).await;
    let reply = Reply::of(admin.delete("/v1/products/gst").await).await;
    assert!(
        problem(&reply, 409, "conflict")["detail"].as_str().unwrap().starts_with("2 API clients"),
        "{}",
        reply.text()
    );
    assert_eq!(admin.delete(&format!("/v1/api-clients/{}", two.client_id)).await.status(), 204);
    let reply = Reply::of(admin.delete("/v1/products/gst").await).await;
    assert!(
        problem(&reply, 409, "conflict")["detail"].as_str().unwrap().starts_with("1 API client "),
        "{}",
        reply.text()
    );
    let path = format!("/v1/api-clients/{}", one.client_id);
    ok(&Reply::of(admin.patch(&path, &json!({"products": ["spare"]})).await).await, 200);
    assert_eq!(admin.delete("/v1/products/gst").await.status(), 204);
    app.stop().await;
}

async fn a_cap_lowered_later_is_allowed_and_takes_effect(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (client, _) = admin.client("platform", json!({"products": ["gst"]})).await;
    let token: Value = app.token(&client, &[]).await.json().await.unwrap();
    assert_eq!(token["expires_in"], 3600);
    let change = json!({"max_token_lifetime_seconds": 600, "audience": "https://gst.example"});
    ok(&Reply::of(admin.patch("/v1/products/gst", &change).await).await, 200);
    let token: Value = app.token(&client, &[]).await.json().await.unwrap();
    assert_eq!(token["expires_in"], 600);
    let payload = token["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(claims["aud"], "https://gst.example");
    app.stop().await;
}

async fn only_the_platform_writes_products(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let (manager, _) = admin.client("acme", json!({"permissions": ["mintmark:manage"]})).await;
    let manager = app.administrator_as(&manager, "mintmark:manage").await;
    let refused = [
        manager.post("/v1/products", &json!({"product": "x", "name": "X"})).await,
        manager.post("/v1/products", &json!({})).await,
        manager.patch("/v1/products/gst", &json!({"name": "X"})).await,
        manager.patch("/v1/products/none", &json!({"name": "X"})).await,
        manager.delete("/v1/products/gst").await,
        manager.delete("/v1/products/none").await,
    ];
    for reply in refused {
        let reply = Reply::of(reply).await;
        problem(&reply, 403, "forbidden");
        // Another scope would not help, so there is no challenge.
        assert_eq!(reply.header("www-authenticate"), "");
    }
    ok(&Reply::of(admin.get("/v1/products/gst").await).await, 200);
    app.stop().await;
}

/// To a workspace, a product that it may not grant looks like one that does not exist.
async fn a_product_that_is_not_allowed_is_refused_like_an_unknown_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for code in ["own", "theirs"] {
        admin.product(code, json!({})).await;
    }
    admin.workspace("acme", json!({"products_allowed": ["own"]})).await;
    let (manager, made) = admin.client("acme", json!({"permissions": ["mintmark:manage"]})).await;
    let manager = app.administrator_as(&manager, "mintmark:manage").await;
    let own = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());
    let answered = async |code: &str| {
        let wanted = json!({"label": "L", "products": ["own", code]});
        let mut texts = Vec::new();
        for reply in [
            Reply::of(manager.post("/v1/workspaces/acme/api-clients", &wanted).await).await,
            Reply::of(manager.patch(&own, &json!({"products": [code]})).await).await,
        ] {
            let mut body = problem(&reply, 422, "validation");
            body["request_id"] = Value::Null;
            texts.push(body);
        }
        for path in ["/v1/products/", "/v1/workspaces/acme/api-clients?product="] {
            let mut body = Reply::of(manager.get(&format!("{path}{code}")).await).await.json();
            body["request_id"] = Value::Null;
            texts.push(body);
        }
        texts
    };
    assert_eq!(answered("theirs").await, answered("nobodys").await);
    app.stop().await;
}

async fn a_workspace_sees_only_the_products_that_it_may_grant(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for code in ["a", "b", "c", "d", "e"] {
        admin.product(code, json!({})).await;
    }
    admin.workspace("acme", json!({"products_allowed": ["e", "a", "c"]})).await;
    admin.workspace("open", json!({})).await;
    admin.workspace("none", json!({"products_allowed": []})).await;
    for (workspace, visible) in
        [("acme", &["a", "c", "e"][..]), ("open", &["a", "b", "c", "d", "e"]), ("none", &[])]
    {
        let (reader, _) = admin.client(workspace, json!({"permissions": ["mintmark:read"]})).await;
        let reader = app.administrator_as(&reader, "mintmark:read").await;
        let codes = |page: &Value| {
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["product"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let whole = ok(&Reply::of(reader.get("/v1/products").await).await, 200);
        assert_eq!(codes(&whole), visible, "{workspace}");
        let mut walked = Vec::new();
        let mut next = "/v1/products?limit=2".to_owned();
        for _ in 0..20 {
            let page = ok(&Reply::of(reader.get(&next).await).await, 200);
            walked.extend(codes(&page));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("/v1/products?limit=2&cursor={cursor}");
        }
        assert_eq!(walked, visible, "{workspace}");
        for code in ["a", "b", "none"] {
            let reply = Reply::of(reader.get(&format!("/v1/products/{code}")).await).await;
            if visible.contains(&code) {
                assert_eq!(ok(&reply, 200)["product"], code);
            } else {
                problem(&reply, 404, "not-found");
            }
        }
    }
    app.stop().await;
}
