//! Reads the body of a request up to a limit of size and time, and checks its encoding, media type and charset.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::connection::{Left, PendingBody};

/// Why a body was not read. `oauth`, `manage` and `console` each have their own text for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It has a `Content-Encoding` other than `identity`, which is not supported.
    Encoded,
    /// It is larger than the limit.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The connection ended before the body.
    Incomplete,
}

/// Reads a body of at most `limit` bytes that has `time` to arrive. If `Content-Length` exceeds the limit, nothing is read.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut PendingBody,
    limit: usize,
    time: Duration,
) -> Result<Bytes, BodyError> {
    let whole = whole(headers, body.payload(), limit, time).await;
    body.leave(if whole.is_ok() { Left::Nothing } else { Left::Rest });
    whole
}

async fn whole(
    headers: &HeaderMap,
    payload: &mut Payload,
    limit: usize,
    time: Duration,
) -> Result<Bytes, BodyError> {
    must_be_plain(headers)?;
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge);
    }
    let mut body = pin!(collect(payload, limit));
    // Most bodies arrive together with the headers, so a timer is set only for those that do not.
    if let Some(body) = at_once(body.as_mut()).await {
        return body;
    }
    timeout(time, body).await.unwrap_or(Err(BodyError::TooSlow))
}

/// Polls `work` at most twice; `None` if it is not done by then. Between the polls the connection passes on the bytes that it
/// has received after the headers.
pub(super) async fn at_once<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
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

/// Refuses a `Content-Encoding` other than `identity`.
pub(crate) fn must_be_plain(headers: &HeaderMap) -> Result<(), BodyError> {
    let is_plain = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).all(is_plain) { Ok(()) } else { Err(BodyError::Encoded) }
}

async fn collect(payload: &mut Payload, limit: usize) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if body.is_empty() {
            // Usually there is one chunk. It is copied only if its buffer is still used for other bytes.
            body = BytesMut::from(chunk);
        } else {
            body.extend_from_slice(&chunk);
        }
    }
    Ok(body.freeze())
}

/// The type of a body, as named by its only `Content-Type` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaType<'a> {
    /// Which of the accepted media types it is.
    pub(crate) name: &'a str,
    /// Whether the body is in UTF-8, that is, whether no other charset is named.
    pub(crate) is_utf8: bool,
}

impl<'a> MediaType<'a> {
    /// The type of a body, if it is one of `media_types`.
    pub(crate) fn of(headers: &HeaderMap, media_types: &[&'a str]) -> Option<Self> {
        let mut types = headers.get_all(header::CONTENT_TYPE);
        let (Some(only), None) = (types.next(), types.next()) else { return None };
        Self::read(only.to_str().ok()?, media_types)
    }

    fn read(content_type: &str, media_types: &[&'a str]) -> Option<Self> {
        let mut parts = content_type.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let name = media_types.iter().find(|media_type| essence.eq_ignore_ascii_case(media_type))?;
        let is_utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
        Some(Self { name, is_utf8 })
    }
}

/// Whether the body is of one of `media_types`, in UTF-8. Another charset is refused rather than misread.
pub(crate) fn has_type(headers: &HeaderMap, media_types: &[&str]) -> bool {
    MediaType::of(headers, media_types).is_some_and(|media_type| media_type.is_utf8)
}

/// The body without the byte order mark that some programs write before UTF-8.
pub(crate) fn without_mark(mut body: Bytes) -> Bytes {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if body.starts_with(MARK) { body.split_off(MARK.len()) } else { body }
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `t19` checks that row of docs/conformance.md.
    use super::*;

    fn is_type(content_type: &str, media_types: &[&str]) -> bool {
        MediaType::read(content_type, media_types).is_some_and(|media_type| media_type.is_utf8)
    }

    #[test]
    fn t19_only_the_accepted_media_types_in_utf_8_are_recognised() {
        let form = ["application/x-www-form-urlencoded"];
        for good in [
            "application/x-www-form-urlencoded",
            "APPLICATION/X-WWW-FORM-URLENCODED",
            "application/x-www-form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;charset=\"utf-8\"",
            "application/x-www-form-urlencoded;",
        ] {
            assert!(is_type(good, &form), "{good}");
        }
        for bad in [
            "",
            "application/json",
            "multipart/form-data; boundary=x",
            "text/plain",
            "application/x-www-form-urlencoded; charset=iso-8859-1",
            "application/x-www-form-urlencoded; charset=utf-16",
        ] {
            assert!(!is_type(bad, &form), "{bad}");
        }
        let json = ["application/json", "application/merge-patch+json"];
        for good in [
            "application/json",
            "APPLICATION/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/merge-patch+json",
        ] {
            assert!(is_type(good, &json), "{good}");
        }
        for bad in ["text/plain", "application/json; charset=utf-16", "application/jsonp", ""] {
            assert!(!is_type(bad, &json), "{bad}");
        }
        assert!(!is_type("application/merge-patch+json", &json[..1]));
        for other in ["iso-8859-1", "utf-16", "", "utf-8; charset=us-ascii"] {
            let named = format!("Application/X-WWW-Form-Urlencoded; charset={other}");
            let read = MediaType::read(&named, &form);
            assert_eq!(read, Some(MediaType { name: form[0], is_utf8: false }), "{other}");
        }
    }

    #[test]
    fn only_one_byte_order_mark_at_the_beginning_is_skipped() {
        for (body, rest) in
            [("\u{feff}a=b", "a=b"), ("\u{feff}\u{feff}", "\u{feff}"), ("a\u{feff}", "a\u{feff}"), ("", "")]
        {
            assert_eq!(without_mark(Bytes::copy_from_slice(body.as_bytes())), rest);
        }
    }
}
