//! `/console/account/password`: sets, changes and removes the password. If the policy requires a second factor and the operator
//! has no authenticator app, the form sets up both.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use zeroize::Zeroizing;

use super::super::page::{page, see_other};
use super::super::session::{self, SignedIn, Submitted};
use super::super::sign_in::again::must_be_fresh;
use super::super::sign_in::keep;
use super::super::sign_in::new_way::{missing, problems};
use super::super::stop::Stop;
use super::authenticator::{SecretPage, secret};
use super::{PATH, done, has, recovery_codes, stop};
use crate::kernel::Error;
use crate::model::operator::Way;
use crate::operators::{WayIn, WayRef};

const FORM: &str = "/account/password";

/// `GET /console/account/password`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    must_be_fresh(&signed_in)?;
    let needs_app = needs_app(&signed_in);
    page(StatusCode::OK, &SecretPage::of(&signed_in, title(&signed_in), FORM, true, needs_app).await?)
}

/// `POST /console/account/password`
pub(crate) async fn post(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    must_be_fresh(&signed_in)?;
    let (door, session) = (&signed_in.door, &signed_in.session);
    let needs_app = needs_app(&signed_in);
    let (password, code) = (form.one("password"), form.trimmed("code"));
    let mut wrong = missing(password, needs_app.then_some(code));
    if wrong.is_empty() {
        let totp = if needs_app { Some((secret(&signed_in).await?, code.to_owned())) } else { None };
        let way_in = WayIn::Password { password: Zeroizing::new(password.to_owned()), totp };
        let source = session::source(&signed_in.request);
        match door.services.operators.add_way_in(session, way_in, &source).await {
            Ok(new) if needs_app => {
                let href = recovery_codes::make(door, &new.session, &source, &door.href(PATH)).await?;
                return Ok(keep(door, &new, &href));
            }
            Ok(new) => return Ok(done(door, &new)),
            Err(Error::Invalid(errors)) => wrong = problems(&errors),
            Err(error) => return Err(stop(&signed_in, error)),
        }
    }
    let shown = SecretPage::of(&signed_in, title(&signed_in), FORM, true, needs_app).await?;
    page(StatusCode::UNPROCESSABLE_ENTITY, &shown.with(wrong))
}

/// `POST /console/account/password/remove`
pub(crate) async fn remove(sent: Submitted) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    must_be_fresh(&signed_in)?;
    let source = session::source(&signed_in.request);
    let operators = &signed_in.door.services.operators;
    let removed = operators.remove_way_in(&signed_in.session, &WayRef::Password, &source).await;
    removed.map_err(|error| stop(&signed_in, error))?;
    Ok(see_other(&signed_in.door.href(PATH)))
}

fn title(signed_in: &SignedIn) -> &'static str {
    if has(signed_in, Way::Password) { "Change your password" } else { "Set a password" }
}

fn needs_app(signed_in: &SignedIn) -> bool {
    signed_in.door.services.policy().second_factor_required && !has(signed_in, Way::Totp)
}
