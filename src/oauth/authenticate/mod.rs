//! Client authentication (RFC 6749 §2.3): [`Authenticated`] is the only way to hold a verified client.
//!
//! A request presents exactly one thing (`Presented`), which is verified against the client and leaves a [`Proof`].
//! Each method of reading it has a file of its own. The body is read once, here, since a client may authenticate in it.
//! An endpoint names the form it wants and cannot forget to authenticate.

mod basic;
mod post;
mod presented;
mod throttle;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::door::Door;
use super::error::OAuthError;
use super::form;
use crate::clients::{Credentials, Refusal};
use crate::http::connection::PendingBody;
use crate::kernel::Error;
use crate::ledger::Ledger;
use crate::model::ids;
use crate::model::proof::Proof;
use crate::services::Services;
use crate::telemetry;

pub use throttle::Throttle;

use presented::{InBody, Presented};

/// The parameters of one endpoint, beside those of client authentication.
pub trait Form: Default {
    /// Takes a parameter; ignores one it does not know (RFC 6749 §3.2).
    ///
    /// # Errors
    /// `invalid_request` for a known parameter that is sent twice.
    fn take(&mut self, name: &str, value: std::borrow::Cow<'_, str>) -> Result<(), OAuthError>;

    /// Whether everything required was sent.
    ///
    /// # Errors
    /// `invalid_request` naming what is missing.
    fn complete(&self) -> Result<(), OAuthError>;

    /// What the endpoint needs to know of this process's memory before it believes it.
    type Confirmation;

    /// Makes sure of it, once a request.
    fn confirm(ledger: &Ledger) -> impl Future<Output = Result<Self::Confirmation, Error>>;
}

/// A client that has proved who it is, and the form it sent. Only this module makes one.
pub struct Authenticated<F: Form> {
    credentials: Arc<Credentials>,
    proof: Proof,
    confirmation: F::Confirmation,
    form: F,
}

impl<F: Form> Authenticated<F> {
    /// The client.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What it proved its identity with.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// What is known of this process's memory.
    pub fn confirmation(&self) -> &F::Confirmation {
        &self.confirmation
    }

    /// What it sent.
    pub fn form(&self) -> &F {
        &self.form
    }
}

impl<F: Form + fmt::Debug> fmt::Debug for Authenticated<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("client_id", &self.credentials.client_id)
            .finish_non_exhaustive()
    }
}

impl<F: Form + 'static> FromRequest for Authenticated<F> {
    type Error = OAuthError;
    type Future = LocalBoxFuture<'static, Result<Self, OAuthError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut body = PendingBody::of(&request, payload);
        Box::pin(async move { authenticate(&request, &mut body).await })
    }
}

async fn authenticate<F: Form>(
    request: &HttpRequest,
    pending: &mut PendingBody,
) -> Result<Authenticated<F>, OAuthError> {
    refuse_credentials_in_query(request.query_string())?;
    // `App::configure` registers it.
    let door = request.app_data::<Data<Door>>().ok_or(OAuthError::Unavailable)?;
    let body = form::read(request.headers(), pending, door.request_timeout).await?;
    let mut form = F::default();
    let mut in_body = InBody::default();
    form::each(&body, |name, value| match in_body.parameter(name) {
        Some((parameter, repeated)) => parameter.put(value, repeated),
        None => form.take(name, value),
    })?;
    let presented = Presented::read(request.headers(), in_body)?;
    form.complete()?;

    let services = &door.services;
    let confirmation = F::confirm(&services.ledger).await.map_err(|error| OAuthError::unavailable(&error))?;
    let source = telemetry::http::source_ip(request);
    match verify(services, presented.as_ref(), source).await? {
        Ok((credentials, proof)) => {
            telemetry::http::authenticated(request, Arc::clone(&credentials.client_id));
            Ok(Authenticated { credentials, proof, confirmation, form })
        }
        Err(refusal) => {
            let claimed = presented.as_ref().map_or("", Presented::client_id);
            tracing::info!(
                target: "mintmark::authenticate",
                reason = if presented.is_some() { refusal.as_str() } else { "no_usable_credentials" },
                // Anything that is not a client id may be a secret that was sent in its place.
                client_id = if ids::is_client_id(claimed) { claimed } else { "none" },
                source = source.map_or_else(|| "unknown".to_owned(), |source| source.to_string()),
                "client authentication failed"
            );
            Err(door
                .throttle
                .failed(claimed, source)
                .map_or(OAuthError::InvalidClient, OAuthError::TooManyFailures))
        }
    }
}

/// Verifies what a request presents against the client as it is known here.
async fn verify(
    services: &Services,
    presented: Option<&Presented>,
    source: Option<IpAddr>,
) -> Result<Result<(Arc<Credentials>, Proof), Refusal>, OAuthError> {
    let verified = match presented {
        Some(Presented::Secret(secret)) => {
            services.clients.authenticate_secret(secret.client_id(), secret.client_secret(), source).await
        }
        None => return Ok(Err(Refusal::WrongSecret)),
    };
    verified.map_err(|error| OAuthError::unavailable(&error))
}

/// Credentials in a URI end in logs and histories, so they are refused rather than ignored (RFC 6749 §2.3.1).
fn refuse_credentials_in_query(query: &str) -> Result<(), OAuthError> {
    let names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    for name in names {
        if matches!(form::decode(name).as_deref(), Some("client_secret" | "client_assertion" | "client_id")) {
            return Err(OAuthError::InvalidRequest(
                "send client credentials in the header or the body, never in the URL",
            ));
        }
    }
    Ok(())
}
