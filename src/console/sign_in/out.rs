//! `POST /console/sign-out`

use actix_web::HttpResponse;

use super::super::page::see_other;
use super::super::session::{self, Submitted};
use super::super::stop::Stop;

/// Ends the session at the server, and removes its cookie.
pub(crate) async fn post(sent: Submitted) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let door = &signed_in.door;
    door.services.operators.end_session(&signed_in.session, &session::source(&signed_in.request)).await?;
    Ok(session::forget(door, see_other(&door.href("/sign-in?why=out"))))
}
