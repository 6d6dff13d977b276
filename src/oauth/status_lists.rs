//! `GET /oauth2/status-lists/{list}`: the statuses of tokens, for verifiers that work offline; and
//! `GET /oauth2/status-lists`, which names all lists (draft-ietf-oauth-status-list-21 §8, §9). A request needs no token.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::door::Door;
use crate::http::conditional::Cacheable;
use crate::http::{negotiate, retry_after};
use crate::issuance::StatusListError;

/// The media type of a list.
const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// Why the reply has no list.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// There is no list with that number, or it was removed.
    NoSuchList,
    /// The `Accept` header excludes the media type of a list.
    NotAcceptable,
    /// The request asks for an earlier version of the list (§8.4).
    NoHistory,
    /// The database does not answer, or the list cannot be signed.
    Unavailable,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        let bad = "invalid_request";
        match self {
            Self::NoSuchList => (
                StatusCode::NOT_FOUND,
                bad,
                "there is no such status list: take its URI from status.status_list.uri of a token",
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                bad,
                "a status list is application/statuslist+jwt: allow this media type in Accept",
            ),
            Self::NoHistory => (
                StatusCode::NOT_IMPLEMENTED,
                bad,
                "earlier versions of a status list are not stored: leave out the parameter time",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "the list cannot be served at the moment: wait for the seconds in Retry-After",
            ),
        }
    }

    fn response(self) -> HttpResponse {
        let (status, error, description) = self.parts();
        let mut response = HttpResponse::build(status);
        response
            .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
            .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            retry_after::insert(&mut response);
        }
        response.json(json!({"error": error, "error_description": description}))
    }
}

impl From<StatusListError> for Refusal {
    fn from(why: StatusListError) -> Self {
        match why {
            StatusListError::NoKey => {
                tracing::error!(
                    failure = "no_key",
                    "a status list cannot be signed: there is no active key for it; /readyz says how to create one"
                );
            }
            // The error is in the log already.
            StatusListError::NotSigned => {}
            StatusListError::Unavailable(error) => {
                tracing::error!(failure = error.kind(), %error, "the status lists cannot be read");
            }
        }
        Self::Unavailable
    }
}

/// `GET /oauth2/status-lists/{list}`
pub async fn get(request: HttpRequest, number: Path<String>, door: Data<Door>) -> HttpResponse {
    if form_urlencoded::parse(request.query_string().as_bytes()).any(|(name, _)| name == "time") {
        return Refusal::NoHistory.response();
    }
    if negotiate::wants_media_type(&request, MEDIA_TYPE) == 0 {
        return Refusal::NotAcceptable.response();
    }
    // Each list has one URI, so a sign or a leading zero is refused.
    let list = number.parse::<i64>().ok().filter(|list| list.to_string() == *number);
    let found = match list {
        Some(list) => door.services.status_lists.get(list).await,
        None => Ok(None),
    };
    let list = match found {
        Ok(Some(list)) => list,
        Ok(None) => return Refusal::NoSuchList.response(),
        Err(why) => return Refusal::from(why).response(),
    };
    let gzip = negotiate::takes_gzip(&request);
    let (etag, body) = if gzip { (&list.gzip_etag, &list.gzip) } else { (&list.etag, &list.jwt) };
    let mut response = Cacheable::revalidated(&request, etag);
    response.builder.insert_header((header::VARY, HeaderValue::from_static("accept, accept-encoding")));
    if response.is_not_modified {
        return response.builder.finish();
    }
    if gzip {
        response.builder.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    }
    response
        .builder
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)))
        .body(Bytes::from_owner(Arc::clone(body)))
}

/// `GET /oauth2/status-lists`: the URIs of all lists (§9.3).
pub async fn aggregate(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    let uris = match door.services.status_lists.uris().await {
        Ok(uris) => uris,
        Err(why) => return Refusal::from(why).response(),
    };
    let body = json!({ "status_lists": uris }).to_string();
    let mut response = Cacheable::revalidated(&request, &door.services.subkeys().etag(body.as_bytes()));
    if response.is_not_modified {
        return response.builder.finish();
    }
    response
        .builder
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(body)
}
