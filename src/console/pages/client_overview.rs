//! `/console/api-clients/{id}`: what a client is, whether it works, and the test panel. This file also has what all pages of a
//! client share: the frame and the tabs.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::client_live::{self, Live};
use crate::console::checks::{self, Check};
use crate::console::guides::{self, Guide, Values};
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Shell, ok, see_other};
use crate::console::session::{Inside, OfClient, SignedIn, Submitted};
use crate::console::status::{self, Status};
use crate::console::stop::Stop;
use crate::console::{moment, notice, products, reveal_flow};
use crate::model::client::{ApiClient, ClientRecord};
use crate::model::clock::UnixSeconds;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    test: String,
}

/// A page of a client, in the row of tabs.
#[derive(Debug, Clone)]
pub(super) struct Tab {
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) is_current: bool,
}

#[derive(Template)]
#[template(path = "client_overview.html")]
struct OverviewPage {
    shell: Shell,
    tabs: Vec<Tab>,
    label: String,
    client_id: String,
    status: Status,
    sentence: String,
    facts: Vec<(&'static str, String)>,
    stats: Vec<(&'static str, String, String)>,
    can_manage: bool,
    here: String,
    live: Live,
    token_url: String,
    guides: Vec<Guide>,
    checks: Vec<Check>,
    verdict: (&'static str, &'static str),
    is_disabled: bool,
    unconfirmed: Option<Unconfirmed>,
}

/// A secret or token that was shown, and that nobody has confirmed to have stored.
struct Unconfirmed {
    what: &'static str,
    href: String,
    until: String,
}

/// `GET /console/api-clients/{id}`
pub(crate) async fn get(
    signed_in: SignedIn,
    path: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let of_client = signed_in.client(&path).await?;
    let live = client_live::live(&signed_in, &of_client).await?;
    let OfClient { record, inside } = of_client;
    let services = &signed_in.door.services;
    let now = services.clock().now();
    let names = products::names(services, &inside.reader).await?;
    let length = services.issuer.token_length(&inside.reader, &record.client.client_id).await?;
    let checks = kept_checks(&signed_in, &inside, &asked.test).await?;
    let here = href(&signed_in, &record.client);
    let token_url = format!("{}/oauth2/token", signed_in.door.issuer);
    let values =
        Values { token_url: &token_url, client_id: &record.client.client_id, secret: "CLIENT_SECRET" };
    let client = &record.client;
    ok(&OverviewPage {
        shell: notice::noticed(shell_of(&signed_in, &inside, client, &client.label), &signed_in.request),
        tabs: tabs(&here, ""),
        sentence: status::sentence(client, &products::shown(&client.products, &names)),
        status: status::of(&record, &inside.workspace, now),
        facts: facts(client, now),
        stats: stats(&record, length, now),
        can_manage: inside.can_manage,
        live,
        guides: guides::all(&values, ""),
        verdict: checks::verdict(&checks),
        checks,
        is_disabled: client.disabled_at.is_some(),
        unconfirmed: unconfirmed(&signed_in, &inside, client).await?,
        label: client.label.clone(),
        client_id: client.client_id.clone(),
        token_url,
        here,
    })
}

/// `POST /console/api-clients/{id}/test`: tries a secret that was pasted. The outcome is kept, the secret is not.
pub(crate) async fn test(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let OfClient { record, inside } = signed_in.client(&path).await?;
    let manager = inside.manager()?;
    let services = &signed_in.door.services;
    let client_id = &record.client.client_id;
    let checks = checks::of(&services.issuer.rehearse(&manager, client_id, form.one("secret")).await?);
    let nonce = Nonce::new(&signed_in, UseCase::Test)?;
    let kept = serde_json::to_vec(&checks).unwrap_or_default();
    services.ledger.keep_draft(&manager, nonce.use_case.as_str(), nonce.as_str(), &kept).await?;
    Ok(see_other(&format!("{}?test={}#test", href(&signed_in, &record.client), nonce.as_str())))
}

/// The newest secret or token of the client that was shown in this session and is not confirmed yet.
async fn unconfirmed(
    signed_in: &SignedIn,
    inside: &Inside,
    client: &ApiClient,
) -> Result<Option<Unconfirmed>, Stop> {
    let ledger = &signed_in.door.services.ledger;
    let shown = ledger.unconfirmed(&inside.reader, &client.client_id).await?;
    let mut own =
        shown.into_iter().filter_map(|(nonce, until)| Some((Nonce::read(signed_in, &nonce)?, until)));
    Ok(own.next().map(|(nonce, until)| Unconfirmed {
        what: if nonce.use_case == UseCase::GenerateToken { "access token" } else { "client secret" },
        href: reveal_flow::href(signed_in, &nonce),
        until: moment::clock(until),
    }))
}

/// The outcome of a test; empty before the first test, and when the outcome is no longer kept.
async fn kept_checks(signed_in: &SignedIn, inside: &Inside, nonce: &str) -> Result<Vec<Check>, Stop> {
    let Some(nonce) = Nonce::read(signed_in, nonce).filter(|nonce| nonce.use_case == UseCase::Test) else {
        return Ok(Vec::new());
    };
    let ledger = &signed_in.door.services.ledger;
    let kept = ledger.draft(&inside.reader, nonce.use_case.as_str(), nonce.as_str()).await?;
    Ok(kept.and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default())
}

/// The address of a client.
pub(super) fn href(signed_in: &SignedIn, client: &ApiClient) -> String {
    signed_in.door.href(&format!("/api-clients/{}", client.client_id))
}

/// The frame of a page of a client.
pub(super) fn shell_of(signed_in: &SignedIn, inside: &Inside, client: &ApiClient, title: &str) -> Shell {
    let list = signed_in.door.href(&format!("/workspaces/{}/api-clients", inside.workspace.workspace_id));
    let shell = signed_in
        .shell_in(&inside.workspace, title)
        .below("Settings", None)
        .below("Integration", None)
        .below("API Clients", list);
    if title == client.label { shell } else { shell.below(client.label.clone(), href(signed_in, client)) }
}

/// The tabs of a client; `current` is the last part of the address.
pub(super) fn tabs(here: &str, current: &str) -> Vec<Tab> {
    [
        ("Overview", ""),
        ("Secrets", "/secrets"),
        ("Access tokens", "/tokens"),
        ("Usage", "/usage"),
        ("History", "/history"),
        ("Settings", "/edit"),
    ]
    .map(|(name, part)| Tab { name, href: format!("{here}{part}"), is_current: part == current })
    .into()
}

fn stats(
    record: &ClientRecord,
    length: Option<usize>,
    now: UnixSeconds,
) -> Vec<(&'static str, String, String)> {
    let client = &record.client;
    let last = record.last_used_at;
    let secrets = i64::try_from(record.secrets.len()).unwrap_or(i64::MAX);
    vec![
        (
            "Last token",
            last.map_or_else(|| "Never".to_owned(), |at| moment::ago(now, at)),
            last.map(moment::exact).unwrap_or_default(),
        ),
        ("Tokens expire", status::expiry(client.token_expiry), String::new()),
        ("Live secrets", secrets.to_string(), String::new()),
        (
            "Length of a token",
            length.map_or_else(|| "–".to_owned(), |length| format!("about {length} characters")),
            "check that the field in your ERP is long enough".to_owned(),
        ),
    ]
}

fn facts(client: &ApiClient, now: UnixSeconds) -> Vec<(&'static str, String)> {
    let mails = client.notification_emails.join(", ");
    let permissions: Vec<String> = client.permissions.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        ("Active tokens", status::active_tokens(client)),
        ("Notification email", if mails.is_empty() { "Nobody is mailed".to_owned() } else { mails }),
        ("Created", created(client, now)),
        ("Last changed", moment::ago(now, client.updated_at)),
    ];
    if let Some(description) = &client.description {
        facts.insert(0, ("Description", description.clone()));
    }
    if let Some(at) = client.expires_at {
        facts.push(("The client ends", format!("{} ({})", moment::exact(at), moment::until(now, at))));
    }
    if let Some(alg) = client.signing_alg {
        facts.push(("Signing algorithm", alg.to_string()));
    }
    if !permissions.is_empty() {
        facts.push(("Permissions on Mintmark", permissions.join(", ")));
    }
    if !client.metadata.is_empty() {
        facts.push(("Metadata", metadata(client)));
    }
    facts
}

/// When a client was created, and how long ago. For a client older than a month, `moment::ago` returns the day, which is left
/// out here because it is already shown.
fn created(client: &ApiClient, now: UnixSeconds) -> String {
    let (exact, ago) = (moment::exact(client.created_at), moment::ago(now, client.created_at));
    if exact.starts_with(&ago) { exact } else { format!("{exact} ({ago})") }
}

/// The metadata of a client: `owner=finance, site=IN`.
pub(super) fn metadata(client: &ApiClient) -> String {
    let pairs = client.metadata.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}
