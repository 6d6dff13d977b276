//! `/console/setup/{token}`: the link by which an operator sets up a way to sign in, in place of all that they had. Opening the
//! link changes nothing, since mail scanners open links; setting up a way to sign in uses the link up.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::account::recovery_codes;
use super::device::device;
use super::door::Door;
use super::page::{Problem, Shell, has_problem, see_other};
use super::session;
use super::sign_in::new_way::{missing, problems};
use super::sign_in::oidc::links::{self, ProviderLink};
use super::sign_in::totp::{TotpView, secret_for};
use super::sign_in::webauthn::{Account, registration_options};
use super::sign_in::{PasskeyButton, begin, host, keep, passkey, why_no_passkeys};
use super::stop::Stop;
use super::visitor::{Visitor, VisitorForm};
use crate::kernel::Error;
use crate::operators::{SetupFor, SignedIn, TotpSecret, WayIn};

const PURPOSE: &str = "passkey-setup";

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage<'a> {
    shell: Shell,
    csrf: String,
    next: &'a str,
    action: String,
    problems: Vec<Problem>,
    name: &'a str,
    email: &'a str,
    host: &'a str,
    replaces: bool,
    passkey: Option<PasskeyButton>,
    providers: Vec<ProviderLink>,
    no_passkeys: String,
    totp: Option<TotpView>,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    next: String,
}

/// `GET /console/setup/{token}`
pub(crate) async fn get(
    visitor: Visitor,
    token: Path<String>,
    asked: Option<Query<Asked>>,
) -> Result<HttpResponse, Stop> {
    let setup = setup_for(&visitor.door, &token).await?;
    let next = visitor.door.after_sign_in(&asked.map(Query::into_inner).unwrap_or_default().next);
    let shown = SetupPage::of(&visitor, &setup, &token, &next, Vec::new());
    visitor.page(StatusCode::OK, &shown)
}

/// `POST /console/setup/{token}`: with a password, and an authenticator app where a second factor is needed.
pub(crate) async fn post(sent: VisitorForm, token: Path<String>) -> Result<HttpResponse, Stop> {
    let VisitorForm { visitor, form } = sent;
    let door = &visitor.door;
    let setup = setup_for(door, &token).await?;
    let next = door.after_sign_in(form.one("next"));
    let refuse = |problems| {
        visitor
            .page(StatusCode::UNPROCESSABLE_ENTITY, &SetupPage::of(&visitor, &setup, &token, &next, problems))
    };
    let (password, code) = (form.one("password"), form.trimmed("code"));
    let secret = totp_secret(&visitor, &token);
    let missing = missing(password, secret.is_some().then_some(code));
    if !missing.is_empty() {
        return refuse(missing);
    }
    let has_app = secret.is_some();
    let way_in = WayIn::Password {
        password: Zeroizing::new(password.to_owned()),
        totp: secret.map(|secret| (secret, code.to_owned())),
    };
    let source = session::source(&visitor.request);
    match door.services.operators.use_setup_link(&token, way_in, &source).await {
        Ok(signed_in) => open(&visitor, &signed_in, &next, has_app).await,
        Err(Error::Invalid(errors)) => refuse(problems(&errors)),
        Err(Error::NotFound(_)) => Err(does_not_work()),
        Err(error) => Err(error.into()),
    }
}

/// `POST /console/setup/{token}/passkey/options`
pub(crate) async fn options(sent: VisitorForm, token: Path<String>) -> Result<HttpResponse, Stop> {
    let visitor = sent.visitor;
    let setup = setup_for(&visitor.door, &token).await?;
    let site = passkey::site(&visitor.door)?;
    let challenge = passkey::new_challenge(&visitor.door, PURPOSE, &bound(&visitor, &token)).await?;
    let account = Account { handle: setup.operator_id.as_bytes(), email: &setup.email, name: &setup.name };
    Ok(passkey::json(&registration_options(&site, &account, &challenge, &[])))
}

/// `POST /console/setup/{token}/passkey`
pub(crate) async fn post_passkey(sent: VisitorForm, token: Path<String>) -> Result<HttpResponse, Stop> {
    let VisitorForm { visitor, form } = sent;
    let door = &visitor.door;
    let setup = setup_for(door, &token).await?;
    let next = door.after_sign_in(form.one("next"));
    let source = session::source(&visitor.request);
    let made = passkey::registered(door, PURPOSE, &bound(&visitor, &token), form.one("credential")).await?;
    let Some(made) = made else {
        let problem = Problem::general("The passkey could not be set up. Try again, or use a password.");
        let shown = SetupPage::of(&visitor, &setup, &token, &next, vec![problem]);
        return visitor.page(StatusCode::UNPROCESSABLE_ENTITY, &shown);
    };
    let way_in = passkey::way_in(made, device(source.user_agent.as_deref()));
    match door.services.operators.use_setup_link(&token, way_in, &source).await {
        Ok(signed_in) => open(&visitor, &signed_in, &next, false).await,
        Err(Error::NotFound(_)) => Err(does_not_work()),
        Err(error) => Err(error.into()),
    }
}

/// Signs in an operator who has just set up a way in. If it includes an authenticator app, the recovery codes are shown first.
async fn open(
    visitor: &Visitor,
    signed_in: &SignedIn,
    next: &str,
    has_app: bool,
) -> Result<HttpResponse, Stop> {
    let door = &visitor.door;
    let Some(new) = begin(door, &visitor.request, signed_in).await? else {
        return Ok(see_other(&door.href("/sign-in")));
    };
    let source = session::source(&visitor.request);
    let href = if has_app {
        recovery_codes::make(door, &new.session, &source, next).await?
    } else {
        next.to_owned()
    };
    Ok(keep(door, &new, &href))
}

async fn setup_for(door: &Door, token: &str) -> Result<SetupFor, Stop> {
    door.services.operators.setup(token).await?.ok_or_else(does_not_work)
}

fn does_not_work() -> Stop {
    Stop::gone(
        "This link does not work any more",
        "It may have been used or replaced by a newer one, it may be older than 24 hours, or your account may be disabled. If you have set up a way to sign in, use that. Else ask a platform administrator for a new link; on the host, mintmark operators setup-link EMAIL prints one.",
    )
}

/// What a challenge of this page is bound to: the link and the browser.
fn bound(visitor: &Visitor, token: &str) -> String {
    format!("{token} {}", visitor.csrf())
}

/// The key for an authenticator app; `None` where no second factor is needed. A browser that opens this link again within an
/// hour, while it has the cookie of [`Visitor`], gets the same key. Every other browser gets another key, so that a mail
/// scanner that opened the link does not know this one.
fn totp_secret(visitor: &Visitor, token: &str) -> Option<TotpSecret> {
    let door = &visitor.door;
    let secret = |csrf: &str| secret_for(door, &[b"setup", token.as_bytes(), csrf.as_bytes()]);
    door.services.policy().second_factor_required.then(|| secret(&visitor.csrf()))
}

impl<'a> SetupPage<'a> {
    fn of(
        visitor: &'a Visitor,
        setup: &'a SetupFor,
        token: &str,
        next: &'a str,
        problems: Vec<Problem>,
    ) -> Self {
        let door = &visitor.door;
        let mut shell = visitor.shell("Set up your sign-in");
        shell.has_errors = !problems.is_empty();
        let path = format!("/setup/{token}");
        Self {
            shell,
            csrf: visitor.csrf(),
            next,
            action: door.href(&path),
            problems,
            name: &setup.name,
            email: &setup.email,
            host: host(door),
            replaces: setup.has_ways_in,
            passkey: PasskeyButton::at(door, &format!("{path}/passkey"), "Set up a passkey"),
            providers: links::to_set_up(door, token, next),
            no_passkeys: why_no_passkeys(door).unwrap_or_default(),
            totp: totp_secret(visitor, token).map(|secret| TotpView::of(&secret, &setup.email, host(door))),
        }
    }
}
