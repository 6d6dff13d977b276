//! `/console/account/passkeys`: adds, renames and removes passkeys.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::device::device;
use super::super::page::{Problem, Shell, has_problem, page, see_other};
use super::super::session::{self, SignedIn, Submitted};
use super::super::sign_in::again::must_be_fresh;
use super::super::sign_in::new_way::problems;
use super::super::sign_in::webauthn::{Account, registration_options};
use super::super::sign_in::{PasskeyButton, host, passkey};
use super::super::stop::Stop;
use super::{PATH, done, shell, stop};
use crate::kernel::Error;
use crate::model::operator::StoredPasskey;
use crate::operators::WayRef;

const PURPOSE: &str = "passkey-add";

#[derive(Template)]
#[template(path = "account_passkey_new.html")]
struct NewPage<'a> {
    shell: Shell,
    csrf: String,
    next: &'a str,
    host: &'a str,
    problems: Vec<Problem>,
    passkey: Option<PasskeyButton>,
}

#[derive(Template)]
#[template(path = "account_passkey.html")]
struct PasskeyPage<'a> {
    shell: Shell,
    problems: Vec<Problem>,
    name: &'a str,
    typed: &'a str,
    href: String,
}

/// `GET /console/account/passkeys/new`
pub(crate) async fn get_new(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    must_be_fresh(&signed_in)?;
    passkey::site(&signed_in.door)?;
    page(StatusCode::OK, &NewPage::of(&signed_in, Vec::new()))
}

/// `POST /console/account/passkeys/new/options`
pub(crate) async fn options(sent: Submitted) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    must_be_fresh(&signed_in)?;
    let (door, operator) = (&signed_in.door, &signed_in.session.operator);
    let site = passkey::site(door)?;
    let challenge = passkey::new_challenge(door, PURPOSE, &signed_in.session.session_id).await?;
    let existing = door.services.operators.passkeys_of(&operator.operator_id).await?;
    let existing: Vec<Vec<u8>> = existing.into_iter().map(|passkey| passkey.credential_id).collect();
    let account =
        Account { handle: operator.operator_id.as_bytes(), email: &operator.email, name: &operator.name };
    Ok(passkey::json(&registration_options(&site, &account, &challenge, &existing)))
}

/// `POST /console/account/passkeys/new`
pub(crate) async fn post_new(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    must_be_fresh(&signed_in)?;
    let (door, session) = (&signed_in.door, &signed_in.session);
    let made = passkey::registered(door, PURPOSE, &session.session_id, form.one("credential")).await?;
    let Some(made) = made else {
        let problem = Problem::general("The passkey could not be set up. Try again.");
        return page(StatusCode::UNPROCESSABLE_ENTITY, &NewPage::of(&signed_in, vec![problem]));
    };
    let source = session::source(&signed_in.request);
    let way_in = passkey::way_in(made, device(source.user_agent.as_deref()));
    let new = door.services.operators.add_way_in(session, way_in, &source).await;
    Ok(done(door, &new.map_err(|error| stop(&signed_in, error))?))
}

/// `GET /console/account/passkeys/{id}`
pub(crate) async fn get(signed_in: SignedIn, id: Path<String>) -> Result<HttpResponse, Stop> {
    must_be_fresh(&signed_in)?;
    let passkey = find(&signed_in, &id).await?;
    page(StatusCode::OK, &PasskeyPage::of(&signed_in, &passkey, &passkey.name, Vec::new()))
}

/// `POST /console/account/passkeys/{id}`: gives the passkey another name.
pub(crate) async fn post(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    must_be_fresh(&signed_in)?;
    let passkey = find(&signed_in, &id).await?;
    let name = form.trimmed("name");
    let refuse = |problems| {
        page(StatusCode::UNPROCESSABLE_ENTITY, &PasskeyPage::of(&signed_in, &passkey, name, problems))
    };
    if name.is_empty() {
        return refuse(vec![Problem::of("name", "Enter a name")]);
    }
    let operators = &signed_in.door.services.operators;
    match operators.rename_passkey(&signed_in.session, &passkey.credential_id, name).await {
        Ok(()) => Ok(see_other(&signed_in.door.href(PATH))),
        Err(Error::Invalid(errors)) => refuse(problems(&errors)),
        Err(error) => Err(error.into()),
    }
}

/// `POST /console/account/passkeys/{id}/remove`
pub(crate) async fn remove(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    must_be_fresh(&signed_in)?;
    let passkey = find(&signed_in, &id).await?;
    let source = session::source(&signed_in.request);
    let operators = &signed_in.door.services.operators;
    let removed =
        operators.remove_way_in(&signed_in.session, &WayRef::Passkey(passkey.credential_id), &source).await;
    removed.map_err(|error| stop(&signed_in, error))?;
    Ok(see_other(&signed_in.door.href(PATH)))
}

/// Finds a passkey of the operator. A passkey of somebody else is 404, as if it did not exist.
async fn find(signed_in: &SignedIn, id: &str) -> Result<StoredPasskey, Stop> {
    let id = URL_SAFE_NO_PAD.decode(id).map_err(|_| Stop::not_found())?;
    let operator_id = &signed_in.session.operator.operator_id;
    let passkey = signed_in.door.services.operators.passkey(&id).await?;
    passkey.filter(|passkey| passkey.operator_id == *operator_id).ok_or_else(Stop::not_found)
}

impl<'a> NewPage<'a> {
    fn of(signed_in: &'a SignedIn, problems: Vec<Problem>) -> Self {
        let mut shell = shell(signed_in, "Add a passkey");
        shell.has_errors = !problems.is_empty();
        let passkey = PasskeyButton::at(&signed_in.door, "/account/passkeys/new", "Add a passkey");
        Self { shell, csrf: signed_in.csrf(), next: "", host: host(&signed_in.door), problems, passkey }
    }
}

impl<'a> PasskeyPage<'a> {
    fn of(signed_in: &SignedIn, passkey: &'a StoredPasskey, typed: &'a str, problems: Vec<Problem>) -> Self {
        let mut shell = shell(signed_in, "Passkey");
        shell.has_errors = !problems.is_empty();
        let id = URL_SAFE_NO_PAD.encode(&passkey.credential_id);
        let href = signed_in.door.href(&format!("/account/passkeys/{id}"));
        Self { shell, problems, name: &passkey.name, typed, href }
    }
}
