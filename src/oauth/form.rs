//! Reads an `application/x-www-form-urlencoded` body as RFC 6749 §3.2 and appendix B require: strictly, so that nothing
//! is misread. A known parameter may be sent once, an empty one counts as absent, an unknown one is ignored.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;

use super::error::OAuthError;
use crate::http::body;
use crate::http::connection::PendingBody;

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// The largest body of an OAuth request, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

const NOT_UTF8_FORM: OAuthError =
    OAuthError::InvalidRequest("the body is not a UTF-8 form: check percent-encoding, without NUL bytes");

/// Reads the body of a form, which has `time` to arrive.
///
/// # Errors
/// 415, 413 and 408 as `invalid_request`, which is also for a body that is not a form.
pub(super) async fn read(
    headers: &HeaderMap,
    pending: &mut PendingBody,
    time: Duration,
) -> Result<Bytes, OAuthError> {
    body::must_be_plain(headers)?;
    if body::has_type(headers, &[FORM]) {
        return Ok(body::read(headers, pending, BODY_LIMIT, time).await?);
    }
    Err(OAuthError::InvalidRequest("send Content-Type: application/x-www-form-urlencoded, in UTF-8"))
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

/// Calls `take` for each parameter of a body that has a value (RFC 6749 §3.2).
///
/// # Errors
/// `invalid_request` for a body that is not a form, or the error of `take`.
pub(super) fn each(
    body: &[u8],
    mut take: impl FnMut(&str, Cow<'_, str>) -> Result<(), OAuthError>,
) -> Result<(), OAuthError> {
    let body = std::str::from_utf8(body).map_err(|_| NOT_UTF8_FORM)?;
    for pair in body.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok_or(NOT_UTF8_FORM)?;
        let value = decode(value).ok_or(NOT_UTF8_FORM)?;
        take(&name, value)?;
    }
    Ok(())
}

/// A parameter that may be sent once. An empty value counts as absent, but also as sent.
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

    /// The same, to keep.
    pub(super) fn take(self) -> Option<String> {
        self.value
    }
}

#[cfg(test)]
mod tests {
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
