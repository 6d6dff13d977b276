//! `mintmark healthcheck` and `mintmark migrate`, which containers run in addition to the server.

use std::net::TcpListener;

use serde_json::json;

use super::process::Place;
use crate::support::{Engine, on_both_engines};

on_both_engines!(migrate_creates_the_schema_and_no_key);

async fn migrate_creates_the_schema_and_no_key(engine: Engine) {
    let place = Place::with_issuer(engine);
    let name = if engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" };
    for _ in 0..2 {
        assert_eq!(place.json(&["migrate", "--json"]), json!({"engine": name, "schema": "current"}));
    }
    assert!(!place.path("data/master.key").exists());
    assert_eq!(place.path("data/mintmark.db").exists(), engine == Engine::Sqlite);
    place.run(&["bootstrap"]).must_succeed();
}

#[test]
fn a_serving_process_is_alive_and_a_stopped_one_is_not() {
    let mut place = Place::new(Engine::Sqlite);
    let serving = place.serve();
    let address = serving.address().to_owned();
    let (_, port) = address.split_once(':').unwrap();
    for listen in [address.clone(), format!("0.0.0.0:{port}")] {
        place.set("MINTMARK__SERVER__LISTEN", &listen);
        assert_eq!(place.run(&["healthcheck"]).must_succeed().stdout, "alive\n");
    }
    assert_eq!(serving.stop().code, 0);
    place.run(&["healthcheck"]).must_fail(1, &[&format!("http://{address}/healthz"), "refused"]);
}

#[test]
fn over_tls_the_certificate_need_not_name_the_listen_address() {
    let mut place = Place::new(Engine::Sqlite)
        .with("MINTMARK__SERVER__PUBLIC_URL", "https://tokens.example.com")
        .with("MINTMARK__SERVER__TLS__CERT_FILE", "cert.pem")
        .with("MINTMARK__SERVER__TLS__KEY_FILE", "key.pem");
    place.write("cert.pem", include_str!("tls/cert.pem"));
    place.write("key.pem", include_str!("tls/key.pem"));
    let serving = place.serve();
    place.set("MINTMARK__SERVER__LISTEN", serving.address());
    assert_eq!(place.run(&["healthcheck"]).must_succeed().stdout, "alive\n");
    assert_eq!(serving.stop().code, 0);
}

#[test]
fn a_server_that_does_not_answer_is_not_alive() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let place = Place::new(Engine::Sqlite).with("MINTMARK__SERVER__LISTEN", &address);
    place.run(&["healthcheck"]).must_fail(1, &["no response within 3 seconds"]);
}
