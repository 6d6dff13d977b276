//! `mintmark products`.

use serde_json::json;

use super::process::Place;
use crate::support::{Engine, on_both_engines};

on_both_engines!(products_are_created_changed_and_deleted);

async fn products_are_created_changed_and_deleted(engine: Engine) {
    let place = Place::with_issuer(engine);
    let products = |args: &[&str]| place.run(&[&["products"], args].concat());
    let made = products(&["create", "gst", "--name", "GST returns", "--json"]).must_succeed().json();
    let known = json!({
        "product": "gst", "name": "GST returns", "description": null, "audience": null, "max_token_lifetime_seconds": null,
        "never_expires_allowed": true, "created_at": made["created_at"], "updated_at": made["updated_at"],
    });
    assert_eq!(made, known);
    assert_eq!(products(&["show", "gst", "--json"]).must_succeed().json(), known);
    assert_eq!(products(&["list", "--json"]).must_succeed().json(), json!({ "items": [known] }));

    let all = ["--audience", "https://gst.example", "--max-token-lifetime", "10m"];
    let changed =
        products(&[&["update", "gst", "--json", "--never-expires-allowed", "false"], &all[..]].concat());
    let changed = changed.must_succeed().json();
    assert_eq!(changed["audience"], "https://gst.example");
    assert_eq!(
        (&changed["max_token_lifetime_seconds"], &changed["name"]),
        (&json!(600), &json!("GST returns"))
    );
    assert_eq!(changed["never_expires_allowed"], false);
    let cleared =
        ["update", "gst", "--audience", "", "--max-token-lifetime-seconds=", "--never-expires-allowed="];
    let cleared = products(&[&cleared[..], &["--json"]].concat()).must_succeed().json();
    assert_eq!(cleared["audience"], json!(null));
    assert_eq!(cleared["max_token_lifetime_seconds"], json!(null));
    assert_eq!(cleared["never_expires_allowed"], true);

    let text = ["--description", "Returns\r\nand payments"];
    let described = products(&[&["update", "gst", "--json"], &text[..]].concat()).must_succeed().json();
    assert_eq!(described["description"], "Returns\r\nand payments");
    products(&["update", "gst", "--description", "a\tb"])
        .must_fail(2, &["--description must have no control"]);
    let cleared = products(&["update", "gst", "--description", "", "--json"]).must_succeed().json();
    assert_eq!(cleared["description"], json!(null));

    products(&["create", "a", "--name", "A"]).must_succeed();
    let list = products(&["list"]).must_succeed().stdout;
    assert_eq!(
        list,
        "product  name         audience   max_token_lifetime_seconds  never_expires_allowed\n\
         a        A            (default)  (no limit)                  true\n\
         gst      GST returns  (default)  (no limit)                  true\n"
    );

    products(&["create", "gst", "--name", "x"]).must_fail(1, &["gst"]);
    products(&["create", "GST"]).must_fail(2, &["\n  PRODUCT must", "\n  --name is required"]);
    products(&["update", "gst", "--name", "", "--max-token-lifetime-seconds", "-1"])
        .must_fail(2, &["\n  --name is required", "\n  --max-token-lifetime must"]);
    products(&["show", "nothing"]).must_fail(1, &["product not found", "mintmark products list"]);

    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    place.run(&["clients", "create", "acme", "--label", "ERP", "--products", "gst"]).must_succeed();
    products(&["delete", "gst"]).must_fail(1, &["1 API client is granted the product"]);
    assert_eq!(products(&["delete", "a"]).must_succeed().stdout, "product a deleted\n");
    products(&["delete", "a"]).must_fail(1, &["product not found"]);
}
