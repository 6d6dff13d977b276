//! `/console/account/recovery-codes`: makes ten codes. They are shown until the operator confirms that they are stored, for ten
//! minutes at most. Until then the page may be loaded again, so that a lost reply loses nothing.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use serde::{Deserialize, Serialize};

use super::super::door::Door;
use super::super::page::{Shell, page, see_other};
use super::super::session::{self, SignedIn, Submitted};
use super::super::sign_in::again::must_be_fresh;
use super::super::stop::Stop;
use super::{PATH, shell};
use crate::operators::{Session, Source};

const PURPOSE: &str = "recovery-codes";
const SHOWN_SECONDS: i64 = 600;

/// What is kept sealed until the operator confirms that the codes are stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    session_id: String,
    codes: Vec<String>,
    next: String,
}

#[derive(Template)]
#[template(path = "recovery_codes_new.html")]
struct NewPage {
    shell: Shell,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct CodesPage<'a> {
    shell: Shell,
    codes: &'a [String],
    action: String,
}

/// Makes new codes. Returns the address of the page that shows them and leads to `next`.
pub(in crate::console) async fn make(
    door: &Door,
    session: &Session,
    source: &Source,
    next: &str,
) -> Result<String, Stop> {
    let operators = &door.services.operators;
    let codes = operators.new_recovery_codes(session, source).await?;
    let kept = Kept {
        session_id: session.session_id.clone(),
        codes: codes.iter().map(|code| code.to_string()).collect(),
        next: next.to_owned(),
    };
    let state = serde_json::to_vec(&kept).map_err(|_| Stop::unavailable())?;
    let name = operators.new_state(PURPOSE, &state, SHOWN_SECONDS).await?;
    Ok(door.href(&format!("/account/recovery-codes/{}", name.as_str())))
}

/// `GET /console/account/recovery-codes`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    must_be_fresh(&signed_in)?;
    page(StatusCode::OK, &NewPage { shell: shell(&signed_in, "New recovery codes") })
}

/// `POST /console/account/recovery-codes`
pub(crate) async fn post(sent: Submitted) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    must_be_fresh(&signed_in)?;
    let (door, source) = (&signed_in.door, session::source(&signed_in.request));
    Ok(see_other(&make(door, &signed_in.session, &source, &door.href(PATH)).await?))
}

/// `GET /console/account/recovery-codes/{name}`
pub(crate) async fn show(signed_in: SignedIn, name: Path<String>) -> Result<HttpResponse, Stop> {
    let kept = kept(&signed_in, &name).await?.ok_or_else(|| gone(&signed_in))?;
    let action = signed_in.door.href(&format!("/account/recovery-codes/{name}/stored"));
    page(
        StatusCode::OK,
        &CodesPage { shell: signed_in.shell("Keep your recovery codes"), codes: &kept.codes, action },
    )
}

/// `POST /console/account/recovery-codes/{name}/stored`
pub(crate) async fn stored(sent: Submitted, name: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let Some(Kept { next, .. }) = kept(&signed_in, &name).await? else {
        return Ok(see_other(&signed_in.door.href(PATH)));
    };
    signed_in.door.services.operators.take_state(PURPOSE, &name).await?;
    Ok(see_other(&next))
}

/// What is kept under `name`, if it belongs to this session.
async fn kept(signed_in: &SignedIn, name: &str) -> Result<Option<Kept>, Stop> {
    let state = signed_in.door.services.operators.read_state(PURPOSE, name).await?;
    let kept = state.and_then(|state| serde_json::from_slice::<Kept>(&state).ok());
    Ok(kept.filter(|kept| kept.session_id == signed_in.session.session_id))
}

fn gone(signed_in: &SignedIn) -> Stop {
    Stop::gone(
        "These recovery codes are not shown any more",
        "You said that you have stored them, or ten minutes have passed. If you have not stored them, make new ones.",
    )
    .then(signed_in.door.href("/account/recovery-codes"), "Make new recovery codes")
}
