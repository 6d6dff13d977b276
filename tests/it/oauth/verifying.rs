//! Verifies tokens as any other service does: with `mintmark_verifier`, the metadata, keys and status lists that the app
//! publishes, and the time of the app's clock.

use std::sync::Arc;

use mintmark::model::clock::Clock as _;
use mintmark_verifier::{AccessTokenClaims, Verifier, VerifierBuilder, VerifyError};
use serde_json::Value;

use super::expect::Token;
use crate::support::TestApp;

/// A verifier for one audience, without leeway. It accepts never-expiring tokens only if `never_expiring` is true.
pub(super) fn verifier(app: &TestApp, issuer: &str, audience: &str, never_expiring: bool) -> Verifier {
    verifier_builder(app, issuer, audience).allow_never_expiring(never_expiring).build().unwrap()
}

/// A builder for [`verifier`]. The caller still sets whether never-expiring tokens are accepted.
pub(super) fn verifier_builder(app: &TestApp, issuer: &str, audience: &str) -> VerifierBuilder {
    let clock = Arc::clone(&app.clock);
    Verifier::builder(issuer, audience).clock(move || clock.now()).leeway_seconds(0)
}

/// Verifies the token once for each of its audiences. Returns its claims, or the first error.
pub(super) async fn verified(app: &TestApp, token: &Token) -> Result<Arc<AccessTokenClaims>, VerifyError> {
    let issuer = token.claims["iss"].as_str().unwrap();
    let audiences = match &token.claims["aud"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().map(|one| one.as_str().unwrap()).collect(),
        other => panic!("{other}"),
    };
    let mut claims = None;
    for audience in audiences {
        claims = Some(verifier(app, issuer, audience, true).verify(&token.text).await?);
    }
    Ok(claims.expect("a token has an audience"))
}

/// Checks that services of the token's audiences accept the token, and that a service of another audience does not.
pub(super) async fn accepted(app: &TestApp, token: &Token) {
    let claims = verified(app, token).await.unwrap();
    assert_eq!(serde_json::to_value(&*claims).unwrap(), token.claims);
    let issuer = token.claims["iss"].as_str().unwrap();
    let elsewhere = verifier(app, issuer, "https://elsewhere.example", true);
    assert!(elsewhere.verify(&token.text).await.is_err());
}
