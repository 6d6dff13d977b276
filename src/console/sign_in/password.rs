//! `/console/sign-in`: the sign-in page, with a passkey first and a password below.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use super::super::moment;
use super::super::page::{Problem, Shell, has_problem, page, see_other};
use super::super::session;
use super::super::stop::Stop;
use super::super::visitor::{Visitor, VisitorForm};
use super::oidc::links::{self, ProviderLink};
use super::step::Step;
use super::{PasskeyButton, begin, keep};
use crate::operators::PasswordCheck;

/// What the page says if an email address and a password are refused: the same for every reason but too many attempts.
const REFUSED: &str = "The email address or the password is not right. Check both and try again.";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    shell: Shell,
    csrf: String,
    next: &'a str,
    why: Option<&'static str>,
    problems: Vec<Problem>,
    passkey: Option<PasskeyButton>,
    providers: Vec<ProviderLink>,
    email: &'a str,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    why: String,
}

/// `GET /console/sign-in`
pub(crate) async fn get(visitor: Visitor, asked: Option<Query<Asked>>) -> Result<HttpResponse, Stop> {
    let asked = asked.map(Query::into_inner).unwrap_or_default();
    let next = visitor.door.after_sign_in(&asked.next);
    if session::find(&visitor.door, &visitor.request).await?.is_some() {
        return Ok(see_other(&next));
    }
    let why = match asked.why.as_str() {
        "late" => Some("This step is over or took longer than ten minutes. Please begin again."),
        "out" => Some("You are signed out."),
        _ => None,
    };
    let sign_in = SignInPage { why, ..SignInPage::empty(&visitor, &next) };
    visitor.page(StatusCode::OK, &sign_in)
}

/// `POST /console/sign-in`
pub(crate) async fn post(sent: VisitorForm) -> Result<HttpResponse, Stop> {
    let VisitorForm { visitor, form } = sent;
    let (door, request) = (&visitor.door, &visitor.request);
    let (email, password) = (form.trimmed("email"), form.one("password"));
    let next = door.after_sign_in(form.one("next"));
    let answer = |problems| SignInPage { email, ..SignInPage::empty(&visitor, &next) }.with(problems);
    let mut missing = Vec::new();
    if email.is_empty() {
        missing.push(Problem::of("email", "Enter your email address"));
    }
    if password.is_empty() {
        missing.push(Problem::of("password", "Enter your password"));
    }
    if !missing.is_empty() {
        return visitor.page(StatusCode::UNPROCESSABLE_ENTITY, &answer(missing));
    }
    let signed_in =
        match door.services.operators.check_password(email, password, &session::source(request)).await? {
            PasswordCheck::Refused => None,
            PasswordCheck::Slowed(seconds) => {
                return Ok(visitor.remember(slowed(&answer(vec![too_many(seconds)]), seconds)?));
            }
            PasswordCheck::CodeNeeded { operator_id } => {
                return Step { operator_id, next }.keep(door, see_other(&door.href("/sign-in/code"))).await;
            }
            PasswordCheck::SignedIn(signed_in) => begin(door, request, &signed_in).await?,
        };
    match signed_in {
        Some(new) => Ok(keep(door, &new, &next)),
        None => visitor.page(StatusCode::UNPROCESSABLE_ENTITY, &answer(vec![Problem::general(REFUSED)])),
    }
}

impl<'a> SignInPage<'a> {
    fn empty(visitor: &Visitor, next: &'a str) -> Self {
        Self {
            shell: visitor.shell("Sign in"),
            csrf: visitor.csrf(),
            next,
            why: None,
            problems: Vec::new(),
            passkey: PasskeyButton::at(&visitor.door, "/sign-in/passkey", "Sign in with a passkey"),
            providers: links::to_sign_in(&visitor.door, next),
            email: "",
        }
    }

    fn with(mut self, problems: Vec<Problem>) -> Self {
        self.shell.has_errors = true;
        Self { problems, ..self }
    }
}

/// The sign-in page after a passkey that was refused.
pub(super) fn after_passkey(visitor: &Visitor, next: &str) -> Result<HttpResponse, Stop> {
    let problem = "That passkey cannot be used here. Try again, or use another way to sign in.";
    visitor.page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &SignInPage::empty(visitor, next).with(vec![Problem::general(problem)]),
    )
}

/// What the page says after too many attempts, or while too many passwords are being checked. More than 90 seconds are
/// rounded up to minutes.
pub(super) fn too_many(seconds: u32) -> Problem {
    let wait = moment::span(if seconds > 90 { i64::from(seconds.div_ceil(60)) * 60 } else { seconds.into() });
    Problem::general(format!(
        "There were too many attempts. Wait {wait}, then try again. A passkey, if you have one, works at once."
    ))
}

/// 429 with `Retry-After` and the page.
pub(super) fn slowed(template: &impl Template, seconds: u32) -> Result<HttpResponse, Stop> {
    let mut reply = page(StatusCode::TOO_MANY_REQUESTS, template)?;
    reply.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    Ok(reply)
}
