//! One line on whether a client has called, for a person who waits for the call: its last call, or why that call was refused.
//! The script of a page asks for this line again (`first-call`). Without scripts there is a page that loads itself again
//! (`watch`).

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use serde_json::json;

use super::client_overview::{href, shell_of};
use crate::console::moment;
use crate::console::page::{Shell, ok};
use crate::console::session::{OfClient, SignedIn};
use crate::console::stop::Stop;
use crate::model::page::Page;
use crate::model::refusal::Failure;

/// After how many seconds the page loads itself again.
const WATCH_SECONDS: u32 = 5;

/// The line, with a tone for its colour.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) text: String,
    pub(super) tone: &'static str,
    /// Whether the last call succeeded, so that the page can stop asking.
    pub(super) is_done: bool,
}

#[derive(Template)]
#[template(path = "client_watch.html")]
struct WatchPage {
    shell: Shell,
    label: String,
    here: String,
    live: Live,
}

/// Whether a client has called, or why its last request was refused, whichever was later.
pub(super) async fn live(signed_in: &SignedIn, of_client: &OfClient) -> Result<Live, Stop> {
    let OfClient { record, inside } = of_client;
    let services = &signed_in.door.services;
    let client = &record.client;
    // Unlike `last_used_at` of the client, this leaves out tokens that an administrator generated.
    let called_at = record.secrets.iter().filter_map(|secret| secret.last_used_at).max();
    let failures = services.usage.failures(&inside.reader, &client.client_id, &Page::first(1)).await?;
    // The secret of a request that was refused after authentication counts as used at the same time.
    let is_last = |failure: &&Failure| match called_at {
        Some(at) => failure.at > at || failure.at == at && failure.reason.is_after_authentication(),
        None => true,
    };
    let now = services.clock().now();
    let came = |at, source: Option<&str>| {
        let from = source.map(|source| format!(" from {source}")).unwrap_or_default();
        format!("{}{from} ({})", moment::clock(at), moment::ago(now, at))
    };
    if let Some(failure) = failures.items.first().filter(is_last) {
        let came = came(failure.at, failure.source_ip.as_deref());
        let text = format!("Refused at {came}. {}", failure.message());
        return Ok(Live { text, tone: "bad", is_done: false });
    }
    Ok(match called_at {
        None => Live { text: "Waiting for the first call".to_owned(), tone: "", is_done: false },
        Some(at) => Live {
            text: format!("{} called at {}", client.label, came(at, record.last_used_from())),
            tone: "ok",
            is_done: true,
        },
    })
}

/// `GET /console/api-clients/{id}/first-call`: the line as JSON.
pub(crate) async fn first_call(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let of_client = signed_in.client(&path).await?;
    let Live { text, tone, is_done } = live(&signed_in, &of_client).await?;
    Ok(HttpResponse::Ok().json(json!({"text": text, "tone": tone, "done": is_done})))
}

/// `GET /console/api-clients/{id}/watch`
pub(crate) async fn watch(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let of_client = signed_in.client(&path).await?;
    let live = live(&signed_in, &of_client).await?;
    let client = &of_client.record.client;
    ok(&WatchPage {
        shell: Shell {
            watch_seconds: (!live.is_done).then_some(WATCH_SECONDS),
            ..shell_of(&signed_in, &of_client.inside, client, "Watch for a call")
        },
        label: client.label.clone(),
        here: href(&signed_in, client),
        live,
    })
}
