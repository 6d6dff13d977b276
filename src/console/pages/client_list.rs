//! `/console/workspaces/{w}/api-clients`: the API clients of a workspace, each with its status, products, last token and recent
//! refusals.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use crate::clients::{ClientFilter, ClientOrder, ClientSort};
use crate::console::page::{Shell, ok};
use crate::console::products;
use crate::console::session::{Inside, SignedIn};
use crate::console::status::{self, Status};
use crate::console::stop::Stop;
use crate::console::{cursor, moment, notice};
use crate::model::client::ClientRecord;
use crate::model::page::Page;

/// How many clients a page has.
const PER_PAGE: u32 = 50;

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    label: String,
    product: String,
    status: String,
    sort: String,
    after: String,
}

#[derive(Template)]
#[template(path = "client_list.html")]
struct ListPage {
    shell: Shell,
    workspace_name: String,
    here: String,
    new_href: Option<String>,
    label: String,
    products: Vec<Choice>,
    statuses: Vec<Choice>,
    columns: Vec<Column>,
    sort: String,
    rows: Vec<Row>,
    is_filtered: bool,
    is_first: bool,
    next_href: Option<String>,
    shown: String,
}

struct Choice {
    value: String,
    name: String,
    is_selected: bool,
}

/// A column; `href` is `None` if the list cannot be sorted by it.
struct Column {
    name: &'static str,
    href: Option<String>,
    /// The direction in which the list is sorted by this column, in a word and as an arrow.
    direction: Option<(&'static str, &'static str)>,
}

struct Row {
    href: String,
    label: String,
    client_id: String,
    status: Status,
    products: Vec<String>,
    last_token: String,
    last_token_exact: String,
    expires: String,
    ends: String,
    /// Refused requests in the last 24 hours.
    refusals: i64,
}

/// `GET /console/workspaces/{w}/api-clients`
pub(crate) async fn get(
    signed_in: SignedIn,
    path: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let inside = signed_in.inside(&path).await?;
    let services = &signed_in.door.services;
    let names = products::names(services, &inside.reader).await?;
    let filter = ClientFilter {
        label: some(&asked.label),
        product: some(&asked.product).filter(|code| names.contains_key(code)),
        status: some(&asked.status).filter(|status| matches!(status.as_str(), "active" | "disabled")),
        ..ClientFilter::default()
    };
    let sort = sort_of(&asked.sort);
    let here = signed_in.door.href(&format!("/workspaces/{}/api-clients", inside.workspace.workspace_id));
    let list = query_of(&here, &asked, &[]);
    let page = Page { after: cursor::open(&signed_in, &list, &asked.after)?, ..Page::first(PER_PAGE) };
    let found = services
        .clients
        .clients(&inside.reader, Some(&inside.workspace.workspace_id), &filter, sort, &page)
        .await?;
    let now = services.clock().now();
    let ids: Vec<&str> = found.items.iter().map(|record| record.client.client_id.as_str()).collect();
    let refused = services.usage.refusals_in_24_hours(&inside.reader, &ids).await?;
    let rows: Vec<Row> = found
        .items
        .iter()
        .map(|record| Row {
            refusals: refused.get(&record.client.client_id).copied().unwrap_or_default(),
            ..row(&signed_in, &inside, record, &names, now)
        })
        .collect();
    let next_href = found.next_after.map(|after| {
        let after = cursor::seal(&signed_in, &list, &after);
        query_of(&here, &asked, &[("after", &after)])
    });
    let shell = signed_in
        .shell_in(&inside.workspace, "API Clients")
        .below("Settings", None)
        .below("Integration", None);
    ok(&ListPage {
        shell: notice::noticed(shell, &signed_in.request),
        workspace_name: inside.workspace.name.clone(),
        new_href: inside.can_manage.then(|| format!("{here}/new")),
        label: asked.label.clone(),
        products: choices(names.iter().map(|(code, name)| (code.as_str(), name.as_str())), &asked.product),
        statuses: choices([("active", "Active"), ("disabled", "Disabled")].into_iter(), &asked.status),
        columns: columns(&here, &asked),
        sort: asked.sort.clone(),
        shown: moment::count(i64::try_from(rows.len()).unwrap_or(i64::MAX), "API client"),
        rows,
        is_filtered: filter != ClientFilter::default(),
        is_first: asked.after.is_empty(),
        next_href,
        here,
    })
}

fn some(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn choices<'a>(all: impl Iterator<Item = (&'a str, &'a str)>, selected: &str) -> Vec<Choice> {
    let choice = |(value, name): (&str, &str)| Choice {
        value: value.to_owned(),
        name: name.to_owned(),
        is_selected: value == selected,
    };
    all.map(choice).collect()
}

fn sort_of(text: &str) -> ClientSort {
    let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
    let by = match name {
        "label" => ClientOrder::Label,
        "last_token" => ClientOrder::LastUsedAt,
        _ => return ClientSort::default(),
    };
    ClientSort { by, descending }
}

/// The columns. The heading of some of them is a link that sorts the list, at first by the value of `sort` given here, where
/// `-` means descending. If the list is already sorted by the column, the link reverses the order.
fn columns(here: &str, asked: &Asked) -> Vec<Column> {
    [
        ("Label", "label"),
        ("Status", ""),
        ("Products", ""),
        ("Last token", "-last_token"),
        ("Tokens expire", ""),
        ("Refused in 24 h", ""),
    ]
    .map(|(name, first)| {
        let plain = first.trim_start_matches('-');
        let current = asked.sort.trim_start_matches('-') == plain && !plain.is_empty();
        let is_descending = asked.sort.starts_with('-');
        let next = match (current, is_descending) {
            (true, true) => plain.to_owned(),
            (true, false) => format!("-{plain}"),
            (false, _) => first.to_owned(),
        };
        Column {
            name,
            href: (!plain.is_empty()).then(|| query_of(here, asked, &[("sort", &next), ("after", "")])),
            direction: current.then_some(if is_descending {
                ("descending", "↓")
            } else {
                ("ascending", "↑")
            }),
        }
    })
    .into()
}

/// The address of the list with this query, and with some parts of the query replaced.
fn query_of(here: &str, asked: &Asked, replaced: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let members = [
        ("label", &asked.label),
        ("product", &asked.product),
        ("status", &asked.status),
        ("sort", &asked.sort),
    ];
    for (name, value) in members {
        let value =
            replaced.iter().find(|(known, _)| *known == name).map_or(value.as_str(), |(_, value)| value);
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    if let Some((_, after)) = replaced.iter().find(|(name, after)| *name == "after" && !after.is_empty()) {
        query.append_pair("after", after);
    }
    let query = query.finish();
    if query.is_empty() { here.to_owned() } else { format!("{here}?{query}") }
}

fn row(
    signed_in: &SignedIn,
    inside: &Inside,
    record: &ClientRecord,
    names: &BTreeMap<String, String>,
    now: i64,
) -> Row {
    let client = &record.client;
    Row {
        href: signed_in.door.href(&format!("/api-clients/{}", client.client_id)),
        label: client.label.clone(),
        client_id: client.client_id.clone(),
        status: status::of(record, &inside.workspace, now),
        products: products::shown(&client.products, names),
        last_token: record.last_used_at.map_or_else(|| "Never".to_owned(), |at| moment::ago(now, at)),
        last_token_exact: record.last_used_at.map(moment::exact).unwrap_or_default(),
        refusals: 0,
        expires: status::expiry(client.token_expiry),
        ends: client
            .expires_at
            .map(|at| format!("the client ends {}", moment::until(now, at)))
            .unwrap_or_default(),
    }
}
