//! `mintmark keys generate-master`; a master key file that is missing, or was left behind by an interrupted start; and which
//! key a backup needs after `mintmark keys rewrap`.

use std::os::unix::fs::PermissionsExt as _;

use super::process::{Place, text};
use crate::support::Engine;

#[test]
fn a_master_key_is_generated_without_a_database() {
    let mut place = Place::with_issuer(Engine::Sqlite);
    let printed = place.run(&["keys", "generate-master"]).must_succeed();
    assert_eq!(printed.stdout.trim_end().len(), 43, "32 bytes in base64url");
    assert!(!printed.stderr.contains(printed.stdout.trim_end()), "{printed:?}");
    let other = place.json(&["keys", "generate-master", "--json"]);
    assert_ne!(text(&other, "master_key"), printed.stdout.trim_end());
    assert_eq!(text(&other, "fingerprint").len(), 22, "16 bytes in base64url");
    let made = place.json(&["keys", "generate-master", "keys/m.key", "--json"]);
    assert_eq!(text(&made, "master_key_file"), "keys/m.key");
    assert_eq!(place.path("keys/m.key").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // The command never replaces a file, and opens no database.
    place.run(&["keys", "generate-master", "keys/m.key"]).must_fail(1, &["keys/m.key", "exists"]);
    assert!(!place.path("data").exists());
    place.set("MINTMARK__KEYS__MASTER_KEY_FILE", "keys/m.key");
    place.run(&["products", "list"]).must_succeed();
    place.set("MINTMARK__KEYS__MASTER_KEY_FILE", "");
    place.set("MINTMARK__KEYS__MASTER_KEY", text(&other, "master_key"));
    place.run(&["products", "list"]).must_fail(1, &["is not the master key", text(&other, "fingerprint")]);
}

#[test]
fn a_missing_key_file_is_reported_differently_with_and_without_a_database() {
    let mut place = Place::with_issuer(Engine::Sqlite);
    place.set("MINTMARK__KEYS__MASTER_KEY_FILE", "keys/m.key");
    for (command, code) in [(&["products", "list"][..], 1), (&["serve"], 1), (&["check"], 2)] {
        let ran =
            place.run(command).must_fail(code, &["keys/m.key", "does not exist", "keys generate-master"]);
        assert!(!ran.stderr.contains("was set up"), "{ran:?}");
    }
    place.run(&["keys", "generate-master", "keys/m.key"]).must_succeed();
    place.run(&["products", "list"]).must_succeed();
    // Now there is a database that needs the key.
    std::fs::remove_file(place.path("keys/m.key")).unwrap();
    place.run(&["products", "list"]).must_fail(1, &["keys/m.key", "was set up with a master key"]);
}

/// The first start writes the new master key to `master.key.new`, stores what it encrypts in the database, and then renames the
/// file to `master.key`.
#[test]
fn a_first_start_that_was_interrupted_is_completed_by_the_next() {
    let place = Place::with_issuer(Engine::Sqlite);
    let (key, new_key) = (place.path("data/master.key"), place.path("data/master.key.new"));
    place.run(&["products", "list"]).must_succeed();
    let made = std::fs::read(&key).unwrap();
    assert!(!new_key.exists());
    for database_is_there in [false, true] {
        std::fs::rename(&key, &new_key).unwrap();
        if !database_is_there {
            std::fs::remove_file(place.path("data/mintmark.db")).unwrap();
        }
        let ran = place.run(&["products", "list"]).must_succeed();
        assert!(!ran.stderr.contains("was there before"), "{ran:?}");
        assert_eq!(std::fs::read(&key).unwrap(), made);
        assert!(!new_key.exists());
    }
}

#[test]
fn a_backup_after_a_rewrap_names_the_key_that_opens_it() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["products", "list"]).must_succeed();
    let ran = place.run(&["backup", "first.db"]).must_succeed();
    assert!(ran.stderr.contains("master key (data/master.key)"), "{ran:?}");
    place.run(&["keys", "rewrap", "--new-master-key-file", "data/second.key"]).must_succeed();
    let ran = place.run(&["backup", "second.db", "--json"]).must_succeed();
    assert!(ran.stderr.contains("is in data/second.key"), "{ran:?}");
    assert_eq!(text(&ran.json(), "master_key"), "data/second.key");
    // Until now the settings named the first key, which no longer opens the database.
    let place = place.with("MINTMARK__KEYS__MASTER_KEY_FILE", "data/second.key");
    place.run(&["keys", "rewrap", "--new-master-key-file", "elsewhere/third.key"]).must_succeed();
    let ran = place.run(&["backup", "third.db", "--json"]).must_succeed();
    // The third key is not in the folder of the configured one, so the backup can name only its fingerprint.
    let printed = ran.json();
    assert_eq!(printed["master_key"], serde_json::Value::Null);
    let fingerprint = text(&printed, "master_key_fingerprint");
    assert!(ran.stderr.contains(fingerprint) && !ran.stderr.contains("data/second.key"), "{ran:?}");
    place.run(&["products", "list"]).must_fail(1, &[fingerprint]);
}
