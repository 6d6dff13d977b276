//! `mintmark audit`: `list`, `verify`, `export` and `new-key`.

use serde_json::{Value, json};

use super::process::{Place, Serving, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    events_are_listed_and_filtered,
    the_trail_is_checked_with_and_without_a_checkpoint,
    the_trail_is_exported,
    a_new_key_starts_a_new_log_and_is_printed,
    a_new_master_key_keeps_the_key_of_the_trail,
);

async fn events_are_listed_and_filtered(engine: Engine) {
    let place = Place::with_issuer(engine);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    let made = place.json(&["clients", "create", "acme", "--label", "ERP", "--products", "gst", "--json"]);
    let id = text(&made, "client_id");
    let actions = |args: &[&str]| -> Vec<String> {
        let list = place.json(&[&["audit", "list", "--json"], args].concat());
        list["items"].as_array().unwrap().iter().map(|event| text(event, "action").to_owned()).collect()
    };
    assert_eq!(actions(&["--limit", "3"]), ["client.created", "workspace.created", "product.created"]);
    assert_eq!(actions(&["--client", id]), ["client.created"]);
    assert_eq!(actions(&["--workspace", "acme", "--action", "workspace.created"]), ["workspace.created"]);
    assert!(actions(&["--since", "1h"]).len() > 3);
    assert_eq!(actions(&["--until", "2026-01-01"]), [""; 0]);
    assert_eq!(actions(&["--since", "2099-01-01T00:00:00Z"]), [""; 0]);
    assert_eq!(actions(&["--workspace", "nowhere"]), [""; 0]);

    let table = place.run(&["audit", "list", "--client", id]).must_succeed().stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].starts_with("at ") && lines[1].contains("  cli:"), "{table}");
    // The actor names the user account that ran the command.
    let list = place.json(&["audit", "list", "--client", id, "--json"]);
    let actor = text(&list["items"][0], "actor");
    assert!(actor.strip_prefix("cli:").is_some_and(|user| !user.is_empty()), "{actor}");
    place.run(&["audit", "list", "--action", "nothing"]).must_fail(2, &["client.created"]);
    place.run(&["audit", "list", "--since", "yesterday"]).must_fail(2, &["2026-11-23", "24h"]);
    place.run(&["audit", "list", "--limit", "0"]).must_fail(2, &["--limit"]);
}

/// A place whose audit trail has a few events, and a checkpoint, which a server signs when it stops.
fn with_checkpoint(engine: Engine) -> Place {
    let place = Place::with_issuer(engine);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    place.serve().stop();
    place
}

async fn the_trail_is_checked_with_and_without_a_checkpoint(engine: Engine) {
    let place = with_checkpoint(engine);
    let plain = place.run(&["audit", "verify"]).must_succeed();
    assert!(plain.stdout.contains("/audit: ") && plain.stdout.contains("--checkpoint FILE"), "{plain:?}");
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!((&found["findings"], &found["compared_with_outside"]), (&json!([]), &json!(false)));
    assert_eq!(found["logs"][0]["covered"], found["logs"][0]["entries"]);
    let note =
        place.session().await.texts("SELECT note FROM audit_checkpoints ORDER BY size DESC").await.remove(0);
    std::fs::write(place.path("kept.txt"), &note).unwrap();
    let kept = place.run(&["audit", "verify", "--checkpoint", "kept.txt"]).must_succeed();
    assert!(!kept.stdout.contains("--checkpoint FILE"), "{kept:?}");

    place.session().await.execute("UPDATE audit_events SET target = 'other' WHERE seq = 1").await;
    let changed = place.run(&["audit", "verify"]);
    assert!(changed.stdout.contains("FOUND ") && changed.stdout.contains("entry 1"), "{changed:?}");
    assert_eq!((changed.code, changed.stderr.contains("1 finding")), (1, true), "{changed:?}");
    std::fs::write(place.path("bad.txt"), "hello\n").unwrap();
    place.run(&["audit", "verify", "--checkpoint", "bad.txt"]).must_fail(2, &["bad.txt", "not a checkpoint"]);
    place.run(&["audit", "verify", "--checkpoint", "none.txt"]).must_fail(1, &["none.txt"]);
    place.run(&["audit", "verify", "--remote", "http://127.0.0.1:1"]).must_fail(2, &["without --remote"]);
}

async fn the_trail_is_exported(engine: Engine) {
    let place = with_checkpoint(engine);
    let lines = |args: &[&str]| -> Vec<Value> {
        let printed = place.run(&[&["audit", "export"], args].concat()).must_succeed().stdout;
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let whole = lines(&[]);
    assert!(whole.iter().zip(0..).all(|(event, seq)| event["seq"] == seq), "{whole:?}");
    let created = whole.iter().find(|event| event["action"] == "product.created").unwrap();
    let entry: Value = serde_json::from_str(text(created, "entry")).unwrap();
    assert_eq!((&created["detail"]["name"], &created["detail"]), (&json!("GST"), &entry["detail"]));
    assert_eq!(text(created, "leaf").len(), 44, "32 bytes in base64");
    assert_eq!(lines(&["--since", "2099-01-01"]), [Value::Null; 0]);
    assert_eq!(lines(&["--since", "1h"]).len(), whole.len());
    let ocsf = lines(&["--format", "ocsf"]);
    assert_eq!(ocsf.len(), whole.len());
    // 3004 is the class Entity Management of OCSF, and 01 its activity Create.
    let created = ocsf.iter().find(|event| event["message"] == "product.created").unwrap();
    assert_eq!((&created["type_uid"], &created["entity"]["uid"]), (&json!(300_401), &json!("gst")));
    let refused = place.run(&["audit", "export", "--json"]);
    assert!(refused.code == 2 && refused.stderr.contains("leave out --json"), "{refused:?}");
    place.run(&["audit", "export", "--format", "csv"]).must_fail(2, &["jsonl", "ocsf"]);
}

async fn a_new_key_starts_a_new_log_and_is_printed(engine: Engine) {
    let place = with_checkpoint(engine);
    let key = place.json(&["audit", "new-key", "--json"]);
    assert!(text(&key, "key").contains("/audit/2+"), "{key}");
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!((found["logs"].as_array().unwrap().len(), &found["findings"]), (2, &json!([])));
}

async fn a_new_master_key_keeps_the_key_of_the_trail(engine: Engine) {
    let mut place = with_checkpoint(engine);
    let audit_key = async |serving: &Serving| -> Value {
        let metadata = serving.get("/.well-known/oauth-authorization-server").await;
        metadata.json::<Value>().await.unwrap()["mintmark_audit_key"].clone()
    };
    let serving = place.serve();
    let key = audit_key(&serving).await;
    assert_eq!(key.as_array().unwrap().len(), 1, "{key}");
    serving.stop();
    let newest = "SELECT note FROM audit_checkpoints ORDER BY size DESC";
    let old = place.session().await.texts(newest).await.remove(0);
    place.write("old.txt", &old);

    place.run(&["keys", "rewrap", "--new-master-key-file", "keys/new.key"]).must_succeed();
    place.set("MINTMARK__KEYS__MASTER_KEY_FILE", "keys/new.key");
    place.run(&["products", "create", "vat", "--name", "VAT"]).must_succeed();
    let serving = place.serve();
    assert_eq!(audit_key(&serving).await, key, "the trail is still signed with the same key");
    serving.stop();
    let new = place.session().await.texts(newest).await.remove(0);
    assert_ne!(new, old, "a checkpoint was signed with the new master key in use");
    place.write("new.txt", &new);
    let found =
        place.json(&["audit", "verify", "--checkpoint", "old.txt", "--checkpoint", "new.txt", "--json"]);
    assert_eq!((found["logs"].as_array().unwrap().len(), &found["findings"]), (1, &json!([])));
    assert_eq!(found["logs"][0]["covered"], found["logs"][0]["entries"]);
    // The replacement of the master key is an event of the trail, with a number.
    let list = place.json(&["audit", "list", "--action", "master_key.replaced", "--json"]);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert!(list["items"][0]["seq"].is_i64(), "{list}");
}
