//! `/console/api-clients/{id}/usage`: how often a client got tokens and was refused, day by day, where it was seen from, and
//! why its last requests were refused.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::client_overview::{Tab, href, shell_of, tabs};
use super::client_usage_chart::{self, Chart, grouped, in_words, refused_on};
use crate::console::page::{Shell, ok};
use crate::console::session::{OfClient, SignedIn};
use crate::console::stop::Stop;
use crate::console::{cursor, moment};
use crate::model::clock::UnixSeconds;
use crate::model::page::Page;
use crate::model::refusal::{Endpoint, Failure, Refusal};
use crate::model::usage::{DayUsage, SeenFrom};
use crate::usage::Period;

/// How many refused requests a page has.
const PER_PAGE: u32 = 25;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    after: String,
}

#[derive(Template)]
#[template(path = "client_usage.html")]
struct UsagePage {
    shell: Shell,
    tabs: Vec<Tab>,
    label: String,
    here: String,
    /// `None` if nothing was counted.
    counted: Option<Counted>,
    networks: Vec<Network>,
    refusals: Vec<Row>,
    next_href: Option<String>,
    is_first: bool,
}

/// What was counted, as a chart and in figures.
struct Counted {
    chart: Chart,
    days: Vec<Day>,
    issued: String,
    refused: String,
    sum: String,
}

struct Day {
    date: String,
    issued: String,
    refused: String,
    reasons: String,
}

struct Network {
    name: String,
    ago: String,
    at: String,
}

/// A refused request.
struct Row {
    at: String,
    ago: String,
    what: String,
    next: String,
    link: Option<(String, &'static str)>,
    source: String,
    endpoint: &'static str,
    secret: Option<String>,
    request_id: String,
}

/// `GET /console/api-clients/{id}/usage`
pub(crate) async fn get(
    signed_in: SignedIn,
    path: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = signed_in.client(&path).await?;
    let services = &signed_in.door.services;
    let client_id = &record.client.client_id;
    let here = href(&signed_in, &record.client);
    let list = format!("{here}/usage");
    let page = Page { after: cursor::open(&signed_in, &list, &asked.after)?, ..Page::first(PER_PAGE) };
    let usage = services.usage.usage(&inside.reader, client_id, Period::default()).await?;
    let failures = services.usage.failures(&inside.reader, client_id, &page).await?;
    let now = services.clock().now();
    let row = |failure: &Failure| row(failure, &here, inside.can_manage, now);
    ok(&UsagePage {
        shell: shell_of(&signed_in, &inside, &record.client, "Usage"),
        tabs: tabs(&here, "/usage"),
        label: record.client.label.clone(),
        counted: counted(&usage.days),
        networks: usage.seen_from.iter().map(|seen| network(seen, now)).collect(),
        refusals: failures.items.iter().map(row).collect(),
        next_href: failures
            .next_after
            .map(|after| format!("{list}?after={}#refusals", cursor::seal(&signed_in, &list, &after))),
        is_first: asked.after.is_empty(),
        here,
    })
}

fn counted(days: &[DayUsage]) -> Option<Counted> {
    let has_something = |day: &&DayUsage| day.issued > 0 || !day.refused.is_empty();
    let used: Vec<&DayUsage> = days.iter().rev().filter(has_something).collect();
    let issued = used.iter().map(|day| day.issued).sum();
    let refused = used.iter().map(|day| refused_on(day)).sum();
    let day = |day: &&DayUsage| Day {
        date: moment::day(day.day),
        issued: grouped(day.issued),
        refused: grouped(refused_on(day)),
        reasons: reasons(day),
    };
    (!used.is_empty()).then(|| Counted {
        chart: client_usage_chart::draw(days),
        days: used.iter().map(day).collect(),
        issued: grouped(issued),
        refused: grouped(refused),
        sum: in_words(issued, refused),
    })
}

/// Why requests of a day were refused: `wrong secret 3, scope not granted 1`, the most frequent first.
fn reasons(day: &DayUsage) -> String {
    let mut reasons: Vec<(&str, i64)> = day.refused.iter().map(|(name, times)| (*name, *times)).collect();
    reasons.sort_by_key(|(name, times)| (-times, *name));
    let words = |(name, times): &(&str, i64)| format!("{}\u{a0}{}", name.replace('_', " "), grouped(*times));
    reasons.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn network(seen: &SeenFrom, now: UnixSeconds) -> Network {
    Network {
        name: seen.network.clone(),
        ago: moment::ago(now, seen.last_seen_at),
        at: moment::exact(seen.last_seen_at),
    }
}

fn row(failure: &Failure, here: &str, can_manage: bool, now: UnixSeconds) -> Row {
    let message = failure.message();
    let (what, next) = message.split_once(". ").unwrap_or((&message, ""));
    Row {
        at: moment::exact(failure.at),
        ago: moment::ago(now, failure.at),
        what: format!("{}.", what.trim_end_matches('.')),
        next: next.to_owned(),
        link: link(failure.reason, here, can_manage),
        source: failure.source_ip.clone().unwrap_or_else(|| "unknown".to_owned()),
        endpoint: match failure.endpoint {
            Endpoint::Token => "/oauth2/token",
            Endpoint::Introspect => "/oauth2/introspect",
            Endpoint::Revoke => "/oauth2/revoke",
        },
        secret: failure.secret_last_four.as_ref().map(|last| format!("mms_…{last}")),
        request_id: failure.request_id.clone(),
    }
}

/// The page on which a person does the next step, with the words of the link. `None` if that is not in the console, or if the
/// person may not do it.
fn link(reason: Refusal, here: &str, can_manage: bool) -> Option<(String, &'static str)> {
    let (part, words, changes) = match reason {
        Refusal::MalformedSecret(_)
        | Refusal::NotAClientSecret
        | Refusal::WrongSecret
        | Refusal::ExpiredSecret => ("/secrets", "Go to the secrets", false),
        Refusal::ClientDisabled => ("/edit", "Go to the settings", false),
        Refusal::ClientExpired
        | Refusal::AddressNotAllowed
        | Refusal::ScopeNotGranted
        | Refusal::NeverExpiresNotAllowed => ("/change", "Change the client", true),
        _ => return None,
    };
    (can_manage || !changes).then(|| (format!("{here}{part}"), words))
}
