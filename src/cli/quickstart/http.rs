//! The HTTP requests of the demo: the ERP's token request, and the verifier's request for the published keys.

use std::sync::Arc;
use std::time::Duration;

use mintmark_verifier::{AccessTokenClaims, Fetch, FetchError, FetchFuture, Fetched, Request, Verifier};
use reqwest::header::{ACCEPT, CACHE_CONTROL};
use reqwest::{Client, redirect};
use serde::Deserialize;

use super::demo::Demo;
use crate::cli::Failure;
use crate::config::Settings;

/// The answer to a token request (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct Exchanged {
    pub(super) access_token: String,
    pub(super) expires_in: Option<i64>,
    pub(super) scope: String,
}

/// Exchanges id and secret for an access token.
pub(super) async fn exchange(settings: &Settings, demo: &Demo) -> Result<Exchanged, Failure> {
    let endpoint = token_endpoint(settings);
    let failed = |error: &dyn std::error::Error| Failure::Fault(format!("{endpoint}: {}", chain(error)));
    let request = client()?.post(&endpoint).basic_auth(&demo.client_id, Some(demo.client_secret.expose()));
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
        .fetch(Loopback(client()?))
        .allow_never_expiring(true)
        .build()
        .map_err(|error| failed(&error))?;
    verifier.verify(token).await.map(Arc::unwrap_or_clone).map_err(|error| failed(&error))
}

pub(super) fn token_endpoint(settings: &Settings) -> String {
    format!("{}/oauth2/token", settings.server.public_url)
}

/// A client that stays on this machine: no proxy, no redirect.
fn client() -> Result<Client, Failure> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| Failure::Fault(format!("cannot make requests: {}", chain(&error))))
}

/// The verifier's transport, without the proxy that may be set for other hosts.
struct Loopback(Client);

impl Fetch for Loopback {
    fn get<'a>(&'a self, request: Request<'a>) -> FetchFuture<'a> {
        Box::pin(async move {
            let failed = |error: reqwest::Error| FetchError(chain(&error));
            let asked = self.0.get(request.url).header(ACCEPT, request.accept);
            let reply = asked.send().await.map_err(failed)?;
            let cache_control = reply.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
            Ok(Fetched {
                status: reply.status().as_u16(),
                cache_control: cache_control.map(str::to_owned),
                body: reply.bytes().await.map_err(failed)?.to_vec(),
                ..Fetched::default()
            })
        })
    }
}

/// An error with its causes, which say what happened.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
