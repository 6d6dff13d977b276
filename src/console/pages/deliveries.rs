//! `/console/deliveries`: the mails that wait to be sent, what failed, and since when. Nothing sends them yet, and the page
//! says so.

use actix_web::HttpResponse;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use crate::console::page::{Shell, ok};
use crate::console::session::SignedIn;
use crate::console::stop::Stop;
use crate::console::{cursor, moment};
use crate::model::clock::UnixSeconds;
use crate::model::mail::QueuedMail;
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
    let found = services.ledger.mails(&extent.reader, &Page { after, ..Page::first(PER_PAGE) }).await?;
    let waiting = services.ledger.waiting_mails(&extent.reader).await?;
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
        waiting: waiting.mails,
        oldest: waiting.since.map(|at| moment::ago(now, at)).unwrap_or_default(),
        tried: waiting.tried,
        rows: found.items.iter().map(|mail| row(&signed_in, mail, now)).collect(),
        is_first: asked.after.is_empty(),
        first_href,
        next_href,
    })
}

fn row(signed_in: &SignedIn, mail: &QueuedMail, now: UnixSeconds) -> Row {
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
            .workspace_id
            .as_ref()
            .map(|_| signed_in.door.href(&format!("/api-clients/{}", mail.about_id))),
        to: if mail.recipient.is_empty() { "all contacts".to_owned() } else { mail.recipient.clone() },
        state,
        tone,
        why,
    }
}

/// What a mail reports.
fn what(kind: &str) -> &str {
    match kind {
        "client_created" => "An API client was created",
        "client_updated" => "An API client was changed",
        "client_deleted" => "An API client was deleted",
        "secret_created" => "A client secret was added",
        "secret_deleted" => "A client secret was deleted",
        "token_created" => "An access token was generated",
        "token_revoked" => "An access token was revoked",
        "tokens_revoked" => "All access tokens were revoked",
        "key_revoked" => "Tokens ended with their signing key",
        "ways_in_replaced" => "The ways to sign in were replaced",
        "summary" => "More happened than there are mails about",
        other => other,
    }
}
