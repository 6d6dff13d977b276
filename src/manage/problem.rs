//! What a refused request of the management API reads: a problem (RFC 9457), with the headers its status asks for.
//!
//! The one place where errors of the core become HTTP. What a problem says helps the caller; the cause of a 503 goes to
//! the log, once, and never onto the wire.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde_json::json;

use crate::http::retry_after;
use crate::kernel::Error;
use crate::model::field_errors::FieldError;
use crate::model::scope::Permission;
use crate::telemetry::request_id::RequestId;

/// The base of every problem's `type`.
const TYPE_BASE: &str = "https://mintmark.dev/problems/";

/// What kind of problem it is: `type`, `title` and status follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is no JSON, or not readable as such.
    MalformedJson,
    /// A query parameter or a header is malformed.
    InvalidParameter,
    /// Fields break their rules.
    Validation,
    /// Values that are lawful but not served yet.
    NotSupportedYet,
    /// No token, or none that holds.
    Unauthorized,
    /// The caller may not.
    Forbidden,
    /// No such thing within reach.
    NotFound,
    /// The path has other methods.
    MethodNotAllowed,
    /// The state of things does not allow it.
    Conflict,
    /// `If-Match` does not hold.
    PreconditionFailed,
    /// The body did not come in time.
    RequestTimeout,
    /// The body is over its limit.
    PayloadTooLarge,
    /// The body is of another type, or encoded.
    UnsupportedMediaType,
    /// The idempotency key came with another body.
    IdempotencyKeyReused,
    /// The request with this idempotency key is still running.
    IdempotencyInProgress,
    /// It cannot be known or done at present.
    Unavailable,
}

impl Kind {
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::MalformedJson => ("malformed-json", "The body is not JSON", StatusCode::BAD_REQUEST),
            Self::InvalidParameter => {
                ("invalid-parameter", "A parameter is not valid", StatusCode::BAD_REQUEST)
            }
            Self::Validation => ("validation", "Some fields are not valid", StatusCode::UNPROCESSABLE_ENTITY),
            Self::NotSupportedYet => {
                ("not-supported-yet", "Not supported yet", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::Unauthorized => ("unauthorized", "An access token is needed", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", "Not allowed", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::Conflict => ("conflict", "Conflict", StatusCode::CONFLICT),
            Self::PreconditionFailed => {
                ("precondition-failed", "It has changed", StatusCode::PRECONDITION_FAILED)
            }
            Self::RequestTimeout => ("request-timeout", "Body too slow", StatusCode::REQUEST_TIMEOUT),
            Self::PayloadTooLarge => ("payload-too-large", "Body too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", "Media type not supported", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::IdempotencyKeyReused => {
                ("idempotency-key-reused", "Idempotency-Key reused", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::IdempotencyInProgress => ("idempotency-in-progress", "Still running", StatusCode::CONFLICT),
            Self::Unavailable => ("unavailable", "Temporarily unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// A refused request.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, String)>,
}

impl Problem {
    /// A problem of a kind; `detail` says what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// A query parameter or a header that is malformed.
    pub fn parameter(detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidParameter, detail)
    }

    /// The same with a header of its own.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The caller's token lacks a permission (RFC 6750 §3.1 `insufficient_scope`).
    fn lacks(permission: Permission) -> Self {
        Self::new(
            Kind::Forbidden,
            format!(
                "This needs the scope {permission}: ask for a token with it, from an API client that holds it"
            ),
        )
        .with_header(
            header::WWW_AUTHENTICATE,
            format!(r#"Bearer realm="mintmark", error="insufficient_scope", scope="{permission}""#),
        )
    }

    fn fields(kind: Kind, errors: Vec<FieldError>, what: &str) -> Self {
        let detail = match errors.len() {
            1 => format!(
                "1 field {} {what}",
                if kind == Kind::Validation { "is" } else { "has a value that is" }
            ),
            n => format!(
                "{n} fields {} {what}",
                if kind == Kind::Validation { "are" } else { "have values that are" }
            ),
        };
        Self { errors, ..Self::new(kind, detail) }
    }

    fn unavailable() -> Self {
        Self::new(Kind::Unavailable, "The service cannot reach its storage or confirm its state; try again")
            .with_header(header::RETRY_AFTER, retry_after::SECONDS.to_string())
    }

    /// The response, naming the request it answers.
    pub fn response(&self, request_id: Option<RequestId>) -> HttpResponse {
        let (slug, title, status) = self.kind.parts();
        let mut body = json!({
            "type": format!("{TYPE_BASE}{slug}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(id) = request_id {
                members.insert("request_id".to_owned(), id.as_str().into());
            }
            if !self.errors.is_empty() {
                let errors = self.errors.iter().map(|e| json!({"pointer": e.pointer, "detail": e.detail}));
                members.insert("errors".to_owned(), errors.collect());
            }
        }
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if matches!(self.kind, Kind::RequestTimeout | Kind::PayloadTooLarge | Kind::UnsupportedMediaType) {
            // What is left of the body is not read, so the connection cannot be used again.
            response.force_close();
        }
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.insert_header((name.clone(), value));
            }
        }
        response.body(body.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.parts().2
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => {
                Self::new(Kind::NotFound, format!("There is no such {what} within reach"))
            }
            Error::Conflict(why) => Self::new(Kind::Conflict, capitalised(&why)),
            Error::Invalid(errors) => Self::fields(Kind::Validation, errors, "not valid"),
            Error::NotSupportedYet(errors) => {
                Self::fields(Kind::NotSupportedYet, errors, "not supported yet")
            }
            Error::Denied(why) => Self::new(Kind::Forbidden, capitalised(&why)),
            Error::Lacks(permission) => Self::lacks(permission),
            Error::Changed => Self::new(
                Kind::PreconditionFailed,
                "The resource has changed since; read it again and repeat with its ETag",
            ),
            Error::AlreadyAnswered => Self::new(
                Kind::Conflict,
                "Another request with this Idempotency-Key came first; repeat this one",
            ),
            Error::Stale => {
                tracing::warn!(%error, "refused: what is in memory may be out of date");
                Self::unavailable()
            }
            Error::Storage(_) | Error::SharedTransaction(_) | Error::Crypto(_) => {
                tracing::error!(%error, "a request of the management API failed");
                Self::unavailable()
            }
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Answers what has no route.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    Problem::new(Kind::NotFound, "There is nothing at this path; /docs lists what there is")
        .response(Some(RequestId::of(&request)))
}

/// Answers methods that a path does not have; `allow` lists those it has (RFC 9110 §15.5.6).
pub fn method_not_allowed(allow: &str, request: &HttpRequest) -> HttpResponse {
    Problem::new(Kind::MethodNotAllowed, format!("This path has {allow}"))
        .with_header(header::ALLOW, allow)
        .response(Some(RequestId::of(request)))
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::Value;

    use super::*;

    async fn read(problem: Problem) -> (u16, Value, String) {
        let response = problem.error_response();
        let status = response.status().as_u16();
        let headers = format!("{:?}", response.headers());
        let body = to_bytes(response.into_body()).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap(), headers)
    }

    #[actix_web::test]
    async fn every_bad_field_is_listed() {
        let errors = vec![FieldError::new("/label", "is required"), FieldError::new("/a~1b", "is unknown")];
        let (status, body, headers) = read(Error::Invalid(errors).into()).await;
        assert_eq!(status, 422);
        assert_eq!(body["type"], "https://mintmark.dev/problems/validation");
        assert_eq!(body["detail"], "2 fields are not valid");
        assert_eq!(body["errors"][1], json!({"pointer": "/a~1b", "detail": "is unknown"}));
        assert!(headers.contains("application/problem+json"), "{headers}");
    }

    #[actix_web::test]
    async fn the_cause_of_a_503_does_not_leave() {
        let cause = Error::Crypto("secret cause".to_owned());
        let (status, body, headers) = read(cause.into()).await;
        assert_eq!(status, 503);
        assert!(!body.to_string().contains("secret cause"));
        assert!(headers.contains("retry-after"), "{headers}");
    }

    #[actix_web::test]
    async fn a_missing_scope_is_named() {
        let (status, _, headers) = read(Error::Lacks(Permission::Manage).into()).await;
        assert_eq!(status, 403);
        assert!(headers.contains(r#"error=\"insufficient_scope\", scope=\"mintmark:manage\""#), "{headers}");
    }
}
