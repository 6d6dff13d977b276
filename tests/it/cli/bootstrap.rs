//! `mintmark bootstrap`: run once, twice, several times at once, and while a server is running.

use std::time::Duration;

use super::process::{Place, Serving, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    only_the_first_run_prints_a_secret,
    of_several_runs_at_once_one_creates_the_client,
    a_server_and_runs_started_together_wait_for_each_other,
    a_running_server_accepts_the_new_client_and_notices_its_changes,
);

async fn only_the_first_run_prints_a_secret(engine: Engine) {
    let place = Place::with_issuer(engine);
    let first = place.run(&["bootstrap", "--json"]).must_succeed();
    let made = first.json();
    let members: Vec<_> = made.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["client_id", "client_secret", "token_endpoint", "workspace_id"]);
    assert_eq!(text(&made, "workspace_id"), "platform");
    assert_eq!(text(&made, "token_endpoint"), "http://127.0.0.1:8080/oauth2/token");
    assert!(text(&made, "client_id").starts_with("cl_") && text(&made, "client_secret").starts_with("mms_"));

    let before = place.json(&["clients", "show", text(&made, "client_id"), "--json"]);
    let again = place.run(&["bootstrap", "--json"]).must_succeed();
    assert!(again.stderr.contains(&format!("mintmark clients add-secret {}", text(&made, "client_id"))));
    let again = again.json();
    assert_eq!(again.get("client_secret"), None);
    assert_eq!(text(&again, "client_id"), text(&made, "client_id"));
    assert_eq!(place.json(&["clients", "show", text(&made, "client_id"), "--json"]), before);
    assert_eq!(place.json(&["clients", "list", "platform", "--json"])["items"].as_array().unwrap().len(), 1);

    let for_people = place.run(&["bootstrap"]).must_succeed();
    assert_eq!(
        for_people.stdout,
        format!(
            "client_id       {}\nworkspace_id    platform\ntoken_endpoint  http://127.0.0.1:8080/oauth2/token\n",
            text(&made, "client_id")
        )
    );
}

async fn of_several_runs_at_once_one_creates_the_client(engine: Engine) {
    let place = Place::with_issuer(engine);
    // The schema and the master key are there already, so the runs compete only for what `bootstrap` itself creates.
    place.run(&["migrate"]).must_succeed();
    let key = "MINTMARK__KEYS__MASTER_KEY";
    let place = place.with(key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let running: Vec<_> = (0..4).map(|_| place.start(&["bootstrap", "--json"])).collect();
    let ran: Vec<_> = running.into_iter().map(|running| running.wait().must_succeed().json()).collect();
    let secrets = ran.iter().filter(|made| made.get("client_secret").is_some()).count();
    assert_eq!(secrets, 1, "{ran:?}");
    assert!(ran.iter().all(|made| made["client_id"] == ran[0]["client_id"]), "{ran:?}");
}

/// Nothing is set up yet: on SQLite there is no database file, and the PostgreSQL database has no tables. One process creates
/// the tables, the master key and the signing keys, and the others use them.
async fn a_server_and_runs_started_together_wait_for_each_other(engine: Engine) {
    let place = Place::with_issuer(engine);
    let running: Vec<_> = (0..3).map(|_| place.start(&["bootstrap", "--json"])).collect();
    let serving = place.serve();
    let ran: Vec<_> = running.into_iter().map(|running| running.wait().must_succeed()).collect();
    let made: Vec<_> = ran.iter().map(super::process::Ran::json).collect();
    let with_secret: Vec<_> = made.iter().filter(|made| made.get("client_secret").is_some()).collect();
    assert_eq!(with_secret.len(), 1, "{made:?}");
    let (id, secret) = (text(with_secret[0], "client_id"), text(with_secret[0], "client_secret"));
    let status = serving.token(id, secret, "").await.status();
    let served = serving.stop();
    assert_eq!((status.as_u16(), served.code), (200, 0), "{}", served.stderr);
    let said = ran.iter().fold(served.stderr, |said, ran| said + &ran.stderr);
    assert!(!said.contains("was there before") && !said.contains("ERROR"), "{said}");
    assert_eq!(said.matches("NEW MASTER KEY").count(), 1, "{said}");
}

async fn a_running_server_accepts_the_new_client_and_notices_its_changes(engine: Engine) {
    let mut place = Place::new(engine);
    let serving = place.serve();
    place.set("MINTMARK__SERVER__PUBLIC_URL", &serving.base);
    let made = place.json(&["bootstrap", "--json"]);
    let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
    assert_eq!(serving.token(id, secret, "").await.status(), 200);

    // The server has the client in its cache, and learns of changes from the change counter.
    let added = place.json(&["clients", "add-secret", id, "--json"]);
    token_request_answers(200, &serving, id, text(&added, "client_secret")).await;
    assert_eq!(serving.token(id, secret, "").await.status(), 200);
    place.run(&["clients", "disable", id]).must_succeed();
    token_request_answers(401, &serving, id, secret).await;
    assert_eq!(serving.stop().code, 0);
}

/// Requests tokens until the status is `status`.
async fn token_request_answers(status: u16, serving: &Serving, id: &str, secret: &str) {
    let requests = async { while serving.token(id, secret, "").await.status().as_u16() != status {} };
    // A change takes effect within a second. The test allows ten, since the machine may be busy with other tests.
    tokio::time::timeout(Duration::from_secs(10), requests).await.expect("the change takes effect in time");
}
