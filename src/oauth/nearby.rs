//! Answers requests that miss the endpoints: a token request at a path that other services use, and a browser at the root.

use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::error::no_store;
use crate::config::Settings;

/// Paths where clients expect the token endpoint, below the path of the issuer.
const GUESSES: [&str; 6] = ["/", "/token", "/token/", "/oauth/token", "/oauth/token/", "/oauth2/token/"];

/// The answer to a request that has no route, if it looks for the token endpoint or is at the root.
/// `start` is the path to which a browser at the root is redirected.
pub(crate) fn answer(request: &HttpRequest, start: &str) -> Option<HttpResponse> {
    // `App::configure` registers the settings.
    let issuer = &request.app_data::<Data<Settings>>()?.server.public_url;
    let (issuer, issuer_path) = (issuer.as_str(), issuer.path());
    let sent = request.path();
    let below = sent.strip_prefix(issuer_path).filter(|_| !issuer_path.is_empty());
    // With an issuer that has a path, everything is served below that path and at the root.
    let (prefix, path) = match below {
        Some("") => (issuer_path, "/"),
        Some(path) if path.starts_with('/') => (issuer_path, path),
        _ => ("", sent),
    };
    match *request.method() {
        Method::POST if GUESSES.contains(&path) => Some(not_here(issuer)),
        Method::GET | Method::HEAD if path == "/" => {
            let mut response = HttpResponse::build(StatusCode::SEE_OTHER);
            Some(response.insert_header((header::LOCATION, format!("{prefix}{start}"))).finish())
        }
        _ => None,
    }
}

/// 404 in the form of RFC 6749 §5.2, which a client that looks for the token endpoint understands.
fn not_here(issuer: &str) -> HttpResponse {
    let mut response = HttpResponse::NotFound();
    no_store(&mut response);
    response.json(json!({
        "error": "invalid_request",
        "error_description": format!("the token endpoint is {issuer}/oauth2/token"),
    }))
}
