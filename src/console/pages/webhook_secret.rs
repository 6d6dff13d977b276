//! Shows new keys of a webhook. Reload, Back and a second tab show the same keys, until the operator confirms that they are
//! stored, or ten minutes have passed.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use serde::{Deserialize, Serialize};

use crate::console::moment;
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Shell, ok, see_other};
use crate::console::reveal_flow;
use crate::console::session::{SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::kernel::{Caller, Error};
use crate::ledger::{GivenAs, Reveal, SHOWN_SECONDS};
use crate::model::webhook::Webhook;
use crate::webhooks::SigningSecret;

/// What the page shows. `Debug` is not derived, so that the secret is not printed.
#[derive(Serialize, Deserialize)]
pub(super) struct ShownKeys {
    webhook_id: String,
    workspace_id: String,
    host: String,
    secret: String,
    public_key: String,
}

impl ShownKeys {
    /// The keys of a webhook.
    pub(super) fn of(webhook: &Webhook, secret: &SigningSecret) -> Self {
        Self {
            webhook_id: webhook.webhook_id.clone(),
            workspace_id: webhook.workspace_id.clone(),
            host: super::webhooks::shown_host(&webhook.host),
            secret: secret.expose().to_owned(),
            public_key: webhook.public_key.clone(),
        }
    }

    /// The bytes that are sealed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Strings, so this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[derive(Template)]
#[template(path = "webhook_secret.html")]
struct SecretPage {
    shell: Shell,
    here: String,
    host: String,
    secret: String,
    public_key: String,
    is_new: bool,
    shown_until: String,
}

#[derive(Template)]
#[template(path = "waiting.html")]
struct WaitingPage {
    shell: Shell,
}

/// `GET /console/webhooks/secrets/{nonce}`
pub(crate) async fn get(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let nonce = named(&signed_in, &path)?;
    if signed_in.door.turns.is_running(nonce.as_str()) {
        let shell = Shell { reload_seconds: Some(2), ..signed_in.shell("One moment") };
        return ok(&WaitingPage { shell });
    }
    let unreadable = || Error::Crypto("the sealed secret, token or link cannot be read".to_owned());
    let (caller, found) = shown(&signed_in, &nonce).await?;
    match found {
        Reveal::None => Err(Stop::not_found()),
        Reveal::Shown { sealed, made_at, .. } => {
            let read = async |bytes: &[u8]| {
                let keys: ShownKeys = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
                let inside = signed_in.inside(&keys.workspace_id).await?;
                Ok::<_, Stop>((keys, inside))
            };
            let ledger = &signed_in.door.services.ledger;
            let (keys, inside) = ledger.show(&caller, &sealed, GivenAs::Page, read).await?;
            let list = signed_in.door.href(&format!("/webhooks?workspace_id={}", keys.workspace_id));
            let shell = signed_in.shell_in(&inside.workspace, "Keys of the webhook").below("Settings", None);
            ok(&SecretPage {
                shell: shell
                    .below("Webhooks", list)
                    .below(keys.host.clone(), super::webhook::href(&signed_in, &keys.webhook_id)),
                here: reveal_flow::href(&signed_in, &nonce),
                host: keys.host,
                secret: keys.secret,
                public_key: keys.public_key,
                is_new: nonce.use_case == UseCase::CreateWebhook,
                shown_until: moment::clock(made_at.saturating_add(SHOWN_SECONDS)),
            })
        }
        Reveal::Erased { subject, at, is_confirmed } => {
            let at = moment::clock(at);
            let heading = if is_confirmed { format!("Stored at {at}") } else { format!("Erased at {at}") };
            let text = "The secret is no longer shown here. Not stored? Replace the keys of the webhook; the old keys go on signing for 24 hours.";
            let webhook = super::webhook::href(&signed_in, &subject);
            Err(Stop::gone(heading, text).then(webhook, "Go to the webhook"))
        }
    }
}

/// `POST /console/webhooks/secrets/{nonce}/stored`
pub(crate) async fn stored(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let nonce = named(&signed_in, &path)?;
    let ledger = &signed_in.door.services.ledger;
    let (caller, found) = shown(&signed_in, &nonce).await?;
    let webhook_id = match found {
        Reveal::None => return Err(Stop::not_found()),
        Reveal::Shown { subject, .. } => {
            ledger
                .erase_reveal(&ledger.reveal_request(&caller, nonce.use_case.as_str(), nonce.as_str()))
                .await?;
            subject
        }
        Reveal::Erased { subject, .. } => subject,
    };
    Ok(see_other(&format!("{}?done=webhook-stored", super::webhook::href(&signed_in, &webhook_id))))
}

/// The nonce that an address names. 404 unless it was made in this session, for a form that makes keys of a webhook.
fn named(signed_in: &SignedIn, text: &str) -> Result<Nonce, Stop> {
    Nonce::read(signed_in, text)
        .filter(|nonce| matches!(nonce.use_case, UseCase::CreateWebhook | UseCase::ReplaceWebhookKeys))
        .ok_or_else(Stop::not_found)
}

/// What a form created, and the caller by which it is found. The caller may be for any workspace of the operator, since what
/// was created is found by the id of the operator.
async fn shown(signed_in: &SignedIn, nonce: &Nonce) -> Result<(Caller, Reveal), Stop> {
    let caller = signed_in.anywhere().await?;
    let found = reveal_flow::find(signed_in, &caller, nonce).await?;
    Ok((caller, found))
}
