//! `mintmark backup`.

use std::os::unix::fs::PermissionsExt as _;

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::process::{Place, bytes, text};
use crate::support::Engine;

#[test]
fn a_copy_made_while_serving_holds_everything_and_can_be_served() {
    let mut place = Place::new(Engine::Sqlite);
    let serving = place.serve();
    place.set("MINTMARK__SERVER__PUBLIC_URL", &serving.base);
    let made = place.json(&["bootstrap", "--json"]);
    let ran = place.run(&["backup", "copy.db", "--json"]).must_succeed();
    let document = ran.json();
    assert!(ran.stderr.contains("master key") && ran.stderr.contains("data/master.key"), "{ran:?}");
    assert_eq!(serving.stop().code, 0);
    let copy = place.path("copy.db");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(document["bytes"], copy.metadata().unwrap().len());
    assert_eq!(text(&document, "file"), "copy.db");

    let show = ["clients", "show", text(&made, "client_id"), "--json"];
    let original = place.json(&show);
    place.set("MINTMARK__DATABASE__URL", "sqlite://copy.db");
    assert_eq!(place.json(&show), original);
    assert_eq!(place.serve().stop().code, 0);
}

#[test]
fn nothing_is_overwritten_and_no_copy_is_made_without_a_database() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["backup", "copy.db"]).must_fail(1, &["no database", "data/mintmark.db"]);
    assert!(!place.path("copy.db").exists() && !place.path("data").exists());
    place.run(&["migrate"]).must_succeed();
    place.write("copy.db", "precious");
    place.run(&["backup", "copy.db"]).must_fail(1, &["copy.db exists already", "another name"]);
    assert_eq!(bytes(&place.path("copy.db")), b"precious");
    place.run(&["backup", "nowhere/copy.db"]).must_fail(1, &["nowhere/copy.db"]);
    std::fs::write(
        place.path("data/mintmark.db"),
        "this is no database, but it is long enough for a header of one,\
        which has a hundred bytes",
    )
    .unwrap();
    place.run(&["backup", "other.db"]).must_fail(1, &["damaged"]);
    assert!(!place.path("other.db").exists(), "no partial copy is left");
}

#[tokio::test]
async fn on_postgres_the_error_names_pg_dump() {
    let place = Place::with_issuer(Engine::Postgres);
    place.run(&["backup", "copy.db"]).must_fail(1, &["pg_dump", "copy.db"]);
    assert!(!place.path("copy.db").exists());
}

#[tokio::test]
async fn a_copy_is_verified_on_request_and_damage_is_reported() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["products", "list"]).must_succeed();
    let ran = place.run(&["backup", "--verify", "whole.db"]).must_succeed();
    assert!(ran.stdout.contains("whole.db") && ran.stdout.contains("verified\n"), "{ran:?}");
    assert_eq!(place.json(&["backup", "--verify", "again.db", "--json"])["verified"], true);
    let url = format!("sqlite://{}", place.path("data/mintmark.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let orphan = "PRAGMA foreign_keys = OFF; INSERT INTO client_products (client_id, product) VALUES ('cl_none', 'none')";
    connection.execute(orphan).await.unwrap();
    connection.close().await.unwrap();
    place.run(&["backup", "--verify", "broken.db"]).must_fail(1, &["damaged", "client_products"]);
}
