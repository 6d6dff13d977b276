//! `/console/deliveries`: the mails and webhook requests that wait, those that were sent, and those that failed and why.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::webhooks::shown_host;
use crate::console::actions::delivery_subject;
use crate::console::extent::{Choices, Extent};
use crate::console::notice::noticed;
use crate::console::page::{Shell, ok, see_other};
use crate::console::session::{SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{cursor, moment};
use crate::kernel::Error;
use crate::ledger::DeliveryFilter;
use crate::model::clock::UnixSeconds;
use crate::model::delivery::{Channel, Delivery, LOGGED};
use crate::model::page::Page;

/// How many deliveries a page has.
const PER_PAGE: u32 = 50;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    workspace_id: String,
    /// `mail` or `webhook`; anything else for both.
    channel: String,
    /// `failed` for what is given up; anything else for all.
    state: String,
    after: String,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent condition of the template")]
struct DeliveriesPage {
    shell: Shell,
    workspace_name: Option<String>,
    workspace_id: String,
    choices: Choices,
    here: String,
    sends_mail: bool,
    waiting: i64,
    oldest: String,
    tried: i64,
    dead: i64,
    channel: &'static str,
    is_failed_only: bool,
    can_manage: bool,
    rows: Vec<Row>,
    is_filtered: bool,
    is_first: bool,
    clear_href: String,
    first_href: String,
    next_href: Option<String>,
}

struct Row {
    queued: String,
    queued_exact: String,
    what: String,
    about: String,
    about_href: Option<String>,
    channel: &'static str,
    to: String,
    to_href: Option<String>,
    state: &'static str,
    tone: &'static str,
    when: String,
    why: String,
    again_href: Option<String>,
}

/// `GET /console/deliveries`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let extent = signed_in.extent(asked.workspace_id.trim()).await?;
    let services = &signed_in.door.services;
    let filter =
        DeliveryFilter { channel: Channel::from_name(&asked.channel), dead: asked.state == "failed" };
    let channel = filter.channel.map_or("", Channel::as_str);
    let list = format!("deliveries {} {channel} {}", extent.workspace_id(), filter.dead);
    let after = cursor::open(&signed_in, &list, &asked.after)?;
    let page = Page { after, ..Page::first(PER_PAGE) };
    let found = services.ledger.deliveries(&extent.reader, filter, &page).await?;
    let backlog = services.ledger.backlog(&extent.reader).await?;
    let hosts = hosts(&signed_in, &extent, &found.items).await?;
    let now = services.clock().now();
    let here = signed_in.door.href("/deliveries");
    let href = |filter: DeliveryFilter, after: Option<String>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let state = if filter.dead { "failed" } else { "" };
        let pairs = [
            ("workspace_id", extent.workspace_id()),
            ("channel", filter.channel.map_or("", Channel::as_str)),
            ("state", state),
            ("after", after.as_deref().unwrap_or_default()),
        ];
        query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        let query = query.finish();
        if query.is_empty() { here.clone() } else { format!("{here}?{query}") }
    };
    let next = found.next_after.as_ref().map(|after| cursor::seal(&signed_in, &list, after));
    let shell = match &extent.workspace {
        Some(workspace) => signed_in.shell_in(workspace, "Deliveries"),
        None => signed_in.shell("Deliveries"),
    };
    ok(&DeliveriesPage {
        shell: noticed(shell.below("Settings", None), &signed_in.request),
        workspace_id: extent.workspace_id().to_owned(),
        sends_mail: signed_in.door.sends_mail,
        waiting: backlog.waiting,
        oldest: backlog.since.map(|at| moment::ago(now, at)).unwrap_or_default(),
        tried: backlog.tried,
        dead: backlog.dead,
        channel,
        is_failed_only: filter.dead,
        can_manage: extent.can_manage,
        rows: found.items.iter().map(|delivery| row(&signed_in, &extent, delivery, &hosts, now)).collect(),
        is_filtered: filter != DeliveryFilter::default(),
        is_first: asked.after.is_empty(),
        clear_href: href(DeliveryFilter::default(), None),
        first_href: href(filter, None),
        next_href: next.map(|after| href(filter, Some(after))),
        choices: signed_in.own_choices(&extent).await?,
        workspace_name: extent.workspace.map(|workspace| workspace.name),
        here,
    })
}

/// The hosts of the webhooks that `deliveries` go to, by id. Webhooks that were deleted are left out.
async fn hosts(
    signed_in: &SignedIn,
    extent: &Extent,
    deliveries: &[Delivery],
) -> Result<BTreeMap<String, String>, Stop> {
    let mut hosts = BTreeMap::new();
    let webhooks = deliveries.iter().filter(|delivery| delivery.channel == Channel::Webhook);
    for delivery in webhooks {
        if hosts.contains_key(&delivery.recipient) {
            continue;
        }
        match signed_in.door.services.webhooks.webhook(&extent.reader, &delivery.recipient).await {
            Ok(webhook) => drop(hosts.insert(delivery.recipient.clone(), webhook.host)),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(hosts)
}

fn row(
    signed_in: &SignedIn,
    extent: &Extent,
    delivery: &Delivery,
    hosts: &BTreeMap<String, String>,
    now: UnixSeconds,
) -> Row {
    let next = || moment::until(now, delivery.next_attempt_at);
    let times = moment::count(delivery.attempts, "time");
    let (state, tone, when) = match (delivery.sent_at, delivery.dead_at, delivery.attempts) {
        (Some(at), ..) if delivery.last_reply.as_deref() == Some(LOGGED) => {
            ("Only logged", "warn", moment::ago(now, at))
        }
        (Some(at), ..) => ("Sent", "ok", moment::ago(now, at)),
        (None, Some(at), _) => ("Given up", "bad", format!("{}, tried {times}", moment::ago(now, at))),
        (None, None, 0) => ("Waiting", "info", "not tried yet".to_owned()),
        (None, None, _) => ("Failed", "warn", format!("tried {times}, next {}", next())),
    };
    let merged =
        if delivery.occurrences > 1 { format!(", {} times", delivery.occurrences) } else { String::new() };
    let (to, to_href) = match (delivery.channel, hosts.get(&delivery.recipient)) {
        (Channel::Mail, _) if delivery.recipient.is_empty() => ("all contacts".to_owned(), None),
        (Channel::Mail, _) => (delivery.recipient.clone(), None),
        (Channel::Webhook, Some(host)) => {
            (shown_host(host), Some(webhook_href(signed_in, &delivery.recipient)))
        }
        (Channel::Webhook, None) => ("a webhook that was deleted".to_owned(), None),
    };
    let query = match extent.workspace_id() {
        "" => String::new(),
        workspace => format!("?workspace_id={workspace}"),
    };
    let again = || signed_in.door.href(&format!("/deliveries/{}/send-again{query}", delivery.delivery_id));
    Row {
        queued: moment::ago(now, delivery.queued_at),
        queued_exact: moment::exact(delivery.queued_at),
        what: format!("{}{merged}", delivery_subject(&delivery.kind)),
        about: delivery.about.clone().unwrap_or_else(|| delivery.about_id.clone()),
        about_href: delivery
            .is_about_client
            .then(|| signed_in.door.href(&format!("/api-clients/{}", delivery.about_id))),
        channel: if delivery.channel == Channel::Mail { "Mail" } else { "Webhook" },
        to,
        to_href,
        state,
        tone,
        when,
        why: if delivery.sent_at.is_some() { None } else { delivery.last_error.clone() }.unwrap_or_default(),
        again_href: delivery.dead_at.filter(|_| extent.can_manage && delivery.is_whole()).map(|_| again()),
    }
}

/// The address of a webhook.
fn webhook_href(signed_in: &SignedIn, webhook_id: &str) -> String {
    signed_in.door.href(&format!("/webhooks/{webhook_id}"))
}

/// `POST /console/deliveries/{delivery_id}/send-again`
pub(crate) async fn post_again(
    sent: Submitted,
    delivery_id: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let workspace_id = asked.workspace_id.trim();
    let manager = match workspace_id {
        "" => signed_in.platform_manager().await?,
        workspace_id => signed_in.inside(workspace_id).await?.manager()?,
    };
    let (query, join) = match workspace_id {
        "" => (String::new(), '?'),
        workspace_id => (format!("?workspace_id={workspace_id}"), '&'),
    };
    let list = signed_in.door.href(&format!("/deliveries{query}"));
    let sent = signed_in.door.services.ledger.send_again(&manager, &delivery_id).await;
    sent.map_err(|error| Stop::from(error).then(list.clone(), "Back to the deliveries"))?;
    Ok(see_other(&format!("{list}{join}done=sent-again")))
}
