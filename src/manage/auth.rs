//! Authenticates and authorises the caller of the management API by its bearer token (RFC 6750).
//!
//! Only valid tokens of Mintmark whose sole audience is the issuer are accepted. The caller has the permissions that are
//! both in the scope of the token and, *now*, among those of its client.

use std::str::FromStr as _;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{self, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use mintmark_verifier::VerifyError;
use serde::de::DeserializeOwned;

use super::body::{self, Body};
use super::problem::{Kind, Problem};
use crate::http::bearer::{self, Bearer, CHALLENGE};
use crate::http::conditional::IfMatch;
use crate::http::connection::PendingBody;
use crate::http::peer;
use crate::kernel::{Caller, Error, Precondition};
use crate::model::scope::Permission;
use crate::services::Services;
use crate::telemetry;
use crate::tokens::{InactiveReason, Validity};

/// The names of the console's session cookie: over https, and over http on this machine.
const SESSION_COOKIES: [&str; 2] = ["__Host-mintmark", "mintmark"];

const REQUEST_ONE: &str = "request one with scope=mintmark:manage or scope=mintmark:read, without products";

/// A request whose caller has the permission that its handler needs: `Authorized<Reader>` to read, `Authorized<Manager>`
/// to change. The body has not been read yet. The body of a refused request is left to `http::unread_body`, which discards it
/// or closes the connection.
pub struct Authorized<C> {
    /// The caller.
    pub caller: C,
    /// The request.
    pub request: HttpRequest,
    pending: PendingBody,
}

impl<C> Authorized<C> {
    /// The parts of the path, decoded.
    ///
    /// # Errors
    /// 404 if a part of the path cannot be decoded.
    pub fn path<T: DeserializeOwned + 'static>(&self) -> Result<T, Problem> {
        web::Path::<T>::from_request(&self.request, &mut Payload::None)
            .into_inner()
            .map(web::Path::into_inner)
            .map_err(|_| Problem::new(Kind::NotFound, "This path does not exist"))
    }

    /// The body, as JSON.
    ///
    /// # Errors
    /// See [`body::read`].
    pub(crate) async fn body(&mut self) -> Result<Body, Problem> {
        body::read(&self.request, &mut self.pending, false).await
    }

    /// The body, as JSON; a request without a body counts as `{}`.
    ///
    /// # Errors
    /// See [`body::read`].
    pub(crate) async fn optional_body(&mut self) -> Result<Body, Problem> {
        body::read(&self.request, &mut self.pending, true).await
    }

    /// The versions of a record that the request may change (`If-Match`, RFC 9110 §13.1.1).
    ///
    /// # Errors
    /// 400 for a malformed header: if it were ignored, the request could change another version than the caller expects.
    pub(crate) fn precondition(&self) -> Result<Precondition, Problem> {
        match IfMatch::of(&self.request) {
            IfMatch::Any => Ok(Precondition::None),
            IfMatch::Versions(versions) => Ok(Precondition::Versions(versions)),
            IfMatch::Malformed => Err(Problem::parameter(
                "If-Match must be `*` or entity tags as in ETag, with their quotes, separated by commas",
            )),
        }
    }

    /// The path of this resource from `/v1` on, with its parts decoded, so that it is the same for every spelling of the
    /// path.
    pub fn resource(&self) -> String {
        let pattern = self.request.match_pattern().unwrap_or_default();
        let pattern = pattern.rfind("/v1/").and_then(|at| pattern.get(at..)).unwrap_or(&pattern);
        let parts = self.request.match_info();
        let named = pattern.split('/').map(|segment| {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            name.and_then(|name| parts.get(name)).unwrap_or(segment)
        });
        named.collect::<Vec<_>>().join("/")
    }

    /// The path of another resource, with the same prefix as this request.
    pub fn path_of(&self, resource: &str) -> String {
        let pattern = self.request.match_pattern().unwrap_or_default();
        let prefix = pattern.rfind("/v1/").and_then(|at| pattern.get(..at)).unwrap_or_default();
        format!("{prefix}{resource}")
    }
}

impl<C: TryFrom<Caller, Error = Error> + 'static> FromRequest for Authorized<C> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let pending = PendingBody::of(&request, payload);
        Box::pin(async move {
            let caller = C::try_from(caller(&request).await?)?;
            Ok(Self { caller, request, pending })
        })
    }
}

async fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let Some(services) = request.app_data::<Data<Services>>() else {
        tracing::error!("the management API is served without the services");
        return Err(Problem::new(Kind::Unavailable, "The service is not ready"));
    };
    let token = bearer(request)?;
    let claims = services.issuer.verify_own(token).map_err(|error| {
        tracing::info!(reason = error.code(), "refused an access token");
        match error {
            VerifyError::WrongAudience => wrong_audience(),
            _ if services.issuer.is_cut(token) => {
                invalid_token(format!("The token is not valid: {}", bearer::cut(token)))
            }
            _ => invalid_token("The token is not valid here: get a new one from this service"),
        }
    })?;
    if claims.aud != [&*services.policy().audiences.issuer] {
        tracing::info!(reason = "other_audiences", "refused an access token");
        return Err(wrong_audience());
    }
    let client = match services.tokens.validity(services.ledger.confirm().await?, &claims).await? {
        Validity::Active(client) => client,
        Validity::Inactive(reason) => {
            tracing::info!(reason = reason.as_str(), "refused an access token");
            return Err(invalid_token(match reason {
                InactiveReason::ClientUnknown | InactiveReason::ClientInactive => {
                    "The API client of the token is deleted, disabled or expired, or its workspace is suspended: a new token does not help, so ask an administrator"
                }
                InactiveReason::Expired => "The token has expired: get a new one from this service",
                InactiveReason::Revoked | InactiveReason::GenerationEnded | InactiveReason::NotRecorded => {
                    "The token was revoked or replaced, or this service has no record of it: get a new one from this service"
                }
            }));
        }
    };
    telemetry::http::authenticated(request, client.client_id);
    let in_scope = |permission: &Permission| {
        claims.scope.split(' ').any(|name| Permission::from_str(name) == Ok(*permission))
    };
    let held = |permission: &Permission| permission.is_held(&client.permissions);
    let permissions = Permission::ALL.into_iter().filter(held).filter(in_scope).collect();
    Ok(client.caller(permissions, peer::actor(request, &client.client_id)))
}

/// The bearer token of a request.
fn bearer(request: &HttpRequest) -> Result<&str, Problem> {
    if bearer::is_in_query(request.query_string()) {
        return Err(invalid_request("Send the token in the Authorization header, never in the URL"));
    }
    match Bearer::of(request.headers()) {
        // The token and the session may belong to different callers. It must be clear who acts, so the console refuses such a
        // request too.
        Bearer::Token(_) if has_session_cookie(request) => {
            Err(invalid_request("Send the token without the cookie of the console"))
        }
        Bearer::Token(token) => Ok(token),
        Bearer::Missing if has_session_cookie(request) => {
            Err(no_token("The session of the console is not accepted here: send an access token"))
        }
        Bearer::Missing => Err(no_token("Send an access token of this service as a bearer token")),
        Bearer::WithoutScheme => Err(no_token(
            "The Authorization header lacks the word Bearer before the token: send Authorization: Bearer TOKEN",
        )),
        Bearer::Malformed => Err(invalid_token("The token is malformed: send it as it was issued")),
        Bearer::Repeated => Err(invalid_request("Send one Authorization header")),
    }
}

/// Whether the request carries the cookie of a session at the console.
fn has_session_cookie(request: &HttpRequest) -> bool {
    let headers = request.headers().get_all(header::COOKIE);
    headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .any(|pair| pair.split_once('=').is_some_and(|(name, _)| SESSION_COOKIES.contains(&name.trim())))
}

fn no_token(why: &str) -> Problem {
    Problem::new(Kind::Unauthorized, format!("{why}; {REQUEST_ONE}"))
        .with_header(header::WWW_AUTHENTICATE, CHALLENGE)
}

fn invalid_token(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::Unauthorized, detail)
        .with_header(header::WWW_AUTHENTICATE, format!(r#"{CHALLENGE}, error="invalid_token""#))
}

fn wrong_audience() -> Problem {
    invalid_token(format!("The token's only audience must be this service: {REQUEST_ONE}"))
}

fn invalid_request(detail: &str) -> Problem {
    Problem::parameter(detail)
        .with_header(header::WWW_AUTHENTICATE, format!(r#"{CHALLENGE}, error="invalid_request""#))
}
