//! Reads a JSON body (`docs/management-api.md`). Its members are read by `kernel::Fields`.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::{Bytes, Data};
use serde_json::{Map, Value};

use super::problem::{Kind, Problem};
use crate::config::Settings;
use crate::http::body::{BodyError, has_type};
use crate::http::connection::PendingBody;
use crate::http::{body, json};

/// The largest body, in bytes.
const LIMIT: usize = 256 * 1024;
/// How long a body may take to arrive if the app has no `Settings`, as in unit tests.
const TIME: Duration = Duration::from_secs(10);
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
/// The media types that PATCH accepts (RFC 5789 §3.1).
const ACCEPT_PATCH: &str = "application/merge-patch+json, application/json";

/// A body as bytes and as JSON.
#[derive(Debug)]
pub(crate) struct Body {
    /// The bytes, to recognise a repeated request.
    pub(crate) bytes: Bytes,
    /// The JSON value.
    pub(crate) json: Value,
}

/// Reads the body of `request`. With `optional`, a request without a body counts as `{}`.
///
/// # Errors
/// 415; 413 before more than the limit is read; 408 if the body does not arrive in time; 400 if it is incomplete or not JSON.
pub(crate) async fn read(
    request: &HttpRequest,
    pending: &mut PendingBody,
    optional: bool,
) -> Result<Body, Problem> {
    let headers = request.headers();
    let media_types: &[&str] = if request.method() == Method::PATCH { &[MERGE_PATCH, JSON] } else { &[JSON] };
    let has_content_type = headers.contains_key(header::CONTENT_TYPE);
    // Checked before the media type, since the client applied the encoding last (RFC 9110 §8.4).
    body::must_be_plain(headers).map_err(|error| refused(request.method(), error, TIME))?;
    if has_content_type && !has_type(headers, media_types) || !has_content_type && !optional {
        let wanted = match *request.method() {
            Method::PATCH => "application/merge-patch+json or application/json",
            _ => JSON,
        };
        return Err(unsupported(request.method(), format!("Send Content-Type: {wanted}, in UTF-8")));
    }
    let time = request.app_data::<Data<Settings>>().map_or(TIME, |settings| settings.server.request_timeout);
    let bytes = body::read(headers, pending, LIMIT, time).await;
    let bytes = body::without_mark(bytes.map_err(|error| refused(request.method(), error, time))?);
    if !has_content_type && !bytes.is_empty() {
        return Err(unsupported(request.method(), "Send Content-Type: application/json with a body"));
    }
    let json = if optional && bytes.is_empty() {
        Value::Object(Map::new())
    } else {
        json::parse(&bytes).map_err(|why| malformed(format!("The body {why}")))?
    };
    Ok(Body { bytes, json })
}

fn refused(method: &Method, error: BodyError, time: Duration) -> Problem {
    match error {
        BodyError::Encoded => unsupported(method, "Send the body without Content-Encoding"),
        BodyError::TooLarge => {
            Problem::new(Kind::PayloadTooLarge, format!("A body may have at most {LIMIT} bytes"))
        }
        BodyError::TooSlow => Problem::new(
            Kind::RequestTimeout,
            format!("The body did not arrive within {} seconds: send it without pauses", time.as_secs()),
        ),
        BodyError::Incomplete => malformed("The body ended too early: send all of it"),
    }
}

fn unsupported(method: &Method, detail: impl Into<String>) -> Problem {
    let problem = Problem::new(Kind::UnsupportedMediaType, detail);
    if method == Method::PATCH {
        problem.with_header(HeaderName::from_static("accept-patch"), ACCEPT_PATCH)
    } else {
        problem
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::MalformedJson, detail)
}
