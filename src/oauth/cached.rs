//! Replies that may be kept, for a while or to be asked about each time: `ETag`, and 304 when the asker has it already
//! (RFC 9110 §13.1.2, RFC 9111).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

/// The beginning of a reply that may be kept.
pub(super) struct Reply {
    /// With status and caching headers set.
    pub(super) builder: HttpResponseBuilder,
    /// Whether the asker has it already, so that no body follows.
    pub(super) is_not_modified: bool,
}

/// Begins a reply with the strong `etag` (quotes included), to be kept for `max_age` seconds.
pub(super) fn reply(request: &HttpRequest, etag: &str, max_age: i64) -> Reply {
    begin(request, etag, &format!("public, max-age={max_age}"))
}

/// Begins a reply with the strong `etag` (quotes included), which may be kept but not given out again unasked.
pub(super) fn revalidated(request: &HttpRequest, etag: &str) -> Reply {
    begin(request, etag, "no-cache")
}

fn begin(request: &HttpRequest, etag: &str, cache_control: &str) -> Reply {
    let is_not_modified = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
    let status = if is_not_modified { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut builder = HttpResponse::build(status);
    builder.insert_header((header::CACHE_CONTROL, cache_control));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        builder.insert_header((header::ETAG, etag));
    }
    // Browsers may read it too; it is public and holds nothing of the reader's.
    builder.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
    Reply { builder, is_not_modified }
}
