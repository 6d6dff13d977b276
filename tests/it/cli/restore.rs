//! `mintmark restore`: tokens that were issued before the restore are not valid, also those that the backup does not contain.
//! On request, the recorded tokens of the backup stay valid.

use serde_json::Value;

use super::process::{Place, Serving, bytes, client, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(every_token_issued_before_a_restore_is_revoked, recorded_tokens_are_kept_on_request);

/// The id and the secret of a client.
type Erp = (String, String);

/// Creates a client of recorded tokens and one of stateless tokens.
fn create_clients(place: &Place) -> [Erp; 2] {
    place.json(&["products", "create", "gst", "--name", "GST", "--json"]);
    place.json(&["workspaces", "create", "acme", "--name", "Acme", "--json"]);
    ["never", "3600"].map(|expiry| {
        let made = place.json(&[
            "clients",
            "create",
            "acme",
            "--label",
            "ERP",
            "--products",
            "gst",
            "--token-expiry",
            expiry,
            "--json",
        ]);
        (text(&made, "client_id").to_owned(), text(&made, "client_secret").to_owned())
    })
}

async fn issued(serving: &Serving, erp: &Erp) -> String {
    let reply = serving.token(&erp.0, &erp.1, "").await;
    assert_eq!(reply.status(), 200);
    text(&reply.json::<Value>().await.unwrap(), "access_token").to_owned()
}

async fn introspected(serving: &Serving, erp: &Erp, token: &str) -> Value {
    let request =
        client().post(format!("{}/oauth2/introspect", serving.base)).basic_auth(&erp.0, Some(&erp.1));
    request.form(&[("token", token)]).send().await.unwrap().json().await.unwrap()
}

async fn is_active(serving: &Serving, erp: &Erp, token: &str) -> bool {
    introspected(serving, erp, token).await["active"] == true
}

/// The number of the status list that an active token names.
async fn list_of(serving: &Serving, erp: &Erp, token: &str) -> i64 {
    let reply = introspected(serving, erp, token).await;
    let uri = reply["status"]["status_list"]["uri"].as_str().unwrap();
    uri.rsplit('/').next().unwrap().parse().unwrap()
}

async fn every_token_issued_before_a_restore_is_revoked(engine: Engine) {
    let place = Place::with_issuer(engine);
    let [never, hourly] = create_clients(&place);
    let serving = place.serve();
    let known = [issued(&serving, &never).await, issued(&serving, &hourly).await];
    let list = list_of(&serving, &never, &known[0]).await;
    let mut command = vec!["restore", "--json"];
    if engine == Engine::Sqlite {
        place.json(&["backup", "copy.db", "--json"]);
        command.push("copy.db");
    }
    let unknown = [issued(&serving, &never).await, issued(&serving, &hourly).await];
    assert_eq!(serving.stop().code, 0);
    if engine == Engine::Sqlite {
        let refused = place.run(&["restore", "copy.db"]).must_fail(1, &["data/mintmark.db", "move it away"]);
        assert!(!refused.stderr.contains("deleted"), "{refused:?}");
        std::fs::rename(place.path("data/mintmark.db"), place.path("old.db")).unwrap();
    }
    let ran = place.run(&command).must_succeed();
    let document = ran.json();
    assert_eq!(document["clients"], 2, "{document}");
    // The backup has one recorded token. On PostgreSQL the test restores none, so the database still has both.
    let recorded = if engine == Engine::Sqlite { 1 } else { 2 };
    assert_eq!((&document["revoked_tokens"], &document["kept_tokens"]), (&recorded.into(), &0.into()));
    assert!(ran.stderr.contains("deleted since are back"), "{ran:?}");

    let serving = place.serve();
    for tokens in [known, unknown] {
        for (erp, token) in [&never, &hourly].into_iter().zip(&tokens) {
            assert!(!is_active(&serving, erp, token).await);
        }
    }
    for erp in [&never, &hourly] {
        let token = issued(&serving, erp).await;
        assert!(is_active(&serving, erp, &token).await);
        // A restore skips a million numbers of status lists.
        assert!(list_of(&serving, erp, &token).await > list + 1000, "the old numbers are not used again");
    }
    assert_eq!(serving.stop().code, 0);
}

async fn recorded_tokens_are_kept_on_request(engine: Engine) {
    let place = Place::with_issuer(engine);
    let [never, hourly] = create_clients(&place);
    let serving = place.serve();
    let (kept, stateless) = (issued(&serving, &never).await, issued(&serving, &hourly).await);
    let mut command = vec!["restore", "--keep-recorded-tokens", "--json"];
    let mut lost = None;
    if engine == Engine::Sqlite {
        place.json(&["backup", "copy.db", "--json"]);
        command.push("copy.db");
        lost = Some(issued(&serving, &never).await);
    }
    assert_eq!(serving.stop().code, 0);
    if engine == Engine::Sqlite {
        std::fs::rename(place.path("data/mintmark.db"), place.path("old.db")).unwrap();
    }
    for _ in 0..2 {
        let ran = place.run(&command).must_succeed();
        assert_eq!(ran.json()["kept_tokens"], 1, "{ran:?}");
        assert!(ran.stderr.contains("revoke them again"), "{ran:?}");
        // The second time there is a database, so the command gets no file.
        command.retain(|word| *word != "copy.db");
    }
    let serving = place.serve();
    assert!(is_active(&serving, &never, &kept).await);
    assert!(!is_active(&serving, &hourly, &stateless).await);
    if let Some(lost) = lost {
        assert!(!is_active(&serving, &never, &lost).await);
    }
    assert_eq!(serving.stop().code, 0);
}

#[test]
fn a_file_that_is_not_a_backup_is_refused_and_not_changed() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["restore", "nowhere.db"]).must_fail(1, &["nowhere.db"]);
    assert!(!place.path("data").exists());
    place.write(
        "data.txt",
        "this is no database, but it is long enough for a header of one, which has a hundred bytes",
    );
    place.run(&["restore", "data.txt"]).must_fail(1, &["damaged"]);
    assert!(bytes(&place.path("data.txt")).starts_with(b"this is no database"));
}

#[tokio::test]
async fn a_backup_whose_tokens_cannot_be_revoked_is_not_put_in_place() {
    let place = Place::with_issuer(Engine::Sqlite);
    let [never, _] = create_clients(&place);
    let serving = place.serve();
    place.json(&["backup", "copy.db", "--json"]);
    let unknown = issued(&serving, &never).await;
    assert_eq!(serving.stop().code, 0);
    std::fs::rename(place.path("data/mintmark.db"), place.path("old.db")).unwrap();
    std::fs::rename(place.path("data/master.key"), place.path("right.key")).unwrap();
    let restore = ["restore", "copy.db"];
    place.run(&restore).must_fail(1, &["master.key", "does not exist"]);
    place.write("data/master.key", "0f".repeat(31) + "10");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(place.path("data/master.key"), private).unwrap();
    place.run(&restore).must_fail(1, &["is not the master key of this database"]);
    assert!(!place.path("data/mintmark.db").exists() && !place.path("data/mintmark.db.restoring").exists());
    std::fs::rename(place.path("right.key"), place.path("data/master.key")).unwrap();
    place.run(&restore).must_succeed();
    let serving = place.serve();
    assert!(!is_active(&serving, &never, &unknown).await);
    assert_eq!(serving.stop().code, 0);
}

#[test]
fn on_postgres_the_error_names_pg_restore() {
    let place = Place::with_issuer(Engine::Postgres);
    place.run(&["restore", "copy.db"]).must_fail(1, &["pg_restore", "without a file"]);
}
