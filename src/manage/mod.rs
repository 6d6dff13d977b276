//! The management API: JSON under `/v1` (`docs/management-api.md`). One file per resource, and files for what they share.
//!
//! A handler takes [`auth::Authorized`], which has a caller that may read or change; reads the body ([`body`]), query and
//! page ([`page`]) and preconditions; calls one use case of the services; and writes the reply, mostly JSON. Handlers that
//! create something call [`idempotency::once`]. Errors become a [`problem`].

pub mod access_tokens;
pub mod api_clients;
pub mod audit_events;
pub mod auth;
pub mod body;
pub mod idempotency;
pub mod operators;
pub mod page;
pub mod problem;
pub mod products;
pub mod secrets;
pub mod signing_keys;
pub mod usage;
pub mod webhooks;
pub mod workspaces;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};
use serde_json::Value;

use crate::http::conditional::{none_match, version_tag};
use crate::telemetry::request_id::RequestId;
use problem::Problem;

/// Middleware of `/v1`: adds the request id to problems, and `Cache-Control` to replies without it, so that shared caches do
/// not store them.
///
/// # Errors
/// Only those of `next`.
pub async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = RequestId::of(&request);
    let response = next.call(request).await?.map_into_boxed_body();
    let mut response = match response.response().error().and_then(Error::as_error::<Problem>) {
        Some(problem) => {
            let named = problem.response(Some(id));
            response.into_response(named)
        }
        None => response,
    };
    // The client may cache a reply, but must revalidate it each time.
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    Ok(response)
}

/// The header that says how many live recorded tokens a deletion revoked.
const REVOKED_TOKENS: HeaderName = HeaderName::from_static("mintmark-revoked-tokens");

/// 204 for a deletion that revoked `tokens` live recorded tokens.
fn revoked(tokens: usize) -> HttpResponse {
    HttpResponse::NoContent().insert_header((REVOKED_TOKENS, tokens)).finish()
}

/// 200 with a record and its entity tag.
fn record(version: i64, body: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::ETAG, version_tag(version)))
        .body(body.to_string())
}

/// As [`record`], or 304 if the client has this version (RFC 9110 §13.1.2).
fn record_or_304(request: &HttpRequest, version: i64, body: &Value) -> HttpResponse {
    if none_match(request, version) {
        HttpResponse::NotModified().insert_header((header::ETAG, version_tag(version))).finish()
    } else {
        record(version, body)
    }
}
