//! `/console/account/sessions`: ends one session of the operator, or all but the current one.

use actix_web::HttpResponse;
use actix_web::web::Path;

use super::super::page::see_other;
use super::super::session::{self, Submitted};
use super::super::stop::Stop;
use super::PATH;

/// `POST /console/account/sessions/{session_id}/end`. A session that has ended already is no error.
pub(crate) async fn end(sent: Submitted, session_id: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (door, source) = (&signed_in.door, session::source(&signed_in.request));
    door.services.operators.end_other_session(&signed_in.session, &session_id, &source).await?;
    Ok(see_other(&door.href(PATH)))
}

/// `POST /console/account/sessions/end-others`
pub(crate) async fn end_others(sent: Submitted) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (door, source) = (&signed_in.door, session::source(&signed_in.request));
    let operators = &door.services.operators;
    for other in operators.sessions_of(&signed_in.session).await? {
        if other.session_id != signed_in.session.session_id {
            operators.end_other_session(&signed_in.session, &other.session_id, &source).await?;
        }
    }
    Ok(see_other(&door.href(PATH)))
}
