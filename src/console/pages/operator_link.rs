//! Makes a setup link of an operator, and shows it. Reload, Back and a second tab show the same link, until the administrator
//! confirms that it is passed on, or ten minutes have passed. The link itself works for a day.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use serde::{Deserialize, Serialize};

use super::operators::{find, href};
use crate::console::moment;
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Shell, ok, see_other};
use crate::console::reveal_flow;
use crate::console::session::{SignedIn, Submitted};
use crate::console::sign_in::again::must_be_fresh;
use crate::console::stop::Stop;
use crate::kernel::{Error, Reader};
use crate::ledger::{GivenAs, Reveal, SHOWN_SECONDS};
use crate::model::clock::UnixSeconds;
use crate::model::operator::Operator;
use crate::operators::{NewSetupLink, SetupLink};

/// What the page shows. `Debug` is not derived, so that the link is not printed.
#[derive(Serialize, Deserialize)]
pub(super) struct ShownLink {
    name: String,
    email: String,
    link: String,
    expires_at: UnixSeconds,
}

impl ShownLink {
    /// The link of an operator.
    pub(super) fn of(operator: &Operator, link: &SetupLink) -> Self {
        Self {
            name: operator.name.clone(),
            email: operator.email.clone(),
            link: link.url().to_owned(),
            expires_at: link.expires_at,
        }
    }

    /// The bytes that are sealed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Strings and a number, so this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[derive(Template)]
#[template(path = "operator_link.html")]
struct LinkPage {
    shell: Shell,
    here: String,
    name: String,
    email: String,
    link: String,
    expires: String,
    shown_until: String,
}

#[derive(Template)]
#[template(path = "waiting.html")]
struct WaitingPage {
    shell: Shell,
}

/// `POST /console/operators/{id}/setup-link`
pub(crate) async fn post(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    let (_, operator) = find(&signed_in, &id).await?;
    must_be_fresh(&signed_in)?;
    let nonce = reveal_flow::nonce_of(&signed_in, form.one("nonce"), UseCase::SetupLink)?;
    let operators = &signed_in.door.services.operators;
    let render = |link: &SetupLink| ShownLink::of(&operator, link).bytes();
    let subject = |link: &SetupLink| link.operator_id.clone();
    let made = reveal_flow::once(&signed_in, &manager, &nonce, &render, &subject, async |save| {
        operators.replace_setup_link(&manager, &id, &NewSetupLink::default(), Some(save)).await
    });
    made.await.map_err(|error| Stop::from(error).then(href(&signed_in, &id), "Back to the operator"))
}

/// `GET /console/operators/links/{nonce}`
pub(crate) async fn get(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let (reader, nonce) = named(&signed_in, &path).await?;
    if signed_in.door.turns.is_running(nonce.as_str()) {
        let shell = Shell { reload_seconds: Some(2), ..signed_in.shell("One moment") };
        return ok(&WaitingPage { shell });
    }
    let unreadable = || Error::Crypto("the sealed secret, token or link cannot be read".to_owned());
    match reveal_flow::find(&signed_in, &reader, &nonce).await? {
        Reveal::None => Err(Stop::not_found()),
        Reveal::Shown { sealed, made_at, .. } => {
            let read =
                async |bytes: &[u8]| serde_json::from_slice::<ShownLink>(bytes).map_err(|_| unreadable());
            let shown = signed_in.door.services.ledger.show(&reader, &sealed, GivenAs::Page, read).await?;
            let list = signed_in.door.href("/operators");
            ok(&LinkPage {
                shell: signed_in.shell("Setup link").below("Settings", None).below("Operators", list),
                here: reveal_flow::href(&signed_in, &nonce),
                name: shown.name,
                email: shown.email,
                link: shown.link,
                expires: moment::exact(shown.expires_at),
                shown_until: moment::clock(made_at.saturating_add(SHOWN_SECONDS)),
            })
        }
        Reveal::Erased { subject, at, is_confirmed } => {
            let at = moment::clock(at);
            let heading = if is_confirmed { format!("Confirmed at {at}") } else { format!("Erased at {at}") };
            let text = "The setup link is no longer shown here. It works once, within a day. Not passed on? Make a new one; then the old one stops working.";
            Err(Stop::gone(heading, text).then(href(&signed_in, &subject), "Go to the operator"))
        }
    }
}

/// `POST /console/operators/links/{nonce}/stored`
pub(crate) async fn stored(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (reader, nonce) = named(&signed_in, &path).await?;
    let ledger = &signed_in.door.services.ledger;
    match reveal_flow::find(&signed_in, &reader, &nonce).await? {
        Reveal::None => return Err(Stop::not_found()),
        Reveal::Shown { .. } => {
            let request = ledger.reveal_request(&reader, nonce.use_case.as_str(), nonce.as_str());
            ledger.erase_reveal(&request).await?;
        }
        Reveal::Erased { .. } => {}
    }
    Ok(see_other(&signed_in.door.href("/operators?done=link-stored")))
}

/// The nonce in the address. Only the operator who made the link gets it, in the same session, while they are a platform
/// administrator.
async fn named(signed_in: &SignedIn, text: &str) -> Result<(Reader, Nonce), Stop> {
    let reader = signed_in.platform().await?;
    let nonce = Nonce::read(signed_in, text)
        .filter(|nonce| matches!(nonce.use_case, UseCase::InviteOperator | UseCase::SetupLink));
    Ok((reader, nonce.ok_or_else(Stop::not_found)?))
}
