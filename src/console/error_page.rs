//! The reply of the console if a handler fails: an error page, or the redirect of a `Stop`.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use askama::Template;

use super::door::Door;
use super::page::{Frame, Shell};
use super::stop::Stop;
use crate::http::retry_after;
use crate::telemetry::request_id::RequestId;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: Shell,
    heading: &'a str,
    text: &'a str,
    details: &'a [String],
    next_href: &'a str,
    next_name: &'a str,
    request_id: &'a str,
}

/// The error page of a `Stop`, or its redirect. The page has the navigation of the operator, if one is signed in.
pub(super) fn reply(stop: &Stop, request: &HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::build(stop.status);
    let said = &*stop.said;
    if let Some(location) = &said.location {
        return response.insert_header((header::LOCATION, location.as_str())).finish();
    }
    match stop.status {
        StatusCode::SERVICE_UNAVAILABLE => retry_after::insert(&mut response),
        // The rest of the body is not read, so the connection cannot be used again.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            response.force_close();
        }
        _ => {}
    }
    if let Some(allow) = &said.allow {
        response.insert_header((header::ALLOW, allow.as_str()));
    }
    let base = Door::of(request).map_or_else(|_| "/console".to_owned(), |door| door.base.clone());
    let frame = request.extensions().get::<Frame>().cloned();
    let id = RequestId::of(request);
    let (next_href, next_name) =
        said.next.as_ref().map_or((&*base, "Go to the start page"), |next| (&next.href, &next.name));
    let page = ErrorPage {
        shell: Shell { title: said.heading.to_string(), base: base.clone(), frame, ..Shell::default() },
        heading: &said.heading,
        text: &said.text,
        details: &said.details,
        next_href,
        next_name,
        request_id: id.as_str(),
    };
    let html = page.render().unwrap_or_else(|_| said.heading.to_string());
    response.content_type("text/html; charset=utf-8").body(html)
}
