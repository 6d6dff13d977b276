//! `/console/sign-in/code`: the second factor after a password, a code of the authenticator app or a recovery code.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::super::page::{Problem, Shell, has_problem, see_other};
use super::super::session;
use super::super::stop::Stop;
use super::super::visitor::{Visitor, VisitorForm};
use super::password::{slowed, too_many};
use super::step::Step;
use super::{begin, keep};
use crate::operators::CodeCheck;

const WRONG_CODE: &str =
    "That code is not right, or it was used before. Wait for the next one and type that.";
const WRONG_RECOVERY: &str = "That recovery code is not right, or it was used before.";

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage {
    shell: Shell,
    csrf: String,
    problems: Vec<Problem>,
    recovery_open: bool,
}

/// `GET /console/sign-in/code`
pub(crate) async fn get(visitor: Visitor) -> Result<HttpResponse, Stop> {
    if !Step::is_there(&visitor.door, &visitor.request) {
        return Ok(see_other(&visitor.door.href("/sign-in")));
    }
    visitor.page(StatusCode::OK, &CodePage::of(&visitor, Vec::new()))
}

/// `POST /console/sign-in/code`
pub(crate) async fn post(sent: VisitorForm) -> Result<HttpResponse, Stop> {
    let VisitorForm { visitor, form } = sent;
    let (door, request) = (&visitor.door, &visitor.request);
    let (code, recovery) = (form.trimmed("code"), form.trimmed("recovery"));
    if code.is_empty() && recovery.is_empty() {
        let missing = vec![Problem::of("code", "Enter the six digits that the app shows")];
        return visitor.page(StatusCode::UNPROCESSABLE_ENTITY, &CodePage::of(&visitor, missing));
    }
    let Some(step) = Step::take(door, request).await? else {
        return Ok(Step::forget(door, see_other(&door.href("/sign-in?why=late"))));
    };
    let (operators, source) = (&door.services.operators, session::source(request));
    let uses_recovery = !recovery.is_empty();
    let check = if uses_recovery {
        operators.use_recovery_code(&step.operator_id, recovery, &source).await?
    } else {
        operators.check_totp(&step.operator_id, code, &source).await?
    };
    let signed_in = match check {
        CodeCheck::Refused => None,
        CodeCheck::Slowed(seconds) => {
            let reply = slowed(&CodePage::of(&visitor, vec![too_many(seconds)]), seconds)?;
            return step.keep(door, visitor.remember(reply)).await;
        }
        CodeCheck::SignedIn(signed_in) => begin(door, request, &signed_in).await?,
    };
    if let Some(new) = signed_in {
        return Ok(Step::forget(door, keep(door, &new, &step.next)));
    }
    let problem =
        if uses_recovery { Problem::of("recovery", WRONG_RECOVERY) } else { Problem::of("code", WRONG_CODE) };
    let reply = visitor.page(StatusCode::UNPROCESSABLE_ENTITY, &CodePage::of(&visitor, vec![problem]))?;
    step.keep(door, reply).await
}

impl CodePage {
    fn of(visitor: &Visitor, problems: Vec<Problem>) -> Self {
        let mut shell = visitor.shell("Enter a code");
        shell.has_errors = !problems.is_empty();
        let recovery_open = has_problem(&problems, "recovery");
        Self { shell, csrf: visitor.csrf(), problems, recovery_open }
    }
}
