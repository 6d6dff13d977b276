//! The reply to a refused request: a problem (RFC 9457), the same in the management API and on the command line with
//! `--json`.

use serde_json::{Value, json};

use super::Error;
use crate::model::field_errors::FieldError;

/// The base of every problem's `type`.
const TYPE_BASE: &str = "https://mintmark.dev/problems/";

/// What kind of problem it is: `type`, `title` and status follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON.
    MalformedJson,
    /// A query parameter or a header is malformed.
    InvalidParameter,
    /// Fields break their rules.
    Validation,
    /// Values that are valid but not supported by this version.
    NotSupportedYet,
    /// There is no token, or it is not valid here.
    Unauthorized,
    /// The caller may not do this.
    Forbidden,
    /// No such record within reach.
    NotFound,
    /// The path does not have this method.
    MethodNotAllowed,
    /// Other records, or a request at the same time, do not allow the change.
    Conflict,
    /// The condition of `If-Match` is false.
    PreconditionFailed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is over its limit.
    PayloadTooLarge,
    /// The path does not accept the media type, charset or encoding of the body.
    UnsupportedMediaType,
    /// The idempotency key was used with another body.
    IdempotencyKeyReused,
    /// The request with this idempotency key is still running.
    IdempotencyInProgress,
    /// The request cannot be answered at the moment.
    Unavailable,
    /// The command line is not valid.
    Usage,
    /// The settings are not valid.
    Settings,
    /// A token is not valid, as `mintmark tokens verify` finds.
    InvalidToken,
    /// A command failed for a reason outside the service, such as a file that cannot be read.
    Failed,
}

impl Kind {
    /// The last part of `type`, the title, and the HTTP status.
    pub(crate) fn parts(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::MalformedJson => ("malformed-json", "The body is not JSON", 400),
            Self::InvalidParameter => ("invalid-parameter", "A parameter is not valid", 400),
            Self::Validation => ("validation", "Some fields are not valid", 422),
            Self::NotSupportedYet => ("not-supported-yet", "Not supported yet", 422),
            Self::Unauthorized => ("unauthorized", "An access token is needed", 401),
            Self::Forbidden => ("forbidden", "Not allowed", 403),
            Self::NotFound => ("not-found", "Not found", 404),
            Self::MethodNotAllowed => ("method-not-allowed", "Method not allowed", 405),
            Self::Conflict => ("conflict", "Conflict", 409),
            Self::PreconditionFailed => ("precondition-failed", "The resource has changed", 412),
            Self::RequestTimeout => ("request-timeout", "Body too slow", 408),
            Self::PayloadTooLarge => ("payload-too-large", "Body too large", 413),
            Self::UnsupportedMediaType => ("unsupported-media-type", "Media type not supported", 415),
            Self::IdempotencyKeyReused => ("idempotency-key-reused", "Idempotency-Key reused", 422),
            Self::IdempotencyInProgress => ("idempotency-in-progress", "Still running", 409),
            Self::Unavailable => ("unavailable", "Temporarily unavailable", 503),
            Self::Usage => ("usage", "The command line is not valid", 400),
            Self::Settings => ("settings", "The settings are not valid", 400),
            Self::InvalidToken => ("invalid-token", "The token is not valid", 401),
            Self::Failed => ("failed", "The command failed", 500),
        }
    }
}

/// A problem, without what belongs to a protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub kind: Kind,
    /// What is wrong and what to do.
    pub detail: String,
    /// The fields that the problem is about, if there are any.
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of a kind; `detail` says what is wrong and what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new() }
    }

    /// A problem with fields.
    fn of_fields(kind: Kind, errors: Vec<FieldError>) -> Self {
        let detail = match (kind, errors.len()) {
            (Kind::NotSupportedYet, 1) => "1 field has a value that is not supported yet".to_owned(),
            (Kind::NotSupportedYet, n) => format!("{n} fields have values that are not supported yet"),
            (_, 1) => "1 field is not valid".to_owned(),
            (_, n) => format!("{n} fields are not valid"),
        };
        Self { errors, ..Self::new(kind, detail) }
    }

    /// The JSON object of RFC 9457.
    pub fn to_json(&self) -> Value {
        let (slug, title, status) = self.kind.parts();
        let mut body = json!({
            "type": format!("{TYPE_BASE}{slug}"),
            "title": title,
            "status": status,
            "detail": self.detail,
        });
        if let Some(members) = body.as_object_mut().filter(|_| !self.errors.is_empty()) {
            let errors = self.errors.iter().map(|e| json!({"pointer": e.pointer, "detail": e.detail}));
            members.insert("errors".to_owned(), errors.collect());
        }
        body
    }
}

impl From<Error> for Problem {
    /// Leaves out why the storage or the cryptography failed: that is for the log, or for a person on the machine.
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => {
                Self::new(Kind::NotFound, format!("There is no such {what} that you can access"))
            }
            Error::NotFoundAmong(errors) => Self {
                errors,
                ..Self::new(
                    Kind::NotFound,
                    "Some of the records in the request do not exist, or you cannot access them",
                )
            },
            Error::Conflict(why) => Self::new(Kind::Conflict, capitalised(&why)),
            Error::Invalid(errors) => Self::of_fields(Kind::Validation, errors),
            Error::NotSupportedYet(errors) => Self::of_fields(Kind::NotSupportedYet, errors),
            Error::Denied(why) => Self::new(Kind::Forbidden, capitalised(&why)),
            Error::Lacks(permission) => Self::new(
                Kind::Forbidden,
                format!(
                    "This needs the scope {permission}: request a token with it, from an API client that has this permission"
                ),
            ),
            Error::LacksSome { .. } => Self::new(Kind::Forbidden, capitalised(&error.to_string())),
            Error::Changed => Self::new(
                Kind::PreconditionFailed,
                "The resource has changed since you read it: read it again and repeat with its ETag",
            ),
            Error::AlreadyAnswered => Self::new(
                Kind::Conflict,
                "Another request with this Idempotency-Key came first: repeat this one",
            ),
            Error::ChangedAgain => Self::new(
                Kind::Unavailable,
                "The API client or its signing key was changed at the same time, twice; repeat the request",
            ),
            Error::NotCovered => Self::new(
                Kind::Unavailable,
                "No checkpoint of the audit trail covers this yet: repeat the request in a minute",
            ),
            Error::Clock(why) => Self::new(Kind::Unavailable, capitalised(why)),
            Error::Stale | Error::Storage(_) | Error::SharedTransaction(_) | Error::Crypto(_) => Self::new(
                Kind::Unavailable,
                "The service cannot answer at the moment: repeat the request in a few seconds",
            ),
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
