//! `mintmark keys rewrap`: the master key is changed while tokens are issued, and afterwards only the new one decrypts the
//! database.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::process::{Place, Serving, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    the_master_key_is_replaced_while_tokens_are_issued,
    after_a_kill_at_any_moment_one_of_the_two_keys_opens_the_database,
    a_refused_rewrap_changes_nothing,
);

const NEW: &str = "keys/new.key";

/// A place with a client of stateless tokens and one of recorded tokens, and the id and secret of each.
fn with_clients(engine: Engine) -> (Place, Vec<(String, String)>) {
    // With a fixed issuer, so that tokens are valid after a restart.
    let place = Place::with_issuer(engine);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    let clients = ["600", "never"].map(|expiry| {
        let wanted = ["clients", "create", "platform", "--label", "ERP", "--products", "gst", "--json"];
        let made = place.json(&[&wanted[..], &["--token-expiry", expiry]].concat());
        (text(&made, "client_id").to_owned(), text(&made, "client_secret").to_owned())
    });
    (place, clients.into())
}

/// Requests a token for each client, at the same time.
async fn issue(serving: &Serving, clients: &[(String, String)]) -> Vec<Value> {
    let requests = clients.iter().map(|(id, secret)| serving.token(id, secret, "gst"));
    let mut tokens = Vec::new();
    for reply in join_all(requests).await {
        assert_eq!(reply.status(), 200);
        tokens.push(reply.json().await.unwrap());
    }
    tokens
}

async fn the_master_key_is_replaced_while_tokens_are_issued(engine: Engine) {
    let (mut place, clients) = with_clients(engine);
    let serving = place.serve();
    let mut tokens = issue(&serving, &clients).await;
    let mut rewrapping = place.start(&["keys", "rewrap", "--new-master-key-file", NEW, "--json"]);
    while !rewrapping.has_ended() {
        tokens.extend(issue(&serving, &clients).await);
    }
    let printed = rewrapping.wait().must_succeed();
    let file = place.path(NEW).canonicalize().unwrap();
    assert_eq!(printed.json(), json!({"master_key_file": file, "created": true}));
    assert!(printed.stderr.contains("MINTMARK__KEYS__MASTER_KEY_FILE="), "{printed:?}");
    // A running server needs neither key.
    tokens.extend(issue(&serving, &clients).await);
    let keys: Value = serving.get("/.well-known/jwks.json").await.json().await.unwrap();
    serving.stop();

    // With the old key no server starts: the error says what to do, and no new key is created.
    let old = std::fs::read(place.path("data/master.key")).unwrap();
    for command in [&["serve"][..], &["keys", "list"]] {
        place
            .run(command)
            .must_fail(1, &["master key of this database", "keys rewrap", "keys.master_key_file"]);
    }
    assert_eq!(std::fs::read(place.path("data/master.key")).unwrap(), old);
    std::fs::remove_file(place.path("data/master.key")).unwrap();
    place.run(&["serve"]).must_fail(1, &["does not exist", "keys.master_key_file"]);
    assert!(!place.path("data/master.key").exists());

    place.set("MINTMARK__KEYS__MASTER_KEY_FILE", NEW);
    let serving = place.serve();
    let same: Value = serving.get("/.well-known/jwks.json").await.json().await.unwrap();
    assert_eq!(keys, same, "the signing keys are the same");
    tokens.extend(issue(&serving, &clients).await);
    serving.stop();
    // No recorded token is lost. Half of the tokens are recorded: those of the second client.
    let listed = place.json(&["tokens", "list", &clients[1].0, "--json"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), tokens.len() / 2);
    let third = place.json(&["keys", "rewrap", "--new-master-key-file", "keys/third.key", "--json"]);
    assert_eq!(third["created"], true);
    place.run(&["keys", "list"]).must_fail(1, &["master key of this database"]);
    place.set("MINTMARK__KEYS__MASTER_KEY_FILE", "keys/third.key");
    place.run(&["keys", "list"]).must_succeed();
}

async fn after_a_kill_at_any_moment_one_of_the_two_keys_opens_the_database(engine: Engine) {
    let (mut place, clients) = with_clients(engine);
    let serving = place.serve();
    let mut tokens = Vec::new();
    for kill in 0..10 {
        let new = format!("keys/{kill}.key");
        let rewrap = ["keys", "rewrap", "--new-master-key-file", &new];
        let mut rewrapping = place.start(&rewrap);
        // The first kill comes at once. The others come after the new key was created, each two token requests later than the
        // one before it.
        while kill > 0 && !place.path(&new).exists() && !rewrapping.has_ended() {
            tokens.extend(issue(&serving, &clients).await);
        }
        for _ in 1..kill {
            tokens.extend(issue(&serving, &clients).await);
        }
        drop(rewrapping);
        // If the old key still opens the database, the command is repeated. It uses the new key file that is there.
        if place.run(&["keys", "list"]).code == 0 {
            place.run(&rewrap).must_succeed();
        }
        place.set("MINTMARK__KEYS__MASTER_KEY_FILE", &new);
        place.run(&["keys", "list"]).must_succeed();
    }
    serving.stop();
    let listed = place.json(&["tokens", "list", &clients[1].0, "--json"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), tokens.len() / 2);
}

async fn a_refused_rewrap_changes_nothing(engine: Engine) {
    let (place, _) = with_clients(engine);
    let rewrap = |file: &str| place.run(&["keys", "rewrap", "--new-master-key-file", file]);
    rewrap("data/master.key").must_fail(1, &["already the master key"]);
    place.write("empty.key", "");
    rewrap("empty.key").must_fail(1, &["empty.key"]);
    place.write("exposed.key", "0f".repeat(31) + "10");
    std::fs::set_permissions(place.path("exposed.key"), std::os::unix::fs::PermissionsExt::from_mode(0o604))
        .unwrap();
    rewrap("exposed.key").must_fail(1, &["exposed.key", "chmod 0600"]);
    rewrap("data/master.key/new.key").must_fail(1, &["data/master.key/new.key"]);
    place.run(&["keys", "list"]).must_succeed();
    // An existing valid key file is used.
    std::fs::set_permissions(place.path("exposed.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    assert!(rewrap("exposed.key").must_succeed().stdout.contains("exposed.key"));
    place.run(&["keys", "list"]).must_fail(1, &["keys rewrap"]);
}
