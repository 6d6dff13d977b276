//! Creates something once for a form, however often the form is sent, and redirects to the page that shows what was created.

use actix_web::HttpResponse;

use super::nonce::{Nonce, UseCase};
use super::page::see_other;
use super::session::SignedIn;
use super::stop::Stop;
use crate::kernel::{Caller, Error, Manager};
use crate::ledger::{Reveal, SaveReply};

/// The address of the page that shows what a form created.
pub(super) fn href(signed_in: &SignedIn, nonce: &Nonce) -> String {
    let place = match nonce.use_case {
        UseCase::InviteOperator | UseCase::SetupLink => "operators/links",
        UseCase::CreateWebhook | UseCase::ReplaceWebhookKeys => "webhooks/secrets",
        _ => "reveals",
    };
    signed_in.door.href(&format!("/{place}/{}", nonce.as_str()))
}

/// What a form created; [`Reveal::None`] if it created nothing yet.
///
/// # Errors
/// [`Error::Storage`], [`Error::Crypto`].
pub(super) async fn find(signed_in: &SignedIn, caller: &Caller, nonce: &Nonce) -> Result<Reveal, Error> {
    let ledger = &signed_in.door.services.ledger;
    ledger.reveal(&ledger.reveal_request(caller, nonce.use_case.as_str(), nonce.as_str())).await
}

/// Whether a form has created something already, so that its fields need no more checks.
///
/// # Errors
/// [`Error::Storage`], [`Error::Crypto`].
pub(super) async fn is_spent(signed_in: &SignedIn, caller: &Caller, nonce: &Nonce) -> Result<bool, Error> {
    Ok(!matches!(find(signed_in, caller, nonce).await?, Reveal::None))
}

/// Runs `create` unless the form has created something before. `render` makes the bytes that are shown later, `subject`
/// names the record that they are about, and `create` passes its argument to the service that creates the record.
///
/// # Errors
/// Those of `create`; [`Error::Storage`], [`Error::Crypto`].
pub(super) async fn once<T>(
    signed_in: &SignedIn,
    manager: &Manager,
    nonce: &Nonce,
    render: &dyn Fn(&T) -> Vec<u8>,
    subject: &dyn Fn(&T) -> String,
    create: impl AsyncFnOnce(SaveReply<'_, T>) -> Result<T, Error>,
) -> Result<HttpResponse, Error> {
    let shown = see_other(&href(signed_in, nonce));
    // The same form is still being worked on: the page that shows what it creates waits for it.
    let Some(_turn) = signed_in.door.turns.take(nonce.as_str()).await else { return Ok(shown) };
    if is_spent(signed_in, manager, nonce).await? {
        return Ok(shown);
    }
    let request =
        signed_in.door.services.ledger.reveal_request(manager, nonce.use_case.as_str(), nonce.as_str());
    match create(SaveReply { request: &request, render, subject: Some(subject) }).await {
        Ok(_) => Ok(shown),
        // Another process may have handled the same form meanwhile: then the conflict is with what that process created.
        Err(lost @ (Error::AlreadyAnswered | Error::Conflict(_))) => {
            if is_spent(signed_in, manager, nonce).await? { Ok(shown) } else { Err(lost) }
        }
        Err(error) => Err(error),
    }
}

/// The nonce of a form, or a new one if the form has none that was made for this session and this use case.
///
/// # Errors
/// 503 without random numbers.
pub(super) fn nonce_of(
    signed_in: &SignedIn,
    sent: &str,
    use_case: super::nonce::UseCase,
) -> Result<Nonce, Stop> {
    match Nonce::read(signed_in, sent).filter(|nonce| nonce.use_case == use_case) {
        Some(nonce) => Ok(nonce),
        None => Nonce::new(signed_in, use_case),
    }
}
