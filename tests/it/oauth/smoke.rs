//! The shortest way through: a management token, verified from the published keys.

use std::sync::Arc;

use mintmark::model::clock::Clock as _;
use mintmark_verifier::{Clock, Verifier};
use serde_json::Value;

use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(a_management_token);

/// The verifier's clock, moved by the test's.
#[derive(Debug)]
struct Follows(Arc<mintmark::model::clock::ManualClock>);

impl Clock for Follows {
    fn unix_seconds(&self) -> i64 {
        self.0.now()
    }
}

async fn a_management_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let response = app.token(&client, &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    let verifier =
        Verifier::builder(&app.base, &app.base).clock(Follows(app.clock.clone())).build().unwrap();
    let claims = verifier.verify(body["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims.client_id, client.client_id);
    app.stop().await;
}
