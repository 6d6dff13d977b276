//! `mintmark tokens`, and the other commands that revoke tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    tokens_are_created_listed_and_revoked,
    errors_say_what_is_wrong,
    replacing_a_leaked_secret_can_revoke_all_tokens_and_active_tokens_are_limited,
    revoking_a_stolen_key_revokes_its_tokens
);

/// A place with an API client whose tokens never expire, and its id.
fn with_client(engine: Engine, args: &[&str]) -> (Place, String) {
    let place = Place::with_issuer(engine);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    let wanted = ["clients", "create", "acme", "--label", "ERP", "--products", "gst", "--json"];
    let made = place.json(&[&wanted[..], &["--token-expiry", "never"], args].concat());
    (place, text(&made, "client_id").to_owned())
}

fn items(list: &Value) -> Vec<Value> {
    list["items"].as_array().unwrap().clone()
}

async fn tokens_are_created_listed_and_revoked(engine: Engine) {
    let (place, id) = with_client(engine, &[]);
    let tokens = |args: &[&str]| place.run(&[&["tokens"], args].concat());
    let made = tokens(&["create", &id, "--json"]).must_succeed();
    let stderr = made.stderr.clone();
    let made = made.json();
    let length = format!(
        "Store the token safely: it is not shown again. It has {} characters.",
        text(&made, "access_token").len()
    );
    assert!(stderr.contains(&length), "{stderr}");
    assert_eq!(
        (text(&made, "token_type"), text(&made, "scope"), &made["expires_in"]),
        ("Bearer", "gst", &Value::Null)
    );
    let payload = text(&made, "access_token").split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!((&claims["jti"], &claims["client_id"]), (&made["jti"], &json!(id)));

    let printed = tokens(&["create", &id, "--scope", "gst", "--token-expiry", "600"]).must_succeed().stdout;
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines.iter().map(|line| line[0]).collect::<Vec<_>>(),
        ["access_token", "jti", "scope", "expires_in"]
    );
    assert_eq!(lines[3][1], "600");
    let second = lines[1][1];

    let listed = items(&tokens(&["list", &id, "--json"]).must_succeed().json());
    assert_eq!(listed.len(), 2);
    let first = text(&made, "jti");
    let record = tokens(&["show", &id, first, "--json"]).must_succeed().json();
    assert!(listed.contains(&record), "{listed:?} {record}");
    assert_eq!((&text(&record, "issued_by")[..4], &record["revoked_at"]), ("cli:", &Value::Null));
    let table = tokens(&["list", &id]).must_succeed().stdout;
    assert!(table.starts_with("jti ") && table.contains(second) && table.lines().count() == 3, "{table}");

    for _ in 0..2 {
        let revoked = tokens(&["revoke", &id, first, "--json"]).must_succeed().json();
        assert_eq!(revoked, json!({"client_id": id, "jti": first, "revoked": true}));
    }
    assert!(tokens(&["show", &id, first, "--json"]).must_succeed().json()["revoked_at"].is_string());
    let all = tokens(&["revoke-all", &id, "--json"]).must_succeed().json();
    assert_eq!(all, json!({"client_id": id, "revoked_tokens": 1}));
    let listed = items(&tokens(&["list", &id, "--json"]).must_succeed().json());
    assert!(listed.iter().all(|token| token["revoked_at"].is_string()), "{listed:?}");
}

async fn errors_say_what_is_wrong(engine: Engine) {
    let (place, id) = with_client(engine, &["--expires-at", "2099-01-01T00:00:00Z"]);
    let tokens = |args: &[&str]| place.run(&[&["tokens"], args].concat());
    let nobody = format!("cl_{}", "0".repeat(22));
    for args in [&["list", &nobody][..], &["create", &nobody], &["revoke-all", &nobody]] {
        tokens(args).must_fail(1, &["API client not found", "mintmark clients list"]);
    }
    let nothing = "A".repeat(22);
    for verb in ["show", "revoke"] {
        tokens(&[verb, &id, &nothing]).must_fail(1, &["access token not found", "mintmark tokens list"]);
    }
    tokens(&["create", &id, "--scope", "tax"]).must_fail(2, &["--scope must be"]);
    tokens(&["create", &id, "--token-expiry", "59"]).must_fail(2, &["--token-expiry (seconds) must be"]);
    tokens(&["create", &id, "--token-expiry", "soon"]).must_fail(2, &["never"]);
    place.run(&["clients", "disable", &id]).must_succeed();
    tokens(&["create", &id]).must_fail(1, &["disabled", "active"]);
    assert_eq!(items(&tokens(&["list", &id, "--json"]).must_succeed().json()), [Value::Null; 0]);
}

async fn replacing_a_leaked_secret_can_revoke_all_tokens_and_active_tokens_are_limited(engine: Engine) {
    let (place, id) = with_client(engine, &["--active-tokens", "replace", "--replace-grace-seconds", "3600"]);
    let live = || {
        let listed = items(&place.json(&["tokens", "list", &id, "--json"]));
        listed.iter().filter(|token| token["revoked_at"].is_null()).count()
    };
    let record = place.json(&["clients", "show", &id, "--json"]);
    assert_eq!(
        (&record["active_tokens"], &record["replace_grace_seconds"]),
        (&json!("replace"), &json!(3600))
    );
    for _ in 0..2 {
        place.run(&["tokens", "create", &id]).must_succeed();
    }
    assert_eq!(live(), 2, "the earlier token is still in its grace period");
    place.run(&["clients", "add-secret", &id]).must_succeed();
    assert_eq!(live(), 2);
    place
        .run(&["clients", "add-secret", &id, "--revoke-tokens", "--expire-others-after-seconds", "0"])
        .must_succeed();
    assert_eq!(live(), 0);

    let update = |args: &[&str]| place.json(&[&["clients", "update", &id, "--json"], args].concat());
    let changed = update(&["--replace-grace-seconds", ""]);
    assert_eq!((&changed["replace_grace_seconds"], &changed["revoked_tokens"]), (&json!(0), &Value::Null));
    for _ in 0..2 {
        place.run(&["tokens", "create", &id]).must_succeed();
    }
    assert_eq!(live(), 1);
    assert_eq!(update(&["--active-tokens", "many"])["revoked_tokens"], Value::Null);
    assert_eq!(live(), 1);
    // With `replace`, one token is active at a time, so the change revokes all tokens that were issued before.
    assert_eq!(update(&["--active-tokens", "replace"])["revoked_tokens"], 1);
    assert_eq!(live(), 0);
    place
        .run(&["clients", "update", &id, "--active-tokens", "few"])
        .must_fail(2, &["--active-tokens must be many, replace or a whole number from 1 to 1000"]);
    // An empty value sets the default for a client whose tokens never expire: 20.
    for (given, stored) in [("5", json!(5)), ("many", json!("many")), ("1000", json!(1000)), ("", json!(20))]
    {
        assert_eq!(update(&["--active-tokens", given])["active_tokens"], stored, "{given}");
    }
    for refused in ["0", "1001", "-1", "1.5", "20x"] {
        place
            .run(&["clients", "update", &id, "--active-tokens", refused])
            .must_fail(2, &["--active-tokens must be many, replace or a whole number from 1 to 1000"]);
    }
}

async fn revoking_a_stolen_key_revokes_its_tokens(engine: Engine) {
    let (place, id) = with_client(engine, &[]);
    for _ in 0..2 {
        place.run(&["tokens", "create", &id]).must_succeed();
    }
    let listed = items(&place.json(&["tokens", "list", &id, "--json"]));
    let kid = text(&listed[0], "kid");
    place
        .run(&["keys", "delete", kid])
        .must_fail(1, &["signs tokens", "2 live recorded tokens", &format!("{id} (2)"), "--revoke-tokens"]);
    let printed = place.run(&["keys", "revoke", kid]).must_succeed().stdout;
    assert_eq!(printed, format!("signing key {kid} deleted, and 2 recorded tokens revoked\n"));
    let listed = items(&place.json(&["tokens", "list", &id, "--json"]));
    assert!(listed.iter().all(|token| token["revoked_at"].is_string()), "{listed:?}");
    let next = place.json(&["tokens", "create", &id, "--json"]);
    let record = place.json(&["tokens", "show", &id, text(&next, "jti"), "--json"]);
    assert_ne!(text(&record, "kid"), kid);
}
