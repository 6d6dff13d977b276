//! Begins a session for an operator who has signed in.

use actix_web::{HttpRequest, HttpResponse};

use super::super::door::Door;
use super::super::page::see_other;
use super::super::session;
use super::super::stop::Stop;
use crate::operators::{NewSession, SignedIn};

/// Starts a session with a new cookie and ends the session that the browser had before, so that a cookie that an attacker
/// planted there gives no access (session fixation). `None` if the operator was disabled or deleted meanwhile.
pub(in crate::console) async fn begin(
    door: &Door,
    request: &HttpRequest,
    signed_in: &SignedIn,
) -> Result<Option<NewSession>, Stop> {
    let (operators, source) = (&door.services.operators, session::source(request));
    if let Some(before) = session::find(door, request).await? {
        operators.end_session(&before, &source).await?;
    }
    Ok(operators.start_session(signed_in, &source).await?)
}

/// 303 to `href`, with the cookie of a session.
pub(in crate::console) fn keep(door: &Door, new: &NewSession, href: &str) -> HttpResponse {
    session::keep(door, see_other(href), new)
}
