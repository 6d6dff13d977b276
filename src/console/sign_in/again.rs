//! `/console/sign-in/again`: a signed-in operator proves once more who they are, before protected changes: to operators,
//! to signing keys, to their own ways to sign in, and the deletion of a workspace. The proof is good for five minutes.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use super::super::page::{Problem, Shell, has_problem, page};
use super::super::session::{self, SignedIn, Submitted};
use super::super::stop::Stop;
use super::oidc::links::{self, ProviderLink};
use super::password::{slowed, too_many};
use super::webauthn::sign_in_options;
use super::{PasskeyButton, keep, passkey};
use crate::model::operator::Way;
use crate::operators::{CodeCheck, PasswordCheck};

const PURPOSE: &str = "passkey-again";
const REFUSED: &str = "That is not right. Check what you typed and try again.";
const REFUSED_PASSKEY: &str = "That passkey cannot be used. Use one of this account, or another way.";

#[derive(Template)]
#[template(path = "sign_in_again.html")]
struct AgainPage<'a> {
    shell: Shell,
    csrf: String,
    next: &'a str,
    problems: Vec<Problem>,
    passkey: Option<PasskeyButton>,
    providers: Vec<ProviderLink>,
    email: &'a str,
    has_password: bool,
    needs_code: bool,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    next: String,
}

/// Asks for a fresh sign-in unless there was one within the last five minutes. Afterwards the browser returns to the page of
/// this request, or, for a form, to the page that the form is on.
///
/// # Errors
/// 303 to the page that asks.
pub(in crate::console) fn must_be_fresh(signed_in: &SignedIn) -> Result<(), Stop> {
    let (door, request) = (&signed_in.door, &signed_in.request);
    if door.services.operators.is_fresh(&signed_in.session) {
        return Ok(());
    }
    let here = if *request.method() == Method::POST {
        let referer = request.headers().get(header::REFERER).and_then(|value| value.to_str().ok());
        referer.and_then(|referer| referer.strip_prefix(&door.origin)).unwrap_or_default()
    } else {
        request.uri().path_and_query().map_or("", |here| here.as_str())
    };
    let next = door.after_sign_in(here);
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    Err(Stop::go_to(door.href(&format!("/sign-in/again?next={next}"))))
}

/// `GET /console/sign-in/again`
pub(crate) async fn get(signed_in: SignedIn, asked: Option<Query<Asked>>) -> Result<HttpResponse, Stop> {
    let next = signed_in.door.after_sign_in(&asked.map(Query::into_inner).unwrap_or_default().next);
    page(StatusCode::OK, &AgainPage::of(&signed_in, &next, Vec::new()))
}

/// `POST /console/sign-in/again`: with the password.
pub(crate) async fn post(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let (door, session) = (&signed_in.door, &signed_in.session);
    let next = door.after_sign_in(form.one("next"));
    let (password, code) = (form.one("password"), form.trimmed("code"));
    let answer = |problems| AgainPage::of(&signed_in, &next, problems);
    let mut missing = Vec::new();
    if password.is_empty() {
        missing.push(Problem::of("password", "Enter your password"));
    }
    if code.is_empty() && session.operator.sign_in.contains(&Way::Totp) {
        missing.push(Problem::of("code", "Enter a code"));
    }
    if !missing.is_empty() {
        return page(StatusCode::UNPROCESSABLE_ENTITY, &answer(missing));
    }
    let (operators, source) = (&door.services.operators, session::source(&signed_in.request));
    let checked = match operators.check_password(&session.operator.email, password, &source).await? {
        PasswordCheck::CodeNeeded { operator_id } if is_digits(code) => {
            operators.check_totp(&operator_id, code, &source).await?
        }
        PasswordCheck::CodeNeeded { operator_id } => {
            operators.use_recovery_code(&operator_id, code, &source).await?
        }
        PasswordCheck::SignedIn(again) => CodeCheck::SignedIn(again),
        PasswordCheck::Slowed(seconds) => CodeCheck::Slowed(seconds),
        PasswordCheck::Refused => CodeCheck::Refused,
    };
    match checked {
        CodeCheck::SignedIn(again) => {
            let new = operators.renew_session(session, Some(&again)).await?;
            Ok(keep(door, &new, &next))
        }
        CodeCheck::Slowed(seconds) => slowed(&answer(vec![too_many(seconds)]), seconds),
        CodeCheck::Refused => {
            page(StatusCode::UNPROCESSABLE_ENTITY, &answer(vec![Problem::general(REFUSED)]))
        }
    }
}

/// Whether `code` is one of an authenticator app. Recovery codes have letters too.
fn is_digits(code: &str) -> bool {
    code.chars().all(|c| c.is_ascii_digit() || c.is_whitespace())
}

/// `POST /console/sign-in/again/passkey/options`
pub(crate) async fn options(sent: Submitted) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let site = passkey::site(&signed_in.door)?;
    let challenge = passkey::new_challenge(&signed_in.door, PURPOSE, &signed_in.session.session_id).await?;
    Ok(passkey::json(&sign_in_options(&site, &challenge)))
}

/// `POST /console/sign-in/again/passkey`
pub(crate) async fn post_passkey(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let (door, session) = (&signed_in.door, &signed_in.session);
    let next = door.after_sign_in(form.one("next"));
    let source = session::source(&signed_in.request);
    let bound = session.session_id.as_str();
    let again = passkey::check(door, PURPOSE, bound, form.one("credential"), &source).await?;
    match again.filter(|again| again.operator_id() == session.operator.operator_id) {
        Some(again) => {
            let new = door.services.operators.renew_session(session, Some(&again)).await?;
            Ok(keep(door, &new, &next))
        }
        None => page(
            StatusCode::UNPROCESSABLE_ENTITY,
            &AgainPage::of(&signed_in, &next, vec![Problem::general(REFUSED_PASSKEY)]),
        ),
    }
}

impl<'a> AgainPage<'a> {
    fn of(signed_in: &'a SignedIn, next: &'a str, problems: Vec<Problem>) -> Self {
        let mut shell = signed_in.shell("Confirm that it is you");
        shell.has_errors = !problems.is_empty();
        let operator = &signed_in.session.operator;
        let has = |way| operator.sign_in.contains(&way);
        Self {
            csrf: signed_in.csrf(),
            shell,
            next,
            problems,
            passkey: has(Way::Passkey)
                .then(|| {
                    PasskeyButton::at(&signed_in.door, "/sign-in/again/passkey", "Confirm with a passkey")
                })
                .flatten(),
            providers: if has(Way::Oidc) {
                links::to_sign_in_again(&signed_in.door, next)
            } else {
                Vec::new()
            },
            email: &operator.email,
            has_password: has(Way::Password),
            needs_code: has(Way::Totp),
        }
    }
}
