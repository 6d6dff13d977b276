//! Client authentication (RFC 6749 §2.3). A handler that takes [`Authenticated`] gets a client that has authenticated.
//!
//! A request has exactly one kind of credentials (`Presented`). The credentials are verified against the client, and the
//! result is a [`Proof`]. Each authentication method has its own file. The body is read here, once, because it may contain
//! credentials. A handler gets its form only as part of an [`Authenticated`], so it cannot forget to authenticate the client.

mod basic;
mod post;
mod presented;
mod refused;
mod tally;
mod throttle;

use std::borrow::Cow;
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
use super::failures::{self, Sender};
use super::form::{self, Body};
use super::json_form::{self, Member};
use crate::clients::Credentials;
use crate::http::connection::PendingBody;
use crate::kernel::Error;
use crate::ledger::Ledger;
use crate::model::proof::Proof;
use crate::model::refusal::Refusal;
use crate::telemetry;

pub use throttle::Throttle;

use presented::{InBody, Presented};

/// The parameters of an endpoint, without those of client authentication.
pub trait Form: Default {
    /// Takes a parameter; ignores one it does not know (RFC 6749 §3.2).
    ///
    /// # Errors
    /// `invalid_request` for a known parameter that is sent twice.
    fn take(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), OAuthError>;

    /// The rules for the JSON member of that name; `None` for a name that `take` ignores.
    fn member(name: &str) -> Option<Member>;

    /// Checks that all required parameters were sent.
    ///
    /// # Errors
    /// `invalid_request` that names a missing parameter.
    fn complete(&self) -> Result<(), OAuthError>;

    /// Proves that the caches of this process are as up to date as the endpoint needs.
    type Confirmation;

    /// Gets the confirmation, once for each request.
    fn confirm(ledger: &Ledger) -> impl Future<Output = Result<Self::Confirmation, Error>>;
}

/// A client that has authenticated, and the form that it sent. Only this module creates such a value.
pub struct Authenticated<F: Form> {
    credentials: Arc<Credentials>,
    proof: Proof,
    source: Option<IpAddr>,
    confirmation: F::Confirmation,
    form: F,
    /// The last four characters of the secret.
    last_four: Option<[u8; 4]>,
    request: HttpRequest,
}

impl<F: Form> Authenticated<F> {
    /// The client.
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// The proof of the client's identity.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The address that the request came from, if it is known.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The confirmation that the caches are up to date.
    pub fn confirmation(&self) -> &F::Confirmation {
        &self.confirmation
    }

    /// The form that the client sent.
    pub fn form(&self) -> &F {
        &self.form
    }

    /// Notes for the administrators of the client why its request is refused.
    pub(super) fn note_refusal(&self, door: &Door, reason: Refusal) {
        let secret_last_four = self.last_four.as_ref().and_then(|last| str::from_utf8(last).ok());
        let sender = Sender { client_id: &self.credentials.client_id, secret_last_four };
        failures::note(door, &self.request, reason, None, sender);
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
        Box::pin(async move { authenticate(request, &mut body).await })
    }
}

async fn authenticate<F: Form>(
    request: HttpRequest,
    pending: &mut PendingBody,
) -> Result<Authenticated<F>, OAuthError> {
    // `App::configure` adds the `Door`.
    let door = request.app_data::<Data<Door>>().ok_or(OAuthError::Unavailable)?;
    let (presented, form) = match read::<F>(&request, pending, door).await {
        Ok(read) => read,
        Err(error) => return Err(refused::malformed(door, &request, error, None)),
    };
    if let Err(error) = form.complete() {
        return Err(refused::malformed(door, &request, error, presented.as_ref().ok()));
    }

    let services = &door.services;
    let confirmation = F::confirm(&services.ledger).await.map_err(|error| OAuthError::unavailable(&error))?;
    let source = telemetry::http::source_ip(&request);
    let verified = match &presented {
        Ok(Presented::Secret(secret)) => {
            let verified =
                services.clients.authenticate_secret(secret.client_id(), secret.client_secret(), source);
            verified.await.map_err(|error| OAuthError::unavailable(&error))?
        }
        Err(reason) => Err(*reason),
    };
    match verified {
        Ok((credentials, proof)) => {
            telemetry::http::authenticated(&request, credentials.client_id);
            let last_four = presented.as_ref().ok().and_then(Presented::last_four);
            Ok(Authenticated { credentials, proof, source, confirmation, form, last_four, request })
        }
        Err(reason) => Err(refused::error(door, &request, reason, presented.as_ref().ok(), source)),
    }
}

/// Reads the form and what the client presents to authenticate.
async fn read<F: Form>(
    request: &HttpRequest,
    pending: &mut PendingBody,
    door: &Door,
) -> Result<(Result<Presented, Refusal>, F), OAuthError> {
    refuse_credentials_in_query(request.query_string())?;
    let body = form::read(request.headers(), pending, door.request_timeout).await?;
    let mut form = F::default();
    let mut in_body = InBody::default();
    let take = |name: &str, value: Cow<'_, str>| match in_body.parameter(name) {
        Some((parameter, repeated)) => parameter.put(value, repeated),
        None => form.take(name, value),
    };
    match &body {
        Body::Form(body) => form::each(body, take)?,
        Body::Json(body) => {
            json_form::each(body, |name| InBody::member(name).or_else(|| F::member(name)), take)?;
        }
    }
    Ok((Presented::read(request.headers(), in_body)?, form))
}

/// Credentials in a URI end up in logs and browser histories, so they are refused rather than ignored (RFC 6749 §2.3.1).
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
