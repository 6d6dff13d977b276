//! `/console/account/authenticator`: sets up an authenticator app, or sets it up again on another device.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::super::page::{Problem, Shell, has_problem, page};
use super::super::session::{self, SignedIn, Submitted};
use super::super::sign_in::again::must_be_fresh;
use super::super::sign_in::new_way::problems;
use super::super::sign_in::totp::{TotpView, secret_for};
use super::super::sign_in::{host, keep};
use super::super::stop::Stop;
use super::{PATH, done, has, recovery_codes, shell, stop};
use crate::kernel::Error;
use crate::model::operator::Way;
use crate::operators::{TotpSecret, WayIn};

const FORM: &str = "/account/authenticator";

/// A form for a password, an authenticator app, or both.
#[derive(Template)]
#[template(path = "account_password.html")]
pub(super) struct SecretPage<'a> {
    shell: Shell,
    problems: Vec<Problem>,
    action: String,
    email: &'a str,
    asks_password: bool,
    totp: Option<TotpView>,
}

/// `GET /console/account/authenticator`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    must_be_fresh(&signed_in)?;
    page(StatusCode::OK, &SecretPage::of(&signed_in, title(&signed_in), FORM, false, true).await?)
}

/// `POST /console/account/authenticator`
pub(crate) async fn post(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    must_be_fresh(&signed_in)?;
    let (door, session) = (&signed_in.door, &signed_in.session);
    let code = form.trimmed("code");
    let mut wrong = Vec::new();
    if code.is_empty() {
        wrong.push(Problem::of("code", "Enter the six digits that the app shows"));
    } else {
        let way_in = WayIn::Totp { secret: secret(&signed_in).await?, code: code.to_owned() };
        let source = session::source(&signed_in.request);
        match door.services.operators.add_way_in(session, way_in, &source).await {
            // The recovery codes of the previous app stay valid, so no new ones are made.
            Ok(new) if has(&signed_in, Way::Totp) => return Ok(done(door, &new)),
            Ok(new) => {
                let href = recovery_codes::make(door, &new.session, &source, &door.href(PATH)).await?;
                return Ok(keep(door, &new, &href));
            }
            Err(Error::Invalid(errors)) => wrong = problems(&errors),
            Err(error) => return Err(stop(&signed_in, error)),
        }
    }
    let shown = SecretPage::of(&signed_in, title(&signed_in), FORM, false, true).await?;
    page(StatusCode::UNPROCESSABLE_ENTITY, &shown.with(wrong))
}

fn title(signed_in: &SignedIn) -> &'static str {
    if has(signed_in, Way::Totp) {
        "Set up the authenticator app again"
    } else {
        "Set up an authenticator app"
    }
}

/// The TOTP secret for the next app. It stays the same within a session until an app is confirmed, so that a page that is
/// loaded again shows the same secret.
pub(super) async fn secret(signed_in: &SignedIn) -> Result<TotpSecret, Stop> {
    let (operators, session) = (&signed_in.door.services.operators, &signed_in.session);
    let before = operators.ways_in(session).await?.totp_confirmed_at.unwrap_or_default().to_string();
    Ok(secret_for(&signed_in.door, &[b"account", session.session_id.as_bytes(), before.as_bytes()]))
}

impl<'a> SecretPage<'a> {
    pub(super) async fn of(
        signed_in: &'a SignedIn,
        title: &str,
        form: &str,
        asks_password: bool,
        asks_app: bool,
    ) -> Result<Self, Stop> {
        let email = signed_in.session.operator.email.as_str();
        let totp = if asks_app {
            Some(TotpView::of(&secret(signed_in).await?, email, host(&signed_in.door)))
        } else {
            None
        };
        let (shell, action) = (shell(signed_in, title), signed_in.door.href(form));
        Ok(Self { shell, problems: Vec::new(), action, email, asks_password, totp })
    }

    pub(super) fn with(mut self, problems: Vec<Problem>) -> Self {
        self.shell.has_errors = true;
        Self { problems, ..self }
    }
}
