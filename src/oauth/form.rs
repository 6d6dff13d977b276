//! Reads an `application/x-www-form-urlencoded` body by RFC 6749 §3.2 and appendix B: strictly, so that nothing is
//! misread. A known parameter may be sent once (`resource` more often), an empty one counts as absent, and unknown ones are
//! ignored. The body may also be JSON ([`super::json_form`]).

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;

use super::error::OAuthError;
use crate::http::body::{self, MediaType};
use crate::http::connection::PendingBody;

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// The other accepted media type.
const JSON: &str = "application/json";

/// The largest body of an OAuth request, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

const NOT_UTF8_FORM: OAuthError = OAuthError::InvalidRequest(
    "the body is not a form in UTF-8: check its percent-encoding, and send no NUL bytes",
);

/// A body, by its media type.
#[derive(Debug)]
pub(super) enum Body {
    /// A form.
    Form(Bytes),
    /// JSON.
    Json(Bytes),
}

/// Reads the body of a request, which has `time` to arrive.
///
/// # Errors
/// `invalid_request`: with 415, 413 or 408 if the body is encoded, too large or too slow, else with 400.
pub(super) async fn read(
    headers: &HeaderMap,
    pending: &mut PendingBody,
    time: Duration,
) -> Result<Body, OAuthError> {
    body::must_be_plain(headers)?;
    let media_type = MediaType::of(headers, &[FORM, JSON]).ok_or(OAuthError::InvalidRequest(
        "send Content-Type: application/x-www-form-urlencoded with a form, or application/json",
    ))?;
    let bytes = body::without_mark(body::read(headers, pending, BODY_LIMIT, time).await?);
    // Bytes that are all ASCII mean the same in UTF-8 as in nearly every charset that a client may name. UTF-16 is an
    // exception, but its NUL bytes are refused later.
    if !media_type.is_utf8 && !bytes.is_ascii() {
        return Err(OAuthError::InvalidRequest("the body is not in UTF-8: send it in UTF-8"));
    }
    Ok(if media_type.name == FORM { Body::Form(bytes) } else { Body::Json(bytes) })
}

/// Decodes form encoding (RFC 6749 appendix B). `None` for a malformed escape, text that is not UTF-8, and NUL.
pub(super) fn decode(encoded: &str) -> Option<Cow<'_, str>> {
    if !encoded.bytes().any(|b| matches!(b, b'+' | b'%' | 0)) {
        return Some(Cow::Borrowed(encoded));
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        };
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Calls `take` for each parameter of a body, also for those without a value.
///
/// # Errors
/// `invalid_request` for a body that is not a form, or the error of `take`.
pub(super) fn each(
    body: &[u8],
    mut take: impl FnMut(&str, Cow<'_, str>) -> Result<(), OAuthError>,
) -> Result<(), OAuthError> {
    let body = std::str::from_utf8(body).map_err(|_| NOT_UTF8_FORM)?;
    // A line end would become part of the last value, for example of the secret or the grant type.
    if body.ends_with(['\n', '\r']) {
        return Err(OAuthError::InvalidRequest("the form ends with a line end: send it without"));
    }
    for pair in body.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok_or(NOT_UTF8_FORM)?;
        let value = decode(value).ok_or(NOT_UTF8_FORM)?;
        take(&name, value)?;
    }
    Ok(())
}

/// A parameter that may be sent once. An empty value counts as absent, but a second value after it is still refused.
#[derive(Debug, Default)]
pub(super) struct Once {
    seen: bool,
    value: Option<String>,
}

impl Once {
    /// Stores a value; a second one is refused, even if it is equal.
    pub(super) fn put(&mut self, value: Cow<'_, str>, repeated: &'static str) -> Result<(), OAuthError> {
        if self.seen {
            return Err(OAuthError::InvalidRequest(repeated));
        }
        self.seen = true;
        self.value = Some(value.into_owned()).filter(|value| !value.is_empty());
        Ok(())
    }

    /// The value, if one was sent that is not empty.
    pub(super) fn get(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The same as [`Once::get`], but owned.
    pub(super) fn take(self) -> Option<String> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `t20` checks that row of docs/conformance.md.
    use super::decode;

    #[test]
    fn t20_decoding_is_strict() {
        assert_eq!(decode("a%20b+c%25%C3%A4").as_deref(), Some("a b c%ä"));
        assert_eq!(decode("plain").as_deref(), Some("plain"));
        for bad in ["%", "%2", "%zz", "%ff", "%c0%80", "%00", "a\0"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
