//! `GET /.well-known/jwks.json`: the keys that verify tokens (RFC 7517 §5), with an `ETag` and a `max-age` that says how long
//! a verifier may keep the keys. The media type is that of a key set, or plain JSON for clients that accept nothing else.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::door::Door;
use crate::http::conditional::Cacheable;
use crate::http::negotiate::wants_media_type;

const KEY_SET: &str = "application/jwk-set+json";
const JSON: &str = "application/json";

/// `GET /.well-known/jwks.json`
pub async fn get(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    let document = door.services.ring.jwks();
    let max_age = door.services.policy().jwks_max_age_seconds;
    let is_json_only = wants_media_type(&request, KEY_SET) == 0 && wants_media_type(&request, JSON) > 0;
    let (media_type, mut response) = if is_json_only {
        // A strong tag names one representation (RFC 9110 §8.8.3).
        let etag = format!("\"{}-json\"", document.etag.trim_matches('"'));
        (JSON, Cacheable::for_seconds(&request, &etag, max_age))
    } else {
        (KEY_SET, Cacheable::for_seconds(&request, &document.etag, max_age))
    };
    response.builder.insert_header((header::VARY, HeaderValue::from_static("accept")));
    if response.is_not_modified {
        return response.builder.finish();
    }
    response
        .builder
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type)))
        .body(document.body.clone())
}
