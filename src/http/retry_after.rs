//! `Retry-After` (RFC 9110 §10.2.3) of a 503: how long a client should wait before it tries again.

use actix_web::HttpResponseBuilder;
use actix_web::http::header;

/// The usual time, in seconds.
pub(crate) const SECONDS: u32 = 5;
/// The time for a request that can be repeated almost at once, in seconds.
pub(crate) const AT_ONCE: u32 = 1;

/// The time until the next checkpoint of the audit trail, for a request that needs that checkpoint, in seconds.
pub(crate) const CHECKPOINT: u32 = 60;

/// Adds the header, with the usual time.
pub(crate) fn insert(response: &mut HttpResponseBuilder) {
    response.insert_header((header::RETRY_AFTER, SECONDS));
}
