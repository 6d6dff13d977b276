//! `GET /.well-known/jwks.json`: the keys that verify tokens (RFC 7517 §5), with an `ETag` and
//! the time for which a verifier may cache them.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::door::Door;
use crate::http::conditional::Cacheable;

/// `GET /.well-known/jwks.json`
pub async fn get(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    let document = door.services.ring.jwks();
    let max_age = door.services.policy().jwks_max_age_seconds;
    let mut response = Cacheable::for_seconds(&request, &document.etag, max_age);
    if response.is_not_modified {
        return response.builder.finish();
    }
    response
        .builder
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")))
        .body(document.body.clone())
}
