//! `/v1/products`.

use serde_json::{Value, json};

use super::{Reply, broken, ok, problem};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(a_product_from_creation_to_deletion);

async fn a_product_from_creation_to_deletion(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let made = Reply::of(admin.post("/v1/products", &json!({"product": "gst", "name": "GST"})).await).await;
    let expected = json!({
        "product": "gst", "name": "GST", "audience": null, "max_token_lifetime_seconds": null,
        "never_expires_allowed": true, "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(ok(&made, 201), expected);
    assert_eq!(made.header("location"), "/v1/products/gst");
    assert_eq!(made.header("etag"), "\"v1\"");
    assert_eq!(made.header("cache-control"), "no-store");
    let read = Reply::of(admin.get("/v1/products/gst").await).await;
    assert_eq!(ok(&read, 200), expected);
    assert_eq!((read.header("etag"), read.header("cache-control")), ("\"v1\"", "private, no-cache"));

    app.clock.advance(60);
    let change = json!({"name": "GST returns", "audience": "https://gst.example", "max_token_lifetime_seconds": 600});
    let changed = Reply::of(admin.patch("/v1/products/gst", &change).await).await;
    let after = ok(&changed, 200);
    assert_eq!(changed.header("etag"), "\"v2\"");
    assert_eq!(after["name"], "GST returns");
    assert_eq!(after["audience"], "https://gst.example");
    assert_eq!(after["max_token_lifetime_seconds"], 600);
    assert_eq!(after["never_expires_allowed"], true);
    assert_eq!(after["updated_at"], "2026-09-21T14:14:20Z");

    // `null` takes the default; a member left out stays.
    let undone = json!({"audience": null, "max_token_lifetime_seconds": null, "never_expires_allowed": false});
    let undone = Reply::of(admin.patch("/v1/products/gst", &undone).await).await;
    assert_eq!(ok(&undone, 200)["name"], "GST returns");
    assert_eq!(undone.json()["audience"], Value::Null);
    assert_eq!(undone.json()["never_expires_allowed"], false);
    let defaulted = Reply::of(admin.patch("/v1/products/gst", &json!({"never_expires_allowed": null})).await).await;
    assert_eq!(ok(&defaulted, 200)["never_expires_allowed"], true);

    let gone = Reply::of(admin.delete("/v1/products/gst").await).await;
    assert_eq!((gone.status, gone.text()), (204, ""));
    problem(&Reply::of(admin.get("/v1/products/gst").await).await, 404, "not-found");
    problem(&Reply::of(admin.delete("/v1/products/gst").await).await, 404, "not-found");
    broken(&Reply::of(admin.post("/v1/products", &json!({})).await).await, &["/product", "/name"]);
    app.stop().await;
}
