//! `/console/webhooks/{id}`: one webhook, what was sent to it, and what became of each request.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::webhook_secret::ShownKeys;
use super::webhooks::{events, shown_host};
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Shell, ok, see_other};
use crate::console::session::{Inside, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{cursor, moment, notice, reveal_flow};
use crate::kernel::{Error, Precondition};
use crate::model::clock::UnixSeconds;
use crate::model::page::Page;
use crate::model::webhook::{Disabled, Webhook};
use crate::webhooks::{NoMembers, ReplacedKeys, WebhookChange, WebhookDelivery};

/// How many deliveries a page has.
const PER_PAGE: u32 = 25;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    after: String,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    shell: Shell,
    here: String,
    can_manage: bool,
    nonce: String,
    host: String,
    url: String,
    events: String,
    description: String,
    public_key: String,
    id: String,
    is_active: bool,
    why: String,
    failing_since: String,
    rows: Vec<Row>,
    is_first: bool,
    next_href: Option<String>,
}

struct Row {
    href: String,
    kind: String,
    state: &'static str,
    tone: &'static str,
    what: String,
    queued: String,
    queued_exact: String,
}

#[derive(Template)]
#[template(path = "webhook_delivery.html")]
struct DeliveryPage {
    shell: Shell,
    here: String,
    can_send: bool,
    row: Row,
    id: String,
    attempts: String,
    last_attempt: String,
    next_attempt: String,
    status: String,
    error: String,
    reply: Option<String>,
    body: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct DeletePage {
    shell: Shell,
    heading: String,
    text: &'static str,
    action: String,
    button: &'static str,
    cancel: String,
}

/// Why a webhook gets nothing, in words.
pub(super) fn why(disabled: Disabled) -> &'static str {
    match disabled {
        Disabled::Administrator => "Somebody disabled it.",
        Disabled::Gone => "Its receiver answered 410 Gone.",
        Disabled::Failing => "For five days every delivery failed.",
    }
}

/// `GET /console/webhooks/{id}`
pub(crate) async fn get(
    signed_in: SignedIn,
    id: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let (inside, webhook) = find(&signed_in, &id).await?;
    let list = format!("webhook {}", webhook.webhook_id);
    let after = cursor::open(&signed_in, &list, &asked.after)?;
    let page = Page { after, ..Page::first(PER_PAGE) };
    let services = &signed_in.door.services;
    let found = services.webhooks.deliveries(&inside.reader, &id, &page).await?;
    let (now, here) = (services.clock().now(), href(&signed_in, &id));
    let nonce = if inside.can_manage {
        Nonce::new(&signed_in, UseCase::ReplaceWebhookKeys)?.as_str().to_owned()
    } else {
        String::new()
    };
    let host = shown_host(&webhook.host);
    let shell = shell(&signed_in, &inside, &host);
    ok(&WebhookPage {
        shell: notice::noticed(shell, &signed_in.request),
        can_manage: inside.can_manage,
        nonce,
        events: events(&webhook),
        description: webhook.description.unwrap_or_default(),
        public_key: webhook.public_key,
        is_active: webhook.disabled.is_none(),
        why: webhook.disabled.map(why).unwrap_or_default().to_owned(),
        failing_since: webhook.failing_since.map(|at| moment::ago(now, at)).unwrap_or_default(),
        rows: found.items.iter().map(|delivery| row(&here, delivery, now)).collect(),
        is_first: asked.after.is_empty(),
        next_href: found
            .next_after
            .map(|after| format!("{here}?after={}", cursor::seal(&signed_in, &list, &after))),
        here,
        host,
        url: webhook.url,
        id: webhook.webhook_id,
    })
}

fn shell(signed_in: &SignedIn, inside: &Inside, title: &str) -> Shell {
    let list = signed_in.door.href(&format!("/webhooks?workspace_id={}", inside.workspace.workspace_id));
    signed_in.shell_in(&inside.workspace, title).below("Settings", None).below("Webhooks", list)
}

fn row(here: &str, delivery: &WebhookDelivery, now: UnixSeconds) -> Row {
    let of = &delivery.0;
    let answered = of.last_status.map(|status| format!("answered {status}"));
    let tried = moment::count(of.attempts, "attempt");
    let (state, tone, what) = match (delivery.status(), of.attempts) {
        ("sent", _) => ("Sent", "ok", answered.unwrap_or_default()),
        ("waiting", 0) => ("Waiting", "info", "not tried yet".to_owned()),
        ("waiting", _) => {
            let next = moment::until(now, of.next_attempt_at);
            ("Failed", "warn", format!("{}, next {next}", answered.unwrap_or(tried)))
        }
        _ => ("Given up", "bad", of.last_error.clone().unwrap_or(tried)),
    };
    Row {
        href: format!("{here}/deliveries/{}", of.delivery_id),
        kind: of.kind.clone(),
        state,
        tone,
        what,
        queued: moment::ago(now, of.queued_at),
        queued_exact: moment::exact(of.queued_at),
    }
}

/// `GET /console/webhooks/{id}/deliveries/{delivery_id}`
pub(crate) async fn get_delivery(
    signed_in: SignedIn,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Stop> {
    let (id, delivery_id) = path.into_inner();
    let (inside, webhook) = find(&signed_in, &id).await?;
    let services = &signed_in.door.services;
    let delivery = services.webhooks.delivery(&inside.reader, &id, &delivery_id).await?;
    let (now, here) = (services.clock().now(), href(&signed_in, &id));
    let row = row(&here, &delivery, now);
    let shell = shell(&signed_in, &inside, &row.kind).below(shown_host(&webhook.host), here);
    let waits = delivery.status() == "waiting";
    let of = delivery.0;
    ok(&DeliveryPage {
        shell: notice::noticed(shell, &signed_in.request),
        here: row.href.clone(),
        can_send: inside.can_manage && webhook.disabled.is_none(),
        row,
        id: of.delivery_id,
        attempts: moment::count(of.attempts, "attempt"),
        last_attempt: of.last_attempt_at.map(moment::exact).unwrap_or_default(),
        next_attempt: if waits { moment::exact(of.next_attempt_at) } else { String::new() },
        status: of.last_status.map(|status| status.to_string()).unwrap_or_default(),
        error: of.last_error.unwrap_or_default(),
        reply: of.last_reply,
        body: laid_out(of.body),
    })
}

/// A body laid out for people, with one member a line. The body that is sent and signed is one line.
fn laid_out(body: String) -> String {
    let value = serde_json::from_str::<serde_json::Value>(&body);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or(body)
}

/// `POST /console/webhooks/{id}/deliveries/{delivery_id}/resend`
pub(crate) async fn resend(sent: Submitted, path: Path<(String, String)>) -> Result<HttpResponse, Stop> {
    let (signed_in, (id, delivery_id)) = (sent.signed_in, path.into_inner());
    let (inside, _) = find(&signed_in, &id).await?;
    let manager = inside.manager()?;
    let back = format!("{}/deliveries/{delivery_id}", href(&signed_in, &id));
    let webhooks = &signed_in.door.services.webhooks;
    let again = webhooks.resend(&manager, &id, &delivery_id, &NoMembers::default()).await;
    again.map_err(|error| Stop::from(error).then(href(&signed_in, &id), "Back to the webhook"))?;
    Ok(see_other(&format!("{back}?done=delivery-resent")))
}

/// `POST /console/webhooks/{id}/test`
pub(crate) async fn test(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (inside, _) = find(&signed_in, &id).await?;
    let manager = inside.manager()?;
    let tested = signed_in.door.services.webhooks.test(&manager, &id, &NoMembers::default(), None).await;
    tested.map_err(|error| Stop::from(error).then(href(&signed_in, &id), "Back to the webhook"))?;
    Ok(see_other(&format!("{}?done=webhook-tested", href(&signed_in, &id))))
}

/// `POST /console/webhooks/{id}/disable`
pub(crate) async fn disable(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(sent, &id, "disabled", "webhook-disabled").await
}

/// `POST /console/webhooks/{id}/enable`
pub(crate) async fn enable(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(sent, &id, "active", "webhook-enabled").await
}

async fn set_status(sent: Submitted, id: &str, status: &str, done: &str) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (inside, _) = find(&signed_in, id).await?;
    let manager = inside.manager()?;
    let change = WebhookChange { status: Some(status.to_owned()).into(), ..WebhookChange::default() };
    signed_in.door.services.webhooks.change_webhook(&manager, id, &Precondition::None, &change).await?;
    Ok(see_other(&format!("{}?done={done}", href(&signed_in, id))))
}

/// `POST /console/webhooks/{id}/secrets`
pub(crate) async fn replace_keys(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let (inside, _) = find(&signed_in, &id).await?;
    let manager = inside.manager()?;
    let nonce = reveal_flow::nonce_of(&signed_in, form.one("nonce"), UseCase::ReplaceWebhookKeys)?;
    let webhooks = &signed_in.door.services.webhooks;
    let render = |replaced: &ReplacedKeys| ShownKeys::of(&replaced.webhook, &replaced.signing_secret).bytes();
    let subject = |replaced: &ReplacedKeys| replaced.webhook.webhook_id.clone();
    let made = reveal_flow::once(&signed_in, &manager, &nonce, &render, &subject, async |save| {
        webhooks.replace_keys(&manager, &id, &NoMembers::default(), Some(save)).await
    });
    made.await.map_err(|error| Stop::from(error).then(href(&signed_in, &id), "Back to the webhook"))
}

/// `GET /console/webhooks/{id}/delete`
pub(crate) async fn get_delete(signed_in: SignedIn, id: Path<String>) -> Result<HttpResponse, Stop> {
    let (inside, webhook) = find(&signed_in, &id).await?;
    inside.manager()?;
    let (here, host) = (href(&signed_in, &id), shown_host(&webhook.host));
    ok(&DeletePage {
        shell: shell(&signed_in, &inside, "Delete a webhook").below(host.clone(), here.clone()),
        heading: format!("Delete the webhook to {host}?"),
        text: "Nothing more is sent there. Its keys and what waits for it are deleted too.",
        action: format!("{here}/delete"),
        button: "Delete the webhook",
        cancel: here,
    })
}

/// `POST /console/webhooks/{id}/delete`
pub(crate) async fn post_delete(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (inside, webhook) = find(&signed_in, &id).await?;
    let manager = inside.manager()?;
    signed_in.door.services.webhooks.delete_webhook(&manager, &id, &Precondition::None).await?;
    let list = format!("/webhooks?workspace_id={}&done=webhook-deleted", webhook.workspace_id);
    Ok(see_other(&signed_in.door.href(&list)))
}

/// A webhook that the operator may look at, in whichever of their workspaces it is.
pub(super) async fn find(signed_in: &SignedIn, id: &str) -> Result<(Inside, Webhook), Stop> {
    let webhooks = &signed_in.door.services.webhooks;
    if signed_in.is_platform_admin() {
        let webhook = webhooks.webhook(&signed_in.platform().await?, id).await?;
        return Ok((signed_in.inside(&webhook.workspace_id).await?, webhook));
    }
    for workspace_id in signed_in.own_workspaces() {
        let inside = match signed_in.enter(workspace_id).await {
            Ok(inside) => inside,
            Err(Error::NotFound(_) | Error::Denied(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        match webhooks.webhook(&inside.reader, id).await {
            Ok(webhook) => return Ok((inside, webhook)),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Stop::not_found())
}

/// The address of a webhook.
pub(super) fn href(signed_in: &SignedIn, webhook_id: &str) -> String {
    signed_in.door.href(&format!("/webhooks/{webhook_id}"))
}
