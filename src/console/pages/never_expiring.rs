//! `/console/never-expiring`: every token that is valid until somebody revokes it, with the contacts of its client and when it
//! was last introspected.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use crate::console::events::{self, Names};
use crate::console::extent::{Choices, Extent};
use crate::console::page::{Shell, ok, see_other};
use crate::console::session::{SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{cursor, moment, notice, products};
use crate::model::clock::UnixSeconds;
use crate::model::page::Page;
use crate::model::token::RecordedToken;
use crate::tokens::{ListedTokens, TokenFilter};

/// How many tokens a page has.
const PER_PAGE: u32 = 50;
/// A token that was not introspected for this many seconds is marked: the contacts of its client may have forgotten it.
const UNSEEN_SECONDS: i64 = 90 * 86_400;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    workspace_id: String,
    after: String,
}

#[derive(Template)]
#[template(path = "never_expiring.html")]
struct ListPage {
    shell: Shell,
    workspace_name: Option<String>,
    choices: Choices,
    here: String,
    total: String,
    can_manage: bool,
    rows: Vec<Row>,
    is_first: bool,
    first_href: String,
    next_href: Option<String>,
}

struct Row {
    client_href: String,
    label: String,
    workspace: String,
    jti: String,
    products: Vec<String>,
    contacts: Vec<String>,
    issued: String,
    issued_exact: String,
    issued_by: String,
    seen: String,
    seen_exact: String,
    is_unseen: bool,
    revoke_href: String,
}

#[derive(Template)]
#[template(path = "never_expiring_revoke.html")]
struct RevokePage {
    shell: Shell,
    label: String,
    jti: String,
    products: String,
    seen: String,
    action: String,
    back: String,
}

/// `GET /console/never-expiring`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let extent = signed_in.extent(asked.workspace_id.trim()).await?;
    let services = &signed_in.door.services;
    let list = format!("never-expiring {}", extent.workspace_id());
    let after = cursor::open(&signed_in, &list, &asked.after)?;
    let filter =
        TokenFilter { never_expires: Some(true), status: ListedTokens::Live, ..TokenFilter::default() };
    let wanted = Page { after, count: true, ..Page::first(PER_PAGE) };
    let found = services.tokens.all_access_tokens(&extent.reader, &filter, &wanted).await?;
    let names = Names::of_tokens(services, &extent.reader, &found.items).await?;
    let products = products::names(services, &extent.reader).await?;
    let now = services.clock().now();
    let first_href = list_href(&signed_in, extent.workspace_id());
    let next_href = found.next_after.as_ref().map(|after| {
        let join = if first_href.contains('?') { '&' } else { '?' };
        format!("{first_href}{join}after={}", cursor::seal(&signed_in, &list, after))
    });
    ok(&ListPage {
        shell: notice::noticed(shell(&signed_in, &extent, "Never-expiring tokens"), &signed_in.request),
        total: moment::count(i64::try_from(found.total.unwrap_or_default()).unwrap_or(i64::MAX), "token"),
        can_manage: extent.can_manage,
        rows: found
            .items
            .iter()
            .map(|token| row(&signed_in, &extent, token, (&names, &products), now))
            .collect(),
        choices: signed_in.own_choices(&extent).await?,
        here: signed_in.door.href("/never-expiring"),
        workspace_name: extent.workspace.map(|workspace| workspace.name),
        is_first: asked.after.is_empty(),
        first_href,
        next_href,
    })
}

fn shell(signed_in: &SignedIn, extent: &Extent, title: &str) -> Shell {
    let shell = match &extent.workspace {
        Some(workspace) => signed_in.shell_in(workspace, title),
        None => signed_in.shell(title),
    };
    shell.below("Settings", None)
}

fn list_href(signed_in: &SignedIn, workspace_id: &str) -> String {
    of_workspace(&signed_in.door.href("/never-expiring"), workspace_id)
}

/// Limits an address to a workspace. An empty `workspace_id` is for all workspaces.
fn of_workspace(href: &str, workspace_id: &str) -> String {
    if workspace_id.is_empty() { href.to_owned() } else { format!("{href}?workspace_id={workspace_id}") }
}

/// The display names of products. `codes` are separated by spaces.
fn shown_products(codes: &str, names: &BTreeMap<String, String>) -> Vec<String> {
    products::shown(&codes.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>(), names)
}

fn row(
    signed_in: &SignedIn,
    extent: &Extent,
    token: &RecordedToken,
    (names, products): (&Names, &BTreeMap<String, String>),
    now: UnixSeconds,
) -> Row {
    let client = names.clients.get(&token.client_id);
    let door = &signed_in.door;
    let seen = token.last_introspected_at;
    Row {
        client_href: door.href(&format!("/api-clients/{}", token.client_id)),
        label: client.map_or_else(|| token.client_id.clone(), |client| client.label.clone()),
        workspace: match (&extent.workspace, client) {
            (None, Some(client)) => client.workspace_name.clone(),
            _ => String::new(),
        },
        jti: token.jti.clone(),
        products: shown_products(&token.products, products),
        contacts: client.map(|client| client.contacts.clone()).unwrap_or_default(),
        issued: moment::ago(now, token.issued_at),
        issued_exact: moment::exact(token.issued_at),
        issued_by: if token.issued_by == "client" {
            "by the client itself".to_owned()
        } else {
            events::by(&token.issued_by, names)
        },
        seen: seen.map_or_else(|| "Never".to_owned(), |at| moment::ago(now, at)),
        seen_exact: seen.map(moment::exact).unwrap_or_default(),
        is_unseen: now - seen.unwrap_or(token.issued_at) > UNSEEN_SECONDS,
        revoke_href: of_workspace(
            &door.href(&format!("/never-expiring/{}/{}/revoke", token.client_id, token.jti)),
            extent.workspace_id(),
        ),
    }
}

/// `GET /console/never-expiring/{client_id}/{jti}/revoke`
pub(crate) async fn get_revoke(
    signed_in: SignedIn,
    path: Path<(String, String)>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let (client_id, jti) = path.into_inner();
    let of_client = signed_in.client(&client_id).await?;
    of_client.inside.manager()?;
    let services = &signed_in.door.services;
    let token = services.tokens.access_token(&of_client.inside.reader, &client_id, &jti).await?;
    let now = services.clock().now();
    if token.expires_at.is_some() || !token.is_live(now) {
        return Err(Stop::not_found());
    }
    let seen = token.last_introspected_at.map(|at| moment::ago(now, at));
    let products = products::names(services, &of_client.inside.reader).await?;
    // Back to the list that the person came from.
    let from = own_id(&asked.workspace_id, &of_client.inside.workspace.workspace_id);
    let back = list_href(&signed_in, from);
    let shell = signed_in.shell_in(&of_client.inside.workspace, "Revoke a token").below("Settings", None);
    ok(&RevokePage {
        shell: shell.below("Never-expiring tokens", back.clone()),
        label: of_client.record.client.label,
        products: shown_products(&token.products, &products).join(", "),
        seen: seen.unwrap_or_default(),
        action: of_workspace(signed_in.request.path(), from),
        jti,
        back,
    })
}

/// The workspace in the address, if it is the workspace of the client; else an empty text.
fn own_id<'a>(asked: &str, own: &'a str) -> &'a str {
    if asked == own { own } else { "" }
}

/// `POST /console/never-expiring/{client_id}/{jti}/revoke`
pub(crate) async fn post_revoke(
    sent: Submitted,
    path: Path<(String, String)>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (client_id, jti) = path.into_inner();
    let inside = signed_in.client(&client_id).await?.inside;
    signed_in.door.services.tokens.revoke_token(&inside.manager()?, &client_id, &jti).await?;
    let list = list_href(&signed_in, own_id(&asked.workspace_id, &inside.workspace.workspace_id));
    let join = if list.contains('?') { '&' } else { '?' };
    Ok(see_other(&format!("{list}{join}done=token-revoked")))
}
