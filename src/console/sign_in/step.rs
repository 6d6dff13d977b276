//! The step between password and second factor: the operator whose password was right, and the page to go to. It is kept sealed
//! in the database for ten minutes, under a name that a cookie holds.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::super::door::Door;
use super::super::stop::Stop;
use super::super::visitor::cookie;

/// The name of the cookie over http; [`Door::cookie_name`] gives the one over https.
const COOKIE: &str = "mintmark-step";
const PURPOSE: &str = "second-factor";
const KEPT_SECONDS: i64 = 600;

/// The operator whose password was right, and the page that they want to go to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) operator_id: String,
    pub(super) next: String,
}

impl Step {
    /// Stores the step, and sets its cookie on this reply.
    pub(super) async fn keep(&self, door: &Door, reply: HttpResponse) -> Result<HttpResponse, Stop> {
        let state = serde_json::to_vec(self).map_err(|_| Stop::unavailable())?;
        let name = door.services.operators.new_state(PURPOSE, &state, KEPT_SECONDS).await?;
        Ok(with_cookie(reply, &door.cookie(COOKIE, &name, KEPT_SECONDS)))
    }

    /// Takes the step of a request out of the database, so that no two requests try a code with it. After a wrong code it is
    /// stored again ([`Step::keep`]). `None` without a cookie, or if the step is used or too old.
    pub(super) async fn take(door: &Door, request: &HttpRequest) -> Result<Option<Self>, Stop> {
        let Some(name) = cookie(request, &door.cookie_name(COOKIE)) else { return Ok(None) };
        let state = door.services.operators.take_state(PURPOSE, name).await?;
        Ok(state.and_then(|state| serde_json::from_slice(&state).ok()))
    }

    /// Whether the browser has the cookie of a step, which may be too old.
    pub(super) fn is_there(door: &Door, request: &HttpRequest) -> bool {
        cookie(request, &door.cookie_name(COOKIE)).is_some()
    }

    /// Removes the cookie.
    pub(super) fn forget(door: &Door, reply: HttpResponse) -> HttpResponse {
        with_cookie(reply, &door.cookie(COOKIE, "", 0))
    }
}

fn with_cookie(mut reply: HttpResponse, cookie: &str) -> HttpResponse {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        reply.headers_mut().append(header::SET_COOKIE, cookie);
    }
    reply
}
