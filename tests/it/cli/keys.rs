//! `mintmark keys`.

use serde_json::{Value, json};

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(keys_are_created_imported_deleted_and_revoked);

/// A private P-256 key in PKCS#8, generated for the tests.
const PEM: &str = include_str!("tls/key.pem");

async fn keys_are_created_imported_deleted_and_revoked(engine: Engine) {
    let place = Place::with_issuer(engine);
    let keys = |args: &[&str]| place.run(&[&["keys"], args].concat());
    let list = || keys(&["list", "--json"]).must_succeed().json()["items"].as_array().unwrap().clone();
    let first = list();
    assert_eq!(first.len(), 2, "the first start creates one for each use: {first:?}");
    assert!(first.iter().all(|key| key["phase"] == "active" && key["alg"] == "ES256"), "{first:?}");

    place.write("key.pem", PEM);
    keys(&["import", "key.pem", "--alg", "RS256"]).must_fail(2, &["FILE "]);
    let import = ["keys", "import", "-", "--alg", "ES256", "--use-for", "never_expiring", "--json"];
    let imported = place.run_with_input(&import, PEM.as_bytes()).must_succeed().json();
    assert_eq!(text(&imported, "phase"), "pending");
    keys(&["import", "key.pem", "--alg", "ES256"]).must_fail(1, &["is or was a signing key already"]);
    keys(&["import", "key.pem", "--alg", "EdDSA"]).must_fail(2, &["FILE "]);

    let made = keys(&["create", "--json"]).must_succeed().json();
    assert_eq!(
        (text(&made, "alg"), text(&made, "use_for"), text(&made, "phase")),
        ("ES256", "expiring", "pending")
    );
    assert_eq!(keys(&["show", text(&made, "kid"), "--json"]).must_succeed().json(), made);
    // `rotate` is another name of `create`. While one key is pending, no other of its algorithm and use is created.
    keys(&["rotate"]).must_fail(1, &["pending"]);
    // The first key of its algorithm and use signs at once.
    let other =
        keys(&["create", "--alg", "EdDSA", "--use-for", "never_expiring", "--json"]).must_succeed().json();
    assert_eq!((text(&other, "alg"), text(&other, "phase")), ("EdDSA", "active"));

    keys(&["create", "--alg", "HS256"]).must_fail(2, &["--alg must be ES256"]);
    keys(&["create", "--use-for", "fun"]).must_fail(2, &["--use-for must"]);
    keys(&["import", "none.pem", "--alg", "ES256"]).must_fail(2, &["none.pem", "PKCS#8"]);
    place.write("bad.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    keys(&["import", "bad.pem", "--alg", "ES256"]).must_fail(2, &["FILE "]);
    assert_eq!(list().len(), 5);

    let active = first.iter().find(|key| key["use_for"] == "expiring").unwrap();
    keys(&["delete", text(active, "kid")]).must_fail(1, &["--revoke-tokens"]);
    let deleted = keys(&["delete", text(active, "kid"), "--revoke-tokens", "--json"]).must_succeed().json();
    assert_eq!(deleted, json!({"kid": active["kid"], "deleted": true}));
    keys(&["show", text(active, "kid")]).must_fail(1, &["signing key not found", "mintmark keys list"]);
    let signing: Vec<Value> = list();
    let signs =
        |key: &Value| key["use_for"] == "expiring" && key["alg"] == "ES256" && key["phase"] == "active";
    assert_eq!(signing.iter().filter(|key| signs(key)).count(), 1, "a successor signs: {signing:?}");

    let stolen = signing.iter().find(|key| signs(key)).unwrap();
    let revoked = keys(&["revoke", text(stolen, "kid"), "--json"]).must_succeed().json();
    assert_eq!(revoked, json!({"kid": stolen["kid"], "deleted": true, "revoked_tokens": 0}));
    keys(&["revoke", text(stolen, "kid")]).must_fail(1, &["signing key not found", "mintmark keys list"]);
    assert_eq!(list().iter().filter(|key| signs(key)).count(), 1);
}
