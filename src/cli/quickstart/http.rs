//! The HTTP requests of the demo: the ERP's token request, and the verifier's request for the published keys.

use std::sync::Arc;

use mintmark_verifier::{AccessTokenClaims, Verifier};
use serde::Deserialize;

use super::demo::Demo;
use crate::cli::Failure;
use crate::cli::http::{Transport, chain, client};
use crate::config::Settings;

/// The answer to a token request (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct TokenReply {
    pub(super) access_token: String,
    pub(super) expires_in: Option<i64>,
    pub(super) scope: String,
}

/// Exchanges id and secret for an access token.
pub(super) async fn exchange(settings: &Settings, demo: &Demo) -> Result<TokenReply, Failure> {
    let endpoint = token_endpoint(settings);
    let failed = |error: &dyn std::error::Error| Failure::Fault(format!("{endpoint}: {}", chain(error)));
    let request =
        client(true)?.post(&endpoint).basic_auth(&demo.client_id, Some(demo.client_secret.expose()));
    let reply =
        request.form(&[("grant_type", "client_credentials")]).send().await.map_err(|error| failed(&error))?;
    let (status, body) = (reply.status(), reply.text().await.map_err(|error| failed(&error))?);
    if !status.is_success() {
        return Err(Failure::Fault(format!("{endpoint} responds with {status}: {body}")));
    }
    serde_json::from_str(&body).map_err(|error| failed(&error))
}

/// Verifies a token the way any other service does.
pub(super) async fn verify(settings: &Settings, token: &str) -> Result<AccessTokenClaims, Failure> {
    let issuer = settings.server.public_url.as_str();
    let failed = |error: &dyn std::error::Error| {
        Failure::Fault(format!("the token does not verify: {}", chain(error)))
    };
    let verifier = Verifier::builder(issuer, &settings.tokens.default_audience)
        .fetch(Transport(client(true)?))
        .allow_never_expiring(true)
        .build()
        .map_err(|error| failed(&error))?;
    verifier.verify(token).await.map(Arc::unwrap_or_clone).map_err(|error| failed(&error))
}

pub(super) fn token_endpoint(settings: &Settings) -> String {
    format!("{}/oauth2/token", settings.server.public_url)
}
