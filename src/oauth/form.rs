//! Reads an `application/x-www-form-urlencoded` body as RFC 6749 §3.2 and appendix B want it: strictly, so that nothing
//! is misread. Known parameters come at most once, empty ones count as absent, unknown ones are ignored.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::error::OAuthError;

/// The largest body of an OAuth request, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

const NOT_UTF8_FORM: OAuthError =
    OAuthError::InvalidRequest("the body is not a UTF-8 form: check percent-encoding, without NUL bytes");

/// Reads the body, after its headers were found to be those of a form. It has `patience` to arrive whole.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    patience: Duration,
) -> Result<Bytes, OAuthError> {
    check_headers(headers)?;
    let mut body = pin!(collect(payload));
    // Most bodies arrive with their head, so a timer is set only for those that do not.
    if let Some(body) = at_once(body.as_mut()).await {
        return body;
    }
    tokio::time::timeout(patience, body).await.unwrap_or(Err(OAuthError::TooSlow))
}

/// Polls `work` twice. In between the connection hands over what it has received after the head.
async fn at_once<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut is_first = true;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if is_first => {
            is_first = false;
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn collect(payload: &mut Payload) -> Result<Bytes, OAuthError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| OAuthError::InvalidRequest("the body could not be read to its end"))?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(OAuthError::TooLarge);
        }
        if body.is_empty() {
            // The usual case is one chunk; where it stays so, nothing is copied twice.
            body = BytesMut::from(chunk);
        } else {
            body.extend_from_slice(&chunk);
        }
    }
    Ok(body.freeze())
}

fn check_headers(headers: &HeaderMap) -> Result<(), OAuthError> {
    if headers
        .get_all(header::CONTENT_ENCODING)
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(OAuthError::EncodedBody);
    }
    if let Some(length) = headers.get(header::CONTENT_LENGTH)
        && length
            .to_str()
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
            .is_some_and(|n| n > BODY_LIMIT as u64)
    {
        return Err(OAuthError::TooLarge);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE);
    match (types.next(), types.next()) {
        (Some(one), None) if is_form(one.to_str().unwrap_or_default()) => Ok(()),
        _ => {
            Err(OAuthError::InvalidRequest("send Content-Type: application/x-www-form-urlencoded, in UTF-8"))
        }
    }
}

/// Whether a media type is a form in UTF-8. Any other charset is refused rather than misread.
fn is_form(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        && parts.filter(|parameter| !parameter.is_empty()).all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Undoes form encoding (RFC 6749 appendix B). `None` for a broken escape, for what is not UTF-8, and for NUL.
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

/// Goes through the parameters of a body. Empty values are passed over (RFC 6749 §3.2).
///
/// # Errors
/// `invalid_request` for what is not a form, or what `take` refuses.
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

/// A parameter that comes at most once. An empty value counts as absent, yet as an occurrence.
#[derive(Debug, Default)]
pub(super) struct Once {
    seen: bool,
    value: Option<String>,
}

impl Once {
    /// Takes a value; a second one is refused, equal or not.
    pub(super) fn put(&mut self, value: Cow<'_, str>, repeated: &'static str) -> Result<(), OAuthError> {
        if self.seen {
            return Err(OAuthError::InvalidRequest(repeated));
        }
        self.seen = true;
        self.value = Some(value.into_owned()).filter(|value| !value.is_empty());
        Ok(())
    }

    /// The value, if it came and was not empty.
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
    use super::{decode, is_form};

    #[test]
    fn t20_decoding_is_strict() {
        assert_eq!(decode("a%20b+c%25%C3%A4").as_deref(), Some("a b c%ä"));
        assert_eq!(decode("plain").as_deref(), Some("plain"));
        for bad in ["%", "%2", "%zz", "%ff", "%c0%80", "%00", "a\0"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn t19_media_types() {
        for good in [
            "application/x-www-form-urlencoded",
            "APPLICATION/X-WWW-FORM-URLENCODED",
            "application/x-www-form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;charset=\"utf-8\"",
            "application/x-www-form-urlencoded;",
        ] {
            assert!(is_form(good), "{good}");
        }
        for bad in [
            "",
            "application/json",
            "multipart/form-data; boundary=x",
            "text/plain",
            "application/x-www-form-urlencoded; charset=iso-8859-1",
            "application/x-www-form-urlencoded; charset=utf-16",
        ] {
            assert!(!is_form(bad), "{bad}");
        }
    }
}
