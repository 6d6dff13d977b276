//! The description of the API: `/openapi.yaml`, and `/docs`, which shows it as a web page. All files are embedded in the
//! program, and the content security policy of the page allows no others.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Path;
use actix_web::{HttpResponse, HttpResponseBuilder};

const OPENAPI: &str = include_str!("../../openapi.yaml");
const PAGE: &str = include_str!("assets/index.html");
const POLICY: &str = include_str!("assets/csp.txt");

/// The files of the web page, with their media types.
const ASSETS: [(&str, &str, &[u8]); 5] = [
    ("docs.css", "text/css; charset=utf-8", include_bytes!("assets/docs.css")),
    ("docs.js", "text/javascript; charset=utf-8", include_bytes!("assets/docs.js")),
    ("parts.css", "text/css; charset=utf-8", include_bytes!("assets/parts.css")),
    ("rapidoc-min.js", "text/javascript; charset=utf-8", include_bytes!("assets/rapidoc-min.js")),
    (
        "rapidoc-min.js.LICENSE.txt",
        "text/plain; charset=utf-8",
        include_bytes!("assets/rapidoc-min.js.LICENSE.txt"),
    ),
];

/// `Cache-Control` of the description, the page and its files: an hour. They change only with the version of the service.
const MAX_AGE: &str = "public, max-age=3600";

/// `GET /openapi.yaml`: the description of the API (`OpenAPI` 3.1).
pub async fn openapi() -> HttpResponse {
    found("application/yaml; charset=utf-8").body(OPENAPI)
}

/// `GET /docs`: the description as a web page.
pub async fn page() -> HttpResponse {
    let mut response = found("text/html; charset=utf-8");
    if let Ok(policy) = HeaderValue::from_str(POLICY.trim()) {
        response.insert_header((header::CONTENT_SECURITY_POLICY, policy));
    }
    response
        .insert_header((HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY")))
        .insert_header((header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
        .body(PAGE)
}

/// `GET /docs/assets/{file}`: the files of the web page.
pub async fn asset(file: Path<String>) -> HttpResponse {
    match ASSETS.iter().find(|(name, ..)| *name == file.as_str()) {
        Some((_, media_type, bytes)) => found(media_type).body(*bytes),
        None => HttpResponse::NotFound().finish(),
    }
}

fn found(media_type: &'static str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type)))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static(MAX_AGE)))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    response
}
