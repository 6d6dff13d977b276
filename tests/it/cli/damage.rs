//! The database or its master key file is damaged, lost, moved or unreachable: commands say so, and replace neither
//! the key nor a damaged database.

use std::os::unix::fs::PermissionsExt;

use super::process::{Place, bytes, text};
use crate::support::{Engine, on_both_engines, until};

on_both_engines!(a_damaged_key_file_is_reported_and_nothing_is_changed);

/// Commands that open the database. Each must fail.
const OPENERS: [&[&str]; 4] =
    [&["serve"], &["bootstrap"], &["clients", "list", "platform"], &["quickstart", "--once"]];

async fn a_damaged_key_file_is_reported_and_nothing_is_changed(engine: Engine) {
    let place = Place::new(engine).with("MINTMARK__SERVER__LISTEN", "127.0.0.1:0");
    let issuer = "http://127.0.0.1:8080";
    let place = place.with("MINTMARK__SERVER__PUBLIC_URL", issuer);
    let made = place.json(&["bootstrap", "--json"]);
    let show = ["clients", "show", text(&made, "client_id"), "--json"];
    let before = place.json(&show);
    let (key, database) = (place.path("data/master.key"), place.path("data/mintmark.db"));
    let good = bytes(&key);
    let stored = || (engine == Engine::Sqlite).then(|| bytes(&database));
    let database_before = stored();

    let mut other = good.clone();
    other[0] = if other[0] == b'A' { b'B' } else { b'A' };
    for (damaged, says) in [
        (&b""[..], "it is empty"),
        (b"not a key\n", "it is not base64, base64url or hex"),
        (&good[..20], "instead of 32"),
        (&other, "not the master key of this database"),
    ] {
        std::fs::write(&key, damaged).unwrap();
        for args in OPENERS {
            place.run(args).must_fail(1, &["master.key", says]);
        }
        assert_eq!(bytes(&key), damaged);
    }
    std::fs::remove_file(&key).unwrap();
    for args in OPENERS {
        place.run(args).must_fail(1, &["master.key", "does not exist", "Restore the file"]);
    }
    assert!(!key.exists(), "no new key is created for a database that has one");

    std::fs::write(&key, &good).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    for args in OPENERS {
        place.run(args).must_fail(1, &["master.key", "mode 0644", "chmod 0600"]);
    }
    assert_eq!(stored(), database_before);

    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(place.json(&show), before);
}

#[test]
fn a_lost_database_is_noticed_because_its_master_key_is_there() {
    let place = Place::with_issuer(Engine::Sqlite);
    let first = place.run(&["bootstrap"]).must_succeed();
    assert!(!first.stderr.contains("the database is new"), "{first:?}");
    let lost = "the database is new, but its master key was there before";
    for emptied in [false, true] {
        for left in std::fs::read_dir(place.path("data")).unwrap().map(|file| file.unwrap().path()) {
            if !left.ends_with("master.key") {
                std::fs::remove_file(left).unwrap();
            }
        }
        if emptied {
            place.write("data/mintmark.db", "");
        }
        let ran = place.run(&["keys", "list"]).must_succeed();
        assert!(ran.stderr.contains(lost), "{ran:?}");
        let again = place.run(&["keys", "list"]).must_succeed();
        assert!(!again.stderr.contains(lost), "{again:?}");
    }
}

/// SQLite itself would go on writing to the open file. If that file was deleted, its data is lost when it is closed.
#[tokio::test]
async fn a_database_that_is_moved_while_it_is_served_is_not_written_to() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    let wanted = ["clients", "create", "platform", "--label", "ERP", "--products", "gst"];
    let made = place.json(&[&wanted[..], &["--token-expiry", "never", "--json"]].concat());
    let serving = place.serve();
    let recorded =
        async || serving.token(text(&made, "client_id"), text(&made, "client_secret"), "gst").await.status();
    let ready = async || serving.get("/readyz").await.status();
    assert_eq!((recorded().await.as_u16(), ready().await.as_u16()), (200, 200));
    let (database, away) = (place.path("data/mintmark.db"), place.path("data/away.db"));
    std::fs::rename(&database, &away).unwrap();
    assert_eq!((recorded().await.as_u16(), ready().await.as_u16()), (503, 503));
    // A new file at the same path is not the open one.
    place.write("data/mintmark.db", "");
    assert_eq!((recorded().await.as_u16(), ready().await.as_u16()), (503, 503));
    std::fs::rename(&away, &database).unwrap();
    assert_eq!(recorded().await.as_u16(), 200);
    until("the next poll finds the database again", async || ready().await.as_u16() == 200).await;
    let stopped = serving.stop();
    assert_eq!(stopped.code, 0);
    assert!(
        stopped.stderr.contains("was moved, removed or replaced while it was being served"),
        "{stopped:?}"
    );
}

#[test]
fn a_damaged_database_is_reported_and_not_changed() {
    let place = Place::with_issuer(Engine::Sqlite);
    let made = place.json(&["bootstrap", "--json"]);
    let show = ["clients", "show", text(&made, "client_id"), "--json"];
    let before = place.json(&show);
    let (key, database) = (place.path("data/master.key"), place.path("data/mintmark.db"));
    let (good, good_key) = (bytes(&database), bytes(&key));

    let mut without_header = good.clone();
    without_header[..100].fill(0xa5);
    let mut without_content = good.clone();
    without_content[100..].fill(0xa5);
    for damaged in [&without_header, &without_content] {
        std::fs::write(&database, damaged).unwrap();
        for args in OPENERS {
            place.run(args).must_fail(1, &["the database is damaged", "backup"]);
        }
        assert!(&bytes(&database) == damaged, "a damaged file is left as it is, so that it can be repaired");
    }
    assert_eq!(bytes(&key), good_key);

    std::fs::write(&database, &good).unwrap();
    assert_eq!(place.json(&show), before);
}

#[tokio::test]
async fn an_unreachable_database_is_reported_without_its_password() {
    let place = Place::with_issuer(Engine::Sqlite)
        .with("MINTMARK__DATABASE__URL", "postgres://me:canary@127.0.0.1:1/tokens");
    for args in OPENERS {
        let ran = place.run(args).must_fail(1, &["127.0.0.1:1/tokens", "Is PostgreSQL running"]);
        assert!(!ran.stderr.contains("canary"), "{ran:?}");
    }
    assert!(!place.path("data").exists(), "no key is created for a database that cannot be reached");
}
