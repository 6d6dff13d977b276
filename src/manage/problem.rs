//! The error replies of the management API: problems (RFC 9457), with the headers that their status needs.
//!
//! Errors of the services become HTTP here. A problem says what helps the caller. Why the storage or the cryptography failed is
//! only in the log.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use crate::http::retry_after;
use crate::kernel::{self, Error};
use crate::telemetry::request_id::RequestId;

pub use crate::kernel::ProblemKind as Kind;

/// An error reply.
#[derive(Debug)]
pub struct Problem {
    problem: kernel::Problem,
    headers: Vec<(HeaderName, String)>,
}

impl Problem {
    /// A problem of a kind; `detail` says what is wrong and what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        kernel::Problem::new(kind, detail).into()
    }

    /// A query parameter or a header that is malformed.
    pub fn parameter(detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidParameter, detail)
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The response, with the id of the request.
    pub fn response(&self, request_id: Option<RequestId>) -> HttpResponse {
        let mut body = self.problem.to_json();
        if let (Some(members), Some(id)) = (body.as_object_mut(), request_id) {
            members.insert("request_id".to_owned(), id.as_str().into());
        }
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if matches!(
            self.problem.kind,
            Kind::RequestTimeout | Kind::PayloadTooLarge | Kind::UnsupportedMediaType
        ) {
            // The rest of the body is not read, so the connection cannot be used again.
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

/// The challenge to a token whose scope is too small (RFC 6750 §3.1); `scope` is what the token needs.
fn insufficient_scope(scope: &str) -> String {
    format!(r#"Bearer realm="mintmark", error="insufficient_scope", scope="{scope}""#)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        let (_, _, status) = self.problem.kind.parts();
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

impl From<kernel::Problem> for Problem {
    fn from(problem: kernel::Problem) -> Self {
        Self { problem, headers: Vec::new() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let header = match &error {
            // RFC 6750 §3.1
            Error::Lacks(permission) => {
                Some((header::WWW_AUTHENTICATE, insufficient_scope(permission.as_str())))
            }
            Error::LacksSome { needed, .. } => {
                Some((header::WWW_AUTHENTICATE, insufficient_scope(&kernel::scope(needed))))
            }
            Error::ChangedAgain => Some((header::RETRY_AFTER, retry_after::AT_ONCE.to_string())),
            Error::NotCovered => Some((header::RETRY_AFTER, retry_after::CHECKPOINT.to_string())),
            Error::Stale => {
                tracing::warn!(failure = error.kind(), %error, "refused: what is in memory may be out of date");
                Some((header::RETRY_AFTER, retry_after::SECONDS.to_string()))
            }
            Error::Clock(why) => {
                tracing::warn!(failure = error.kind(), "refused: {why}");
                Some((header::RETRY_AFTER, retry_after::SECONDS.to_string()))
            }
            Error::Storage(_) | Error::SharedTransaction(_) | Error::Crypto(_) => {
                tracing::error!(failure = error.kind(), %error, "a request of the management API failed");
                Some((header::RETRY_AFTER, retry_after::SECONDS.to_string()))
            }
            _ => None,
        };
        let problem = Self::from(kernel::Problem::from(error));
        match header {
            Some((name, value)) => problem.with_header(name, value),
            None => problem,
        }
    }
}

/// The reply to a request without a route.
pub fn not_found(request: &HttpRequest) -> HttpResponse {
    Problem::new(Kind::NotFound, "This path does not exist: /docs lists the paths")
        .response(Some(RequestId::of(request)))
}

/// The reply to a method that a path does not have; `allow` lists those it has (RFC 9110 §15.5.6).
pub fn method_not_allowed(allow: &str, request: &HttpRequest) -> HttpResponse {
    Problem::new(Kind::MethodNotAllowed, format!("This path takes only {allow}"))
        .with_header(header::ALLOW, allow)
        .response(Some(RequestId::of(request)))
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::field_errors::FieldError;
    use crate::model::scope::Permission;

    async fn read(problem: Problem) -> (u16, Value, String) {
        let response = problem.error_response();
        let status = response.status().as_u16();
        let headers = format!("{:?}", response.headers());
        let body = to_bytes(response.into_body()).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap(), headers)
    }

    #[tokio::test]
    async fn every_bad_field_is_listed() {
        let errors = vec![FieldError::new("/label", "is required"), FieldError::new("/a~1b", "is unknown")];
        let (status, body, headers) = read(Error::Invalid(errors).into()).await;
        assert_eq!(status, 422);
        assert_eq!(body["type"], "https://mintmark.dev/problems/validation");
        assert_eq!(body["detail"], "2 fields are not valid");
        assert_eq!(body["errors"][1], json!({"pointer": "/a~1b", "detail": "is unknown"}));
        assert!(headers.contains("application/problem+json"), "{headers}");
    }

    #[tokio::test]
    async fn the_cause_of_an_internal_failure_is_not_in_the_reply_but_retry_after_is() {
        let cause = Error::Crypto("secret cause".to_owned());
        let (status, body, headers) = read(cause.into()).await;
        assert_eq!(status, 503);
        assert!(!body.to_string().contains("secret cause"));
        assert!(headers.contains("retry-after"), "{headers}");
    }

    #[tokio::test]
    async fn a_missing_scope_is_named_in_the_challenge() {
        let (status, _, headers) = read(Error::Lacks(Permission::Manage).into()).await;
        assert_eq!(status, 403);
        assert!(headers.contains(r#"error=\"insufficient_scope\", scope=\"mintmark:manage\""#), "{headers}");
    }
}
