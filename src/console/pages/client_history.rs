//! `/console/api-clients/{id}/history`: who changed what about a client, newest first.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::client_overview::{Tab, href, shell_of, tabs};
use crate::console::events::{self, Names};
use crate::console::page::{Shell, ok};
use crate::console::session::{OfClient, SignedIn};
use crate::console::stop::Stop;
use crate::console::{cursor, moment};
use crate::ledger::AuditFilter;
use crate::model::audit::AuditEvent;
use crate::model::clock::UnixSeconds;
use crate::model::operator::Operator;
use crate::model::page::Page;

/// How many events a page has.
const PER_PAGE: u32 = 50;

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    after: String,
}

#[derive(Template)]
#[template(path = "client_history.html")]
struct HistoryPage {
    shell: Shell,
    tabs: Vec<Tab>,
    label: String,
    here: String,
    rows: Vec<Row>,
    next_href: Option<String>,
    is_first: bool,
}

struct Row {
    at: String,
    ago: String,
    what: String,
    who: String,
    from: String,
    details: Vec<String>,
}

/// `GET /console/api-clients/{id}/history`
pub(crate) async fn get(
    signed_in: SignedIn,
    path: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = signed_in.client(&path).await?;
    let here = href(&signed_in, &record.client);
    let list = format!("{here}/history");
    let page = Page { after: cursor::open(&signed_in, &list, &asked.after)?, ..Page::first(PER_PAGE) };
    let services = &signed_in.door.services;
    let filter = AuditFilter { client_id: Some(record.client.client_id.clone()), ..AuditFilter::default() };
    let found = services.ledger.audit_events(&inside.reader, &filter, &page).await?;
    let now = services.clock().now();
    let names = Names::of(services, &inside.reader, &found.items).await?;
    let own = &signed_in.session.operator;
    ok(&HistoryPage {
        shell: shell_of(&signed_in, &inside, &record.client, "History"),
        tabs: tabs(&here, "/history"),
        label: record.client.label.clone(),
        rows: found.items.iter().map(|event| row(event, own, &names, now)).collect(),
        next_href: found
            .next_after
            .map(|after| format!("{list}?after={}", cursor::seal(&signed_in, &list, &after))),
        is_first: asked.after.is_empty(),
        here,
    })
}

fn row(event: &AuditEvent, own: &Operator, names: &Names, now: UnixSeconds) -> Row {
    let is_own = event.actor.name.strip_prefix("operator:") == Some(&own.operator_id);
    Row {
        at: moment::exact(event.at),
        ago: moment::ago(now, event.at),
        what: events::sentence(event, names),
        who: if is_own { format!("{} (you)", own.name) } else { events::actor(&event.actor.name, names) },
        from: event.actor.source_ip.clone().unwrap_or_default(),
        details: details(event),
    }
}

/// The details of an event, one line each. Left out are empty values, 0 and `false`, the label and the generation of the
/// client, and the status `active`.
fn details(event: &AuditEvent) -> Vec<String> {
    let is_worth_it = |name: &String, value: &Value| {
        let is_usual = matches!(
            (name.as_str(), value.as_str(), value.as_i64()),
            ("label" | "generation", ..) | ("status", Some("active"), _) | (_, _, Some(0))
        );
        let is_empty =
            value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        !value.is_null() && value != &Value::Bool(false) && !is_usual && !is_empty
    };
    let shown = event.detail.iter().filter(|(name, value)| is_worth_it(name, value));
    let shown = AuditEvent {
        detail: shown.map(|(name, value)| (name.clone(), value.clone())).collect(),
        ..event.clone()
    };
    events::facts(&shown).into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}
