//! TLS (RFC 6749 §3.2; `docs/conformance.md` T25): spoken where certificate and key are set, and nothing else is there.

use mintmark::config::Settings;
use reqwest::{Certificate, Client};

use super::expect::{FORM, GRANT, TOKEN, issued};
use crate::support::{Engine, Reply, TestApp, Wire, on_both_engines, openssl};

on_both_engines!(t25_tls_and_nothing_beside_it);

async fn t25_tls_and_nothing_beside_it(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (file("key.pem"), file("cert.pem"));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    let settings = format!(
        "server.public_url = \"https://tokens.example.com\"\nserver.tls.cert_file = {certificate:?}\n\
         server.tls.key_file = {key:?}"
    );
    let app = TestApp::start_with(engine, &settings).await;
    let client = app.bootstrap().await;

    // Neither answered nor redirected: no byte of HTTP comes back.
    let mut wire = Wire::to(&app).await;
    wire.send(format!(
        "POST {TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{GRANT}",
        GRANT.len()
    ))
    .await;
    let answer = wire.rest().await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");

    let trusted = Certificate::from_pem(&std::fs::read(&certificate).unwrap()).unwrap();
    let http = Client::builder().tls_certs_only([trusted]).build().unwrap();
    let url = format!("{}{TOKEN}", app.base.replace("http://", "https://"));
    let request = http.post(url).basic_auth(&client.client_id, Some(&client.client_secret));
    let reply = Reply::to(request.header("content-type", FORM).body(GRANT)).await;
    assert_eq!(issued(&reply).claims["iss"], "https://tokens.example.com");
    app.stop().await;
}

#[test]
fn t25_an_issuer_in_the_clear_is_on_this_machine_only() {
    for refused in ["http://tokens.example.com", "http://10.0.0.1:8080", "http://localhost.example.com"] {
        let layer = format!("server.public_url = {refused:?}");
        let error = Settings::from_toml_layers(&[&layer]).unwrap_err().to_string();
        assert!(error.contains("server.public_url"), "{error}");
    }
    Settings::from_toml_layers(&["server.public_url = \"http://127.0.0.1:8080\""]).unwrap();
}
