//! Refuses forms that another site may have sent. Each form has a token that is bound to the session, or, before sign-in, to a
//! short-lived cookie. The headers in which a browser says where a form comes from are checked too.

use actix_web::HttpRequest;
use actix_web::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::door::Door;
use super::form::Form;
use super::stop::Stop;

/// The name of the hidden form field with the token.
pub(super) const FIELD: &str = "csrf";

/// Who a form was made for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound<'a> {
    /// A session, by its id.
    Session(&'a str),
    /// A browser before sign-in, by the value of its cookie.
    Visitor(&'a str),
}

impl Bound<'_> {
    fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Session(id) => [b"session", id.as_bytes()],
            Self::Visitor(key) => [b"visitor", key.as_bytes()],
        }
    }
}

/// The token for the forms of a page.
pub(super) fn token(door: &Door, bound: Bound<'_>) -> String {
    URL_SAFE_NO_PAD.encode(door.services.subkeys().csrf_mac(&bound.parts()))
}

/// Whether `text` is the token for the forms of `bound`.
pub(super) fn is_token(door: &Door, bound: Bound<'_>, text: &str) -> bool {
    let tag = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    door.services.subkeys().is_csrf_mac(&bound.parts(), &tag)
}

/// Refuses a form that another site may have sent, or that was made for somebody else.
///
/// # Errors
/// 403 that says how to go on.
pub(super) fn check(door: &Door, request: &HttpRequest, form: &Form, bound: Bound<'_>) -> Result<(), Stop> {
    must_come_from_here(door, request)?;
    if is_token(door, bound, form.one(FIELD)) {
        return Ok(());
    }
    tracing::info!("a form without the token of its session or cookie was refused");
    let why = match bound {
        Bound::Session(_) => "You signed in or out after the page was opened",
        Bound::Visitor(_) => "The page was open for more than an hour, or this browser keeps no cookies",
    };
    Err(Stop::forbidden(
        "This form is out of date",
        format!("{why}, so nothing was changed. Go back, reload the page, and send it again."),
    ))
}

/// Checks `Sec-Fetch-Site` (Fetch Metadata Request Headers) and `Origin` (Fetch Standard). Every browser sends at least one
/// of the two with a form.
fn must_come_from_here(door: &Door, request: &HttpRequest) -> Result<(), Stop> {
    let headers = request.headers();
    let read = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let (site, origin) = (read("sec-fetch-site"), read(header::ORIGIN.as_str()));
    let is_from_here = match (site, origin) {
        (None, None) => false,
        (site, origin) => {
            site.is_none_or(|site| site == "same-origin") && origin.is_none_or(|origin| origin == door.origin)
        }
    };
    if is_from_here {
        return Ok(());
    }
    tracing::info!("a form that was not sent from a page of the console was refused");
    Err(Stop::forbidden(
        "This form was not sent from the console",
        format!("Nothing was changed. Open the console at {}{} and do it there.", door.origin, door.base),
    ))
}
