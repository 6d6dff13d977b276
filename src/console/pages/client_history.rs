//! `/console/api-clients/{id}/history`: who changed what about a client, newest first.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::client_overview::{Tab, href, shell_of, tabs};
use crate::console::page::{Shell, ok};
use crate::console::session::{OfClient, SignedIn};
use crate::console::stop::Stop;
use crate::console::{cursor, moment};
use crate::ledger::AuditFilter;
use crate::model::audit::AuditEvent;
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
    let own = &signed_in.session.operator;
    ok(&HistoryPage {
        shell: shell_of(&signed_in, &inside, &record.client, "History"),
        tabs: tabs(&here, "/history"),
        label: record.client.label.clone(),
        rows: found.items.iter().map(|event| row(event, &own.operator_id, &own.name, now)).collect(),
        next_href: found
            .next_after
            .map(|after| format!("{list}?after={}", cursor::seal(&signed_in, &list, &after))),
        is_first: asked.after.is_empty(),
        here,
    })
}

fn row(event: &AuditEvent, own_id: &str, own_name: &str, now: i64) -> Row {
    Row {
        at: moment::exact(event.at),
        ago: moment::ago(now, event.at),
        what: action(&event.action).to_owned(),
        who: match event.actor.name.as_str() {
            "cli" => "the command line".to_owned(),
            "system" => "Mintmark itself".to_owned(),
            name => match name.split_once(':') {
                Some(("operator", id)) if id == own_id => format!("{own_name} (you)"),
                Some(("operator", id)) => format!("operator {id}"),
                Some(("client", id)) => format!("API client {id}"),
                Some(("cli", user)) => format!("{user} at the command line"),
                _ => name.to_owned(),
            },
        },
        from: event.actor.source_ip.clone().unwrap_or_default(),
        details: details(&event.detail),
    }
}

/// An action in words.
pub(super) fn action(name: &str) -> &str {
    match name {
        "client.created" => "Client created",
        "client.updated" => "Settings changed",
        "client.deleted" => "Client deleted",
        "secret.created" => "Secret added",
        "secret.deleted" => "Secret deleted",
        "access_token.created" => "Access token generated",
        "access_token.revoked" => "Access token revoked",
        "access_tokens.revoked" => "All tokens revoked",
        other => other,
    }
}

/// What changed, a line each.
fn details(detail: &Map<String, Value>) -> Vec<String> {
    if let Some(Value::Object(changed)) = detail.get("changed") {
        let line = |(name, values): (&String, &Value)| {
            let of = |member: &str| values.get(member).map(plain).unwrap_or_default();
            format!("{}: {} → {}", name.replace('_', " "), of("old"), of("new"))
        };
        return changed.iter().map(line).collect();
    }
    let line = |(name, value): (&String, &Value)| {
        let is_usual = matches!(
            (name.as_str(), value.as_str(), value.as_i64()),
            ("label" | "generation", ..) | ("status", Some("active"), _) | (_, _, Some(0))
        );
        let is_worth_it = !value.is_null() && value != &Value::Bool(false) && !is_usual;
        let is_empty =
            value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        (is_worth_it && !is_empty).then(|| format!("{}: {}", name.replace('_', " "), plain(value)))
    };
    detail.iter().filter_map(line).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(expiry) if expiry.contains_key("mode") => {
            let seconds = expiry.get("seconds").and_then(Value::as_i64);
            seconds.map_or_else(|| "never".to_owned(), |seconds| format!("after {}", moment::span(seconds)))
        }
        other => other.to_string(),
    }
}
