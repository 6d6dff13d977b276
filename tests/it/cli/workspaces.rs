//! `mintmark workspaces`.

use serde_json::json;

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(workspaces_are_created_changed_and_deleted);

async fn workspaces_are_created_changed_and_deleted(engine: Engine) {
    let place = Place::with_issuer(engine);
    let workspaces = |args: &[&str]| place.run(&[&["workspaces"], args].concat());
    for code in ["gst", "e-invoicing"] {
        place.run(&["products", "create", code, "--name", code]).must_succeed();
    }
    let made = workspaces(&["create", "acme", "--name", "Acme", "--json"]).must_succeed().json();
    let known = json!({
        "workspace_id": "acme", "name": "Acme", "description": null, "status": "active", "never_expires_allowed": true,
        "products_allowed": null, "created_at": made["created_at"], "updated_at": made["updated_at"],
    });
    assert_eq!(made, known);
    assert_eq!(workspaces(&["show", "acme", "--json"]).must_succeed().json(), known);
    let generated = workspaces(&["create", "--name", "Other", "--json"]).must_succeed().json();
    assert!(text(&generated, "workspace_id").starts_with("ws_"), "{generated}");
    let list = workspaces(&["list", "--json"]).must_succeed().json();
    let ids: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|item| text(item, "workspace_id")).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(ids.contains(&"acme") && ids.contains(&"platform"), "{ids:?}");

    let update = |args: &[&str]| {
        workspaces(&[&["update", "acme", "--json"], args].concat()).must_succeed().json()["products_allowed"]
            .clone()
    };
    assert_eq!(update(&["--products-allowed", "gst,e-invoicing"]), json!(["e-invoicing", "gst"]));
    assert_eq!(update(&["--name", "Acme 2"]), json!(["e-invoicing", "gst"]));
    assert_eq!(update(&["--products-allowed", ""]), json!([]));
    assert!(workspaces(&["show", "acme"]).must_succeed().stdout.contains("products_allowed       (none)\n"));
    assert_eq!(update(&["--all-products"]), json!(null));
    let described = |text: &str| {
        workspaces(&["update", "acme", "--description", text, "--json"]).must_succeed().json()["description"]
            .clone()
    };
    assert_eq!(described("The tenant\nin India"), "The tenant\nin India");
    let shown = workspaces(&["show", "acme"]).must_succeed().stdout;
    assert!(shown.contains("description            The tenant / in India\n"), "{shown}");
    assert_eq!(described(""), json!(null));
    workspaces(&["update", "acme", "--products-allowed", "gst,nothing"])
        .must_fail(2, &["--products-allowed (value 2) is not a product"]);

    let status = |verb: &str| workspaces(&[verb, "acme", "--json"]).must_succeed().json()["status"].clone();
    assert_eq!(status("suspend"), "suspended");
    assert_eq!(status("resume"), "active");

    place.run(&["clients", "create", "acme", "--label", "ERP", "--products", "gst"]).must_succeed();
    workspaces(&["delete", "acme"]).must_fail(1, &["API client"]);
    let generated = text(&generated, "workspace_id");
    let deleted = workspaces(&["delete", generated, "--json"]).must_succeed().json();
    assert_eq!(deleted, json!({ "workspace_id": generated, "deleted": true }));
    workspaces(&["create", generated, "--name", "Again"]).must_fail(1, &["never used again"]);
    workspaces(&["show", generated]).must_fail(1, &["workspace not found", "mintmark workspaces list"]);
    workspaces(&["create", "no space", "--name", "x"]).must_fail(2, &["WORKSPACE_ID must"]);
}
