//! Client authentication (RFC 6749 §2.3): [`Authenticated`] is the only way to hold a verified client.
//!
//! All credentials of a request meet in one place; exactly one method is lawful. The body is read once, here, since a
//! client may authenticate in it. An endpoint names the form it wants and cannot forget to authenticate.

mod secret;
mod throttle;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::error::OAuthError;
use super::form::{self, Once};
use super::unread;
use crate::clients::{Credentials, Refusal};
use crate::config::Settings;
use crate::model::ids;
use crate::services::Services;
use crate::telemetry;

pub use throttle::Throttle;

use secret::ClientSecret;

/// The parameters of one endpoint, beside those of client authentication.
pub trait Form: Default {
    /// Takes a parameter; ignores one it does not know (RFC 6749 §3.2).
    ///
    /// # Errors
    /// `invalid_request` for a known parameter that comes twice.
    fn take(&mut self, name: &str, value: std::borrow::Cow<'_, str>) -> Result<(), OAuthError>;

    /// Whether everything required came.
    ///
    /// # Errors
    /// `invalid_request` naming what is missing.
    fn complete(&self) -> Result<(), OAuthError>;
}

/// A client that has proved who it is, and the form it sent.
#[derive(Debug)]
pub struct Authenticated<F> {
    credentials: Arc<Credentials>,
    secret_id: Arc<str>,
    form: F,
}

impl<F> Authenticated<F> {
    /// The client.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The secret it proved itself with.
    pub fn secret_id(&self) -> &str {
        &self.secret_id
    }

    /// What it sent.
    pub fn form(&self) -> &F {
        &self.form
    }
}

impl<F: Form + 'static> FromRequest for Authenticated<F> {
    type Error = OAuthError;
    type Future = LocalBoxFuture<'static, Result<Self, OAuthError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let outcome = authenticate(&request, &mut payload).await;
            if outcome.is_err() {
                unread::keep(&request, payload);
            }
            outcome
        })
    }
}

/// What of the body is about who is calling.
#[derive(Debug, Default)]
struct InBody {
    id: Once,
    secret: Once,
    assertion: Once,
    assertion_type: Once,
}

async fn authenticate<F: Form>(
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Authenticated<F>, OAuthError> {
    refuse_credentials_in_query(request.query_string())?;
    let patience = part::<Settings>(request)?.server.request_timeout;
    let body = form::read(request.headers(), payload, patience).await?;
    let mut wanted = F::default();
    let mut in_body = InBody::default();
    form::each(&body, |name, value| match name {
        "client_id" => in_body.id.put(value, "client_id was sent twice"),
        "client_secret" => in_body.secret.put(value, "client_secret was sent twice"),
        "client_assertion" => in_body.assertion.put(value, "client_assertion was sent twice"),
        "client_assertion_type" => in_body.assertion_type.put(value, "client_assertion_type was sent twice"),
        _ => wanted.take(name, value),
    })?;
    let presented = the_one_method(request, in_body)?;
    wanted.complete()?;

    let services = part::<Services>(request)?;
    let throttle = part::<Throttle>(request)?;
    services.ledger.must_be_fresh_to_issue().await.map_err(|error| OAuthError::unavailable(&error))?;
    let source = source_ip(request);
    let outcome = match &presented {
        Some(presented) => services
            .clients
            .authenticate_secret(&presented.client_id, &presented.client_secret, source)
            .await
            .map_err(|error| OAuthError::unavailable(&error))?,
        None => Err(Refusal::WrongSecret),
    };
    match outcome {
        Ok((credentials, secret_id)) => {
            telemetry::http::authenticated(request, &credentials.client_id);
            Ok(Authenticated { credentials, secret_id, form: wanted })
        }
        Err(refusal) => {
            let claimed = presented.as_ref().map_or("", |presented| presented.client_id.as_str());
            tracing::info!(
                target: "mintmark::authenticate",
                reason = if presented.is_some() { refusal.as_str() } else { "no_usable_credentials" },
                // Whatever else stands where an id belongs may be a secret that somebody put there.
                client_id = if ids::is_client_id(claimed) { claimed } else { "none" },
                %source,
                "client authentication failed"
            );
            Err(throttle
                .failed(claimed, source)
                .map_or(OAuthError::InvalidClient, OAuthError::TooManyFailures))
        }
    }
}

/// Brings everything a request says about its sender down to one client id and secret. `None` where what it says can
/// be no client's; more than one method is refused even if all are right (RFC 6749 §2.3).
fn the_one_method(request: &HttpRequest, in_body: InBody) -> Result<Option<ClientSecret>, OAuthError> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let basic = headers.next();
    if headers.next().is_some() {
        return Err(OAuthError::InvalidRequest("more than one Authorization header was sent"));
    }
    let client_id = in_body.id.take();
    let client_secret = in_body.secret.take();
    let assertion = in_body.assertion.take().or(in_body.assertion_type.take());
    match (basic, client_secret, assertion) {
        (None, Some(client_secret), None) => match client_id {
            Some(client_id) => Ok(Some(ClientSecret { client_id, client_secret: client_secret.into() })),
            None => Err(OAuthError::InvalidRequest("client_secret was sent without client_id")),
        },
        (Some(basic), None, None) => {
            let presented = secret::from_basic(basic.as_bytes());
            if let (Some(presented), Some(in_body)) = (&presented, &client_id)
                && presented.client_id != *in_body
            {
                return Err(OAuthError::InvalidRequest(
                    "client_id in the body differs from that in the Authorization header",
                ));
            }
            Ok(presented)
        }
        // Assertions are not offered in the metadata, so nobody's assertion proves anything.
        (None, None, _) => Ok(None),
        _ => Err(OAuthError::InvalidRequest(
            "more than one way of client authentication was used: send the secret in the Authorization header or in the body",
        )),
    }
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

fn source_ip(request: &HttpRequest) -> IpAddr {
    telemetry::http::source_ip(request).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// A part of the app; that it is there is set up in `app.rs`.
fn part<T: 'static>(request: &HttpRequest) -> Result<Data<T>, OAuthError> {
    request.app_data::<Data<T>>().cloned().ok_or(OAuthError::Unavailable)
}
