//! `mintmark webhooks`.

use serde_json::json;

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(webhooks_are_created_changed_and_deleted);

const URL: &str = "https://hooks.acme.example/in";

async fn webhooks_are_created_changed_and_deleted(engine: Engine) {
    let place = Place::with_issuer(engine);
    let webhooks = |args: &[&str]| place.run(&[&["webhooks"], args].concat());
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    let made = webhooks(&["create", "acme", "--url", URL, "--events", "client.*,secret.created", "--json"]);
    let made = made.must_succeed();
    assert!(made.stderr.contains("Keep the secret"), "{made:?}");
    let made = made.json();
    assert!(text(&made, "signing_secret").starts_with("whsec_"), "{made}");
    assert_eq!(made["events"], json!(["client.*", "secret.created"]));
    let id = text(&made, "webhook_id");
    let shown = webhooks(&["show", id, "--json"]).must_succeed().json();
    assert_eq!(shown["url"], URL);
    assert!(shown.get("signing_secret").is_none(), "{shown}");
    let changed = webhooks(&["update", id, "--usual-events", "--description", "On call", "--json"]);
    let changed = changed.must_succeed().json();
    assert_eq!((&changed["events"], &changed["description"]), (&json!(null), &json!("On call")));
    let disabled = webhooks(&["update", id, "--status", "disabled", "--json"]).must_succeed().json();
    assert_eq!(disabled["disabled_reason"], "administrator");
    let keys = webhooks(&["replace-secrets", id, "--json"]).must_succeed().json();
    assert_ne!(keys["signing_secret"], made["signing_secret"]);
    assert_eq!(webhooks(&["list", "acme", "--json"]).must_succeed().json()["items"][0]["webhook_id"], id);
    assert_eq!(webhooks(&["list", "acme", "--count", "--json"]).must_succeed().json(), json!({"total": 1}));
    webhooks(&["update", id, "--url", "https://127.0.0.1/"]).must_fail(2, &["address not allowed"]);
    webhooks(&["create", "acme", "--url", URL, "--events", "nothing"]).must_fail(2, &["names no event"]);
    webhooks(&["create", "none", "--url", URL]).must_fail(1, &["workspace not found"]);
    let gone = webhooks(&["delete", id, "--json"]).must_succeed().json();
    assert_eq!(gone, json!({"webhook_id": id, "deleted": true}));
    webhooks(&["show", id]).must_fail(1, &["webhook not found", "mintmark webhooks list"]);
}
