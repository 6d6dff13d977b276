//! `mintmark operators`.

use serde_json::{Value, json};

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_setup_link_creates_the_first_operator_and_no_other,
    operators_are_created_changed_and_deleted,
    operators_are_managed_over_the_management_api,
);

fn link(document: &Value) -> &str {
    document["setup_link"].as_str().unwrap()
}

async fn a_setup_link_creates_the_first_operator_and_no_other(engine: Engine) {
    let place = Place::with_issuer(engine);
    let first = place.run(&["operators", "setup-link", "ann@acme.example", "--json"]).must_succeed();
    assert!(first.stderr.contains("the first operator, as a platform administrator"), "{first:?}");
    let first = first.json();
    assert!(link(&first).contains("/console/setup/"), "{first}");
    let listed = place.json(&["operators", "list", "--json"]);
    let known = &listed["items"][0];
    assert_eq!(known["roles"], json!([{"role": "platform_admin"}]));
    assert_eq!(known["operator_id"], first["operator_id"]);
    // A second operator is not created by asking for a setup link.
    place
        .run(&["operators", "setup-link", "ben@acme.example"])
        .must_fail(1, &["operator not found", "mintmark operators list"]);
    let again = place.run(&["operators", "setup-link", "ANN@acme.example", "--json"]).must_succeed();
    assert!(!again.stderr.contains("first"), "{again:?}");
    assert_ne!(link(&again.json()), link(&first));
    let shown = place.run(&["operators", "setup-link", "ann@acme.example"]).must_succeed().stdout;
    assert!(shown.contains("setup_link ") && shown.contains("expires_at "), "{shown}");
    place.run(&["operators", "setup-link", "not an address"]).must_fail(1, &["operator not found"]);
    // As long as there is no operator, the argument is the address of the first one, so it must be an address.
    let empty = Place::with_issuer(engine);
    empty.run(&["operators", "setup-link", "no"]).must_fail(2, &["email address must be"]);
}

async fn operators_are_created_changed_and_deleted(engine: Engine) {
    let place = Place::with_issuer(engine);
    let operators = |args: &[&str]| place.run(&[&["operators"], args].concat());
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    let made = operators(&[
        "create",
        "ben@acme.example",
        "--name",
        "Ben",
        "--role",
        "workspace_admin:acme",
        "--role",
        "workspace_viewer:acme",
        "--json",
    ])
    .must_succeed()
    .json();
    assert!(link(&made).contains("/console/setup/"), "{made}");
    let id = text(&made, "operator_id");
    let shown = operators(&["show", "BEN@acme.example", "--json"]).must_succeed().json();
    assert_eq!(shown, operators(&["get", id, "--json"]).must_succeed().json());
    assert_eq!(shown["roles"][0], json!({"role": "workspace_admin", "workspace_id": "acme"}));
    let changed =
        operators(&["change", "ben@acme.example", "--name", "Ben Ode", "--role", "platform_admin", "--json"]);
    let changed = changed.must_succeed().json();
    assert_eq!(
        (&changed["name"], &changed["roles"]),
        (&json!("Ben Ode"), &json!([{"role": "platform_admin"}]))
    );
    let disabled = operators(&["update", id, "--status", "disabled", "--json"]).must_succeed().json();
    assert_eq!(disabled["status"], "disabled");
    operators(&["setup-link", id]).must_fail(1, &["disabled"]);
    operators(&["update", id, "--role", "workspace_admin:none"]).must_fail(2, &["is not a workspace"]);
    operators(&["update", id, "--role", "admin"]).must_fail(2, &["must be platform_admin"]);
    operators(&["create", "ben@acme.example", "--name", "B", "--role", "platform_admin"])
        .must_fail(1, &["exists already"]);
    let deleted = operators(&["delete", "ben@acme.example", "--json"]).must_succeed().json();
    assert_eq!(deleted, json!({"operator_id": id, "deleted": true}));
    operators(&["show", id]).must_fail(1, &["operator not found", "mintmark operators list"]);
}

async fn operators_are_managed_over_the_management_api(engine: Engine) {
    let mut server = Place::new(engine);
    let mut serving = server.serve();
    serving.running.stderr.wait_for("mintmark operators setup-link EMAIL");
    server.set("MINTMARK__SERVER__PUBLIC_URL", &serving.base);
    let made = server.json(&["bootstrap", "--json"]);
    let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
    // The role that is given below carries both permissions, and a caller cannot give more than it holds.
    let scope = "mintmark:manage mintmark:introspect";
    let reply: Value = serving.token(id, secret, scope).await.json().await.unwrap();
    let elsewhere = Place::new(Engine::Sqlite).with("MINTMARK_TOKEN", text(&reply, "access_token"));
    let run = |args: &[&str]| {
        elsewhere.run(&[&["operators"], args, &["--remote", &serving.base, "--json"]].concat())
    };
    // With `--json`, the error is the JSON that the API returned.
    let missing = run(&["show", "ann@acme.example"]);
    assert!(missing.code == 1 && missing.stderr.contains("no such operator"), "{missing:?}");
    let made = run(&["create", "ann@acme.example", "--name", "Ann", "--role", "platform_admin"]);
    let made = made.must_succeed().json();
    assert!(link(&made).starts_with(&format!("{}/console/setup/", serving.base)), "{made}");
    let shown = run(&["show", "ann@acme.example"]).must_succeed().json();
    assert_eq!(shown, server.json(&["operators", "show", "ann@acme.example", "--json"]));
    assert_eq!(run(&["list"]).must_succeed().json(), server.json(&["operators", "list", "--json"]));
    let changed = run(&["update", "ann@acme.example", "--name", "Ann Ode"]).must_succeed().json();
    assert_eq!(changed["name"], "Ann Ode");
    let again = run(&["setup-link", "ann@acme.example"]).must_succeed().json();
    assert!(link(&again).starts_with(&serving.base), "{again}");
    // The token of a link that was opened is not in the log.
    let (_, token) = link(&again).rsplit_once('/').unwrap();
    serving.get(&format!("/console/setup/{token}?next=/console")).await;
    run(&["delete", "ann@acme.example"]).must_succeed();
    assert_eq!(run(&["list"]).must_succeed().json()["items"], json!([]));
    serving.running.signal("TERM");
    let log = serving.running.wait().stderr;
    assert!(log.contains("/v1/operators/{operator_id}/setup-link") && !log.contains(token), "{log}");
}
