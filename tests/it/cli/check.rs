//! `mintmark check`: the settings in force, errors and warnings.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(the_database_is_inspected_on_request);

fn setting<'a>(document: &'a serde_json::Value, key: &str) -> &'a serde_json::Value {
    document["settings"].as_array().unwrap().iter().find(|set| set["key"] == key).unwrap()
}

#[test]
fn check_shows_each_setting_and_its_source_and_changes_nothing() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.write("mine.toml", "[tokens]\nsigning_alg = \"EdDSA\"\n");
    let ran = place.run(&["--config", "mine.toml", "check", "--json"]).must_succeed();
    let shown = ran.json();
    assert_eq!(shown["ok"], true);
    let expected = |key: &str, value: serde_json::Value, source: &str| {
        assert_eq!(setting(&shown, key), &json!({"key": key, "value": value, "source": source}));
    };
    expected("tokens.signing_alg", json!("EdDSA"), "file");
    expected("server.public_url", json!("http://127.0.0.1:8080"), "env");
    expected("keys.pending_seconds", json!(900), "default");
    assert_eq!(shown["warnings"], json!([]));
    assert!(!place.path("data").exists());

    let ran = place.run(&["check", "--config", "mine.toml"]).must_succeed();
    let has = |line: &str| assert!(ran.stdout.lines().any(|shown| shown == line), "{line:?}: {}", ran.stdout);
    has("tokens.signing_alg               EdDSA  (file)");
    has("keys.pending_seconds             900");
    has("server.tls.cert_file             (not set)");
}

#[test]
fn secrets_are_redacted() {
    let place = Place::with_issuer(Engine::Sqlite)
        .with("MINTMARK__DATABASE__URL", "postgres://me:canary1@db.example/tokens")
        .with("MINTMARK__KEYS__MASTER_KEY", "CANARY2DBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0");
    for args in [&["check"][..], &["check", "--json"]] {
        let ran = place.run(args).must_succeed();
        let all = ran.stdout + &ran.stderr;
        assert!(!all.contains("canary1") && !all.contains("CANARY2"), "{all}");
        assert!(all.contains("postgres://me:[redacted]@db.example/tokens"), "{all}");
    }
}

#[test]
fn all_problems_are_listed_in_one_run() {
    let place = Place::new(Engine::Sqlite)
        .with("MINTMARK__SERVER__PUBLIC_URL", "http://tokens.example.com")
        .with("MINTMARK__KEYS__PENDING_SECONDS", "1");
    place.write("mine.toml", "[server]\nlisen = \"127.0.0.1:1\"\n");
    let args = ["--config", "mine.toml", "check"];
    let parts = ["server.public_url", "not loopback", "keys.pending_seconds", "server.lisen", "mine.toml"];
    for command in ["check", "serve", "bootstrap", "migrate", "quickstart"] {
        place.run(&["--config", "mine.toml", command]).must_fail(2, &parts);
    }
    let ran = place.run(&[&args[..], &["--json"]].concat());
    assert_eq!(ran.code, 2);
    let document = ran.json();
    assert_eq!(document["ok"], false);
    let problems = document["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 3, "{document}");
    let members = ["key", "reason", "remedy", "set_by"];
    assert!(problems.iter().all(|problem| problem.as_object().unwrap().keys().eq(members)));
    assert!(!place.path("data").exists());
}

#[test]
fn a_damaged_or_missing_settings_file_is_reported() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.write("mine.toml", "[server\nlisten = ");
    place.run(&["--config", "mine.toml", "serve"]).must_fail(2, &["mine.toml"]);
    place.write("mine.toml", b"[server]\nlisten = \"\xff\"");
    place.run(&["--config", "mine.toml", "serve"]).must_fail(2, &["mine.toml"]);
    place.run(&["--config", "none.toml", "serve"]).must_fail(2, &["none.toml"]);
}

#[test]
fn a_master_key_that_is_malformed_missing_or_readable_by_others_is_a_problem() {
    let place = Place::with_issuer(Engine::Sqlite).with("MINTMARK__KEYS__MASTER_KEY", "too short");
    place.run(&["check"]).must_fail(2, &["keys.master_key", "openssl rand"]);

    let place = Place::with_issuer(Engine::Sqlite).with("MINTMARK__KEYS__MASTER_KEY_FILE", "my.key");
    place.run(&["check"]).must_fail(2, &["keys.master_key_file", "my.key", "does not exist"]);
    place.write("my.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n");
    let mode =
        |mode| std::fs::set_permissions(place.path("my.key"), PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let ran = place.run(&["check", "--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let problem = &ran.json()["problems"][0];
    assert_eq!(text(problem, "key"), "keys.master_key_file");
    assert!(
        text(problem, "reason").contains("0644") && text(problem, "remedy").contains("chmod"),
        "{problem}"
    );
    mode(0o600);
    place.run(&["check"]).must_succeed();
}

#[test]
fn valid_settings_that_are_often_mistakes_cause_warnings() {
    let warned = |settings: &[(&str, &str)]| {
        let place = settings.iter().fold(Place::new(Engine::Sqlite), |place, (name, value)| {
            place.with(&format!("MINTMARK__SERVER__{name}"), value)
        });
        let ran = place.run(&["check", "--json"]).must_succeed();
        let warnings = ran.json()["warnings"].as_array().unwrap().clone();
        let for_people = place.run(&["check"]).must_succeed().stderr;
        assert_eq!(for_people.matches("warning: ").count(), warnings.len());
        warnings.iter().map(|warning| warning.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let https = ("PUBLIC_URL", "https://tokens.example.com");
    let proxy = ("TRUSTED_PROXIES", "10.0.0.1");
    assert_eq!(warned(&[("LISTEN", "127.0.0.1:8080")]), [""; 0]);
    assert_eq!(warned(&[("LISTEN", "127.0.0.1:8080"), https, proxy]), [""; 0]);
    let one = warned(&[("LISTEN", "0.0.0.0:8080"), https, proxy]);
    assert!(one.len() == 1 && one[0].contains("plain http to the network"), "{one:?}");
    let one = warned(&[("LISTEN", "127.0.0.1:8080"), https]);
    assert!(one.len() == 1 && one[0].contains("server.trusted_proxies is empty"), "{one:?}");
    let two = warned(&[("LISTEN", "0.0.0.0:8080")]);
    assert!(two.len() == 2 && two[1].contains("server.public_url"), "{two:?}");
}

async fn the_database_is_inspected_on_request(engine: Engine) {
    let mut place = Place::with_issuer(engine);
    let found = |place: &Place, code: i32| -> Vec<(String, bool)> {
        let ran = place.run(&["check", "--connect", "--json"]);
        assert_eq!(ran.code, code, "{ran:?}");
        let shown = ran.json();
        assert_eq!(shown["ok"], code == 0);
        let connected = shown["connected"].as_array().unwrap().iter();
        connected.map(|one| (text(one, "check").to_owned(), one["ok"].as_bool().unwrap())).collect()
    };
    let good = |what: &str| (what.to_owned(), true);
    let mut all = vec![good("database"), good("schema"), good("master_key")];
    all.extend((engine == Engine::Postgres).then(|| good("clock")));
    all.push(good("open_files"));
    assert_eq!(found(&place, 0), all);
    assert!(!place.path("data").exists(), "the check creates no file");
    place.run(&["products", "list"]).must_succeed();
    assert_eq!(found(&place, 0), all);
    let shown = place.run(&["check", "--connect"]).must_succeed().stdout;
    assert!(shown.contains("master_key: opens the database") && shown.contains("schema: current"), "{shown}");
    // This is not the master key of the database.
    place.run(&["keys", "generate-master", "other.key"]).must_succeed();
    place.set("MINTMARK__KEYS__MASTER_KEY_FILE", "other.key");
    assert!(found(&place, 1).contains(&("master_key".to_owned(), false)));
    let ran = place.run(&["check", "--connect"]);
    assert!(ran.code == 1 && ran.stderr.contains("is not the master key of this database"), "{ran:?}");
    assert!(ran.stdout.contains("FAILED      master_key: "), "{ran:?}");
}

#[test]
fn an_unreachable_database_is_a_problem() {
    let place = Place::with_issuer(Engine::Sqlite)
        .with("MINTMARK__DATABASE__URL", "postgres://me:canary@127.0.0.1:1/tokens");
    let ran = place.run(&["check", "--connect"]);
    assert!(ran.code == 1 && ran.stderr.contains("database: cannot open"), "{ran:?}");
    assert!(!(ran.stdout + &ran.stderr).contains("canary"));
}
