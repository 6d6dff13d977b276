//! `/console/account`: how the signed-in operator can sign in, and their sessions.

pub(crate) mod authenticator;
pub(crate) mod identities;
mod overview;
pub(crate) mod passkeys;
pub(crate) mod password;
pub(crate) mod recovery_codes;
pub(crate) mod sessions;

pub(crate) use overview::get;

use super::door::Door;
use super::page::Shell;
use super::session::SignedIn;
use super::sign_in::keep;
use super::stop::Stop;
use crate::kernel::Error;
use crate::model::operator::Way;
use crate::operators::NewSession;
use actix_web::HttpResponse;

/// The path of the account page, below the path of the console.
const PATH: &str = "/account";

/// Redirects to the account page, with the new cookie of the session.
fn done(door: &Door, new: &NewSession) -> HttpResponse {
    keep(door, new, &door.href(PATH))
}

/// The frame of a page below the account.
fn shell(signed_in: &SignedIn, title: &str) -> Shell {
    signed_in.shell(title).below("Your account", signed_in.door.href(PATH))
}

/// Whether the operator has this way in.
fn has(signed_in: &SignedIn, way: Way) -> bool {
    signed_in.session.operator.sign_in.contains(&way)
}

/// The page about an error of a use case, with a link back to the account.
fn stop(signed_in: &SignedIn, error: Error) -> Stop {
    Stop::from(error).then(signed_in.door.href(PATH), "Back to your account")
}
