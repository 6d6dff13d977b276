//! `Retry-After` (RFC 9110 §10.2.3) of a 503: how long a client should wait before it tries again.

use actix_web::HttpResponseBuilder;
use actix_web::http::header;

/// How long, in seconds.
pub(crate) const SECONDS: u32 = 5;
/// The same for a request that can be repeated almost at once, in seconds.
pub(crate) const AT_ONCE: u32 = 1;

/// The same for what the next checkpoint of the audit trail covers, in seconds.
pub(crate) const CHECKPOINT: u32 = 60;

/// Adds the header.
pub(crate) fn insert(response: &mut HttpResponseBuilder) {
    response.insert_header((header::RETRY_AFTER, SECONDS));
}
