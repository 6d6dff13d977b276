//! `/console/deliveries`: the mails that wait to be sent, what failed, and since when.

use actix_web::HttpResponse;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use crate::console::page::{Shell, ok};
use crate::console::session::SignedIn;
use crate::console::stop::Stop;
use crate::console::{cursor, moment};
use crate::ledger::DeliveryFilter;
use crate::model::clock::UnixSeconds;
use crate::model::delivery::Delivery;
use crate::model::page::Page;

/// How many mails a page has.
const PER_PAGE: u32 = 50;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    workspace_id: String,
    after: String,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    shell: Shell,
    workspace_name: Option<String>,
    sends_mail: bool,
    waiting: i64,
    oldest: String,
    tried: i64,
    rows: Vec<Row>,
    is_first: bool,
    first_href: String,
    next_href: Option<String>,
}

struct Row {
    queued: String,
    queued_exact: String,
    what: String,
    about: String,
    about_href: Option<String>,
    to: String,
    state: &'static str,
    tone: &'static str,
    why: String,
}

/// `GET /console/deliveries`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let extent = signed_in.extent(asked.workspace_id.trim()).await?;
    let services = &signed_in.door.services;
    let list = format!("deliveries {}", extent.workspace_id());
    let after = cursor::open(&signed_in, &list, &asked.after)?;
    let page = Page { after, ..Page::first(PER_PAGE) };
    let found = services.ledger.deliveries(&extent.reader, DeliveryFilter::default(), &page).await?;
    let backlog = services.ledger.backlog(&extent.reader).await?;
    let now = services.clock().now();
    let mut first_href = signed_in.door.href("/deliveries");
    if let Some(workspace) = &extent.workspace {
        first_href = format!("{first_href}?workspace_id={}", workspace.workspace_id);
    }
    let next_href = found.next_after.as_ref().map(|after| {
        let join = if first_href.contains('?') { '&' } else { '?' };
        format!("{first_href}{join}after={}", cursor::seal(&signed_in, &list, after))
    });
    let shell = match &extent.workspace {
        Some(workspace) => signed_in.shell_in(workspace, "Deliveries"),
        None => signed_in.shell("Deliveries"),
    };
    ok(&DeliveriesPage {
        shell: shell.below("Settings", None),
        workspace_name: extent.workspace.map(|workspace| workspace.name),
        sends_mail: signed_in.door.sends_mail,
        waiting: backlog.waiting,
        oldest: backlog.since.map(|at| moment::ago(now, at)).unwrap_or_default(),
        tried: backlog.tried,
        rows: found.items.iter().map(|mail| row(&signed_in, mail, now)).collect(),
        is_first: asked.after.is_empty(),
        first_href,
        next_href,
    })
}

fn row(signed_in: &SignedIn, mail: &Delivery, now: UnixSeconds) -> Row {
    let (state, tone, why) = match (mail.sent_at, mail.attempts) {
        (Some(at), _) => ("Sent", "ok", moment::ago(now, at)),
        (None, 0) => ("Waiting", "info", "not tried yet".to_owned()),
        (None, tried) => {
            let next = moment::until(now, mail.next_attempt_at);
            ("Failed", "bad", format!("tried {}, next {next}", moment::count(tried, "time")))
        }
    };
    let times = if mail.occurrences > 1 { format!(", {} times", mail.occurrences) } else { String::new() };
    Row {
        queued: moment::ago(now, mail.queued_at),
        queued_exact: moment::exact(mail.queued_at),
        what: format!("{}{times}", what(&mail.kind)),
        about: mail.about.clone().unwrap_or_else(|| format!("{} (deleted)", mail.about_id)),
        about_href: mail
            .is_about_client
            .then(|| signed_in.door.href(&format!("/api-clients/{}", mail.about_id))),
        to: if mail.recipient.is_empty() { "all contacts".to_owned() } else { mail.recipient.clone() },
        state,
        tone,
        why,
    }
}

/// What a mail reports.
fn what(kind: &str) -> &str {
    match kind {
        "client.created" => "An API client was created",
        "client.updated" => "An API client was changed",
        "client.deleted" => "An API client was deleted",
        "secret.created" => "A client secret was added",
        "secret.deleted" => "A client secret was deleted",
        "access_token.created" => "An access token was generated",
        "access_token.revoked" => "An access token was revoked",
        "access_tokens.revoked" => "All access tokens were revoked",
        "signing_key.deleted" => "Tokens ended with their signing key",
        "operator.way_in_removed" => "The ways to sign in were replaced",
        "summary" => "More happened than there are mails about",
        other => other,
    }
}
