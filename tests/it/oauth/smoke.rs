//! The shortest way through: a management token.

use serde_json::Value;

use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(a_management_token);

async fn a_management_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let response = app.token(&client, &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    app.core.issuer.verify_own(body["access_token"].as_str().unwrap()).unwrap();
    app.stop().await;
}
