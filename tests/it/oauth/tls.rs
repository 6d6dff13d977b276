//! TLS (RFC 6749 §3.2; `docs/conformance.md` T25): served if certificate and key are set, and then without plain HTTP.

use mintmark::config::Settings;

use super::expect::{FORM, GRANT, TOKEN, issued};
use crate::support::{Engine, Reply, Wire, on_both_engines, tls_app};

on_both_engines!(t25_only_tls_is_served);

async fn t25_only_tls_is_served(engine: Engine) {
    let tls = tls_app(engine).await;
    let client = tls.app.bootstrap().await;

    // A request in plain HTTP is neither answered nor redirected: no byte of HTTP comes back.
    let mut wire = Wire::to(&tls.app).await;
    wire.send(format!(
        "POST {TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{GRANT}",
        GRANT.len()
    ))
    .await;
    let answer = wire.rest().await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");

    let request = tls.http.post(format!("{}{TOKEN}", tls.base));
    let request = request.basic_auth(&client.client_id, Some(&client.client_secret));
    let reply = Reply::to(request.header("content-type", FORM).body(GRANT)).await;
    assert_eq!(issued(&reply).claims["iss"], "https://tokens.example.com");
    tls.app.stop().await;
}

#[test]
fn t25_a_plain_http_issuer_must_be_on_loopback() {
    for refused in ["http://tokens.example.com", "http://10.0.0.1:8080", "http://localhost.example.com"] {
        let layer = format!("server.public_url = {refused:?}");
        let error = Settings::from_toml_layers(&[&layer]).unwrap_err().to_string();
        assert!(error.contains("server.public_url"), "{error}");
    }
    Settings::from_toml_layers(&["server.public_url = \"http://127.0.0.1:8080\""]).unwrap();
}
