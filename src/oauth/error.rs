//! The error replies of the OAuth endpoints: code, description, status and headers. The codes are those of RFC 6749 §5.2,
//! RFC 8707 §2 and RFC 7009 §2.2.1, and `temporarily_unavailable`.
//!
//! Descriptions are constants, so that no byte of a request is repeated (RFC 6749 §5.2 allows only some characters). The only
//! exception is the names of scopes, whose characters were checked.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;

use crate::http::body::BodyError;
use crate::http::retry_after;
use crate::kernel::Error;

/// The challenge of a 401 reply (RFC 7617 §2).
const BASIC_CHALLENGE: &str = "Basic realm=\"mintmark\", charset=\"UTF-8\"";

/// An error reply of an OAuth endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthError {
    /// 400 `invalid_request`, with what is wrong and what to send instead.
    InvalidRequest(&'static str),
    /// 401 `invalid_client`; the reply is the same for every reason.
    InvalidClient,
    /// 401 `invalid_client` for credentials that cannot belong to any client, with what is wrong. Never depends on the
    /// client.
    MalformedCredentials(&'static str),
    /// 400 `unsupported_grant_type`.
    UnsupportedGrantType,
    /// 400 `unauthorized_client`, with what is not allowed.
    UnauthorizedClient(&'static str),
    /// 400 `invalid_scope`.
    InvalidScope(&'static str),
    /// 400 `invalid_scope`, with the names that are not granted, as far as they can be named.
    ScopeNotGranted(Box<str>),
    /// 400 `invalid_target` (RFC 8707).
    InvalidTarget,
    /// 400 `unsupported_token_type` (RFC 7009 §2.2.1).
    UnsupportedTokenType,
    /// 405 with `Allow: POST`.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    TooSlow,
    /// 413: the body is too large.
    TooLarge,
    /// 415: a `Content-Encoding` that is not supported.
    EncodedBody,
    /// 429: too many failures. The client may try again after this many seconds.
    TooManyFailures(u32),
    /// 503: the request could not be answered, mostly because the database does not answer or there is no key to sign with.
    Unavailable,
    /// 503: the client or its key changed twice during the request.
    ChangedAgain,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'a str,
}

impl OAuthError {
    /// The error code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_)
            | Self::MethodNotAllowed
            | Self::TooSlow
            | Self::TooLarge
            | Self::EncodedBody => "invalid_request",
            Self::InvalidClient | Self::MalformedCredentials(_) => "invalid_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::InvalidScope(_) | Self::ScopeNotGranted(_) => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::TooManyFailures(_) | Self::Unavailable | Self::ChangedAgain => "temporarily_unavailable",
        }
    }

    /// What is wrong, and what to do.
    pub(super) fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ScopeNotGranted(names) if !names.is_empty() => {
                return Cow::Owned(format!(
                    "not granted to this client: {names}; leave scope out to get all that is granted"
                ));
            }
            Self::ScopeNotGranted(_) => {
                "a requested scope is not granted to this client: leave scope out to get all that is granted"
            }
            Self::InvalidRequest(why)
            | Self::MalformedCredentials(why)
            | Self::UnauthorizedClient(why)
            | Self::InvalidScope(why) => why,
            Self::InvalidClient => {
                "client authentication failed: check the client id and secret, and that the client is active; the operator finds the reason under the X-Request-Id of this response"
            }
            Self::UnsupportedGrantType => "only grant_type=client_credentials is supported",
            Self::InvalidTarget => {
                "the resources must be exactly the audiences of the requested scope; leave resource out to get all audiences"
            }
            Self::UnsupportedTokenType => {
                "only access tokens can be revoked: this is a token of another kind"
            }
            Self::MethodNotAllowed => "use POST",
            Self::TooSlow => "the body did not arrive in time: send it without pauses",
            Self::TooLarge => "the body is larger than 64 KiB",
            Self::EncodedBody => "send the body without Content-Encoding",
            Self::TooManyFailures(_) => {
                "too many failed attempts with this client id from this network: wait for the seconds in Retry-After"
            }
            Self::Unavailable => {
                "the service cannot answer at the moment: wait for the seconds in Retry-After"
            }
            Self::ChangedAgain => "the client or its signing key was changed during the request: try again",
        })
    }

    /// The reply to a request that could not be served because of `error`. The error is logged here, once, and is not in the
    /// reply.
    pub fn unavailable(error: &Error) -> Self {
        tracing::error!(failure = error.kind(), %error, "the request could not be served");
        Self::Unavailable
    }
}

impl From<BodyError> for OAuthError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Encoded => Self::EncodedBody,
            BodyError::TooLarge => Self::TooLarge,
            BodyError::TooSlow => Self::TooSlow,
            BodyError::Incomplete => Self::InvalidRequest("the body ended too early: send all of it"),
        }
    }
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code(), self.description())
    }
}

impl std::error::Error for OAuthError {}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidRequest(_)
            | Self::UnsupportedGrantType
            | Self::UnauthorizedClient(_)
            | Self::InvalidScope(_)
            | Self::ScopeNotGranted(_)
            | Self::InvalidTarget
            | Self::UnsupportedTokenType => StatusCode::BAD_REQUEST,
            Self::InvalidClient | Self::MalformedCredentials(_) => StatusCode::UNAUTHORIZED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::EncodedBody => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyFailures(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable | Self::ChangedAgain => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        no_store(&mut response);
        match self {
            Self::InvalidClient | Self::MalformedCredentials(_) => {
                response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static(BASIC_CHALLENGE)));
            }
            Self::MethodNotAllowed => {
                response.insert_header((header::ALLOW, Method::POST.as_str()));
            }
            Self::TooManyFailures(seconds) => {
                response.insert_header((header::RETRY_AFTER, *seconds));
            }
            Self::Unavailable => {
                retry_after::insert(&mut response);
            }
            Self::ChangedAgain => {
                response.insert_header((header::RETRY_AFTER, retry_after::AT_ONCE));
            }
            // The rest of the body is not read, so the connection cannot be used again.
            Self::TooSlow | Self::TooLarge | Self::EncodedBody => {
                response.force_close();
            }
            _ => {}
        }
        response.json(Body { error: self.code(), error_description: &self.description() })
    }
}

/// The reply to any method but POST (RFC 9110 §15.5.6).
pub async fn method_not_allowed() -> HttpResponse {
    OAuthError::MethodNotAllowed.error_response()
}

/// Adds the two headers that tell caches not to store the reply (RFC 6749 §5.1).
pub(super) fn no_store(response: &mut HttpResponseBuilder) {
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::PRAGMA, HeaderValue::from_static("no-cache")));
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `t23` checks that row of docs/conformance.md.
    use super::OAuthError;

    #[test]
    fn t23_descriptions_use_only_the_characters_rfc_6749_allows() {
        let errors = [
            OAuthError::InvalidClient,
            OAuthError::UnsupportedGrantType,
            OAuthError::InvalidTarget,
            OAuthError::UnsupportedTokenType,
            OAuthError::MethodNotAllowed,
            OAuthError::TooSlow,
            OAuthError::TooLarge,
            OAuthError::EncodedBody,
            OAuthError::TooManyFailures(1),
            OAuthError::Unavailable,
            OAuthError::ChangedAgain,
            OAuthError::ScopeNotGranted("gst [a] {b}~!#".into()),
            OAuthError::ScopeNotGranted(Box::default()),
        ];
        for error in errors {
            assert!(
                error.description().bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
                "{error}"
            );
        }
    }
}
