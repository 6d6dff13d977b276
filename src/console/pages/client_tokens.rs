//! `/console/api-clients/{id}/tokens`: lists the recorded access tokens of a client, generates one (*Generate Access Token*),
//! and revokes one or all.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::client_overview::{Tab, href, shell_of, tabs};
use crate::console::events::{self, Names};
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::reveal::ShownToken;
use crate::console::session::{OfClient, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{cursor, moment, notice, products, reveal_flow, status};
use crate::issuance::{GeneratedToken, NewToken};
use crate::kernel::Error;
use crate::ledger::SaveReply;
use crate::model::clock::UnixSeconds;
use crate::model::page::Page;
use crate::model::token::RecordedToken;

/// How many tokens a page has.
const PER_PAGE: u32 = 50;

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    after: String,
}

#[derive(Template)]
#[template(path = "client_tokens.html")]
struct TokensPage {
    shell: Shell,
    tabs: Vec<Tab>,
    label: String,
    here: String,
    can_manage: bool,
    rows: Vec<Row>,
    next_href: Option<String>,
    is_first: bool,
}

struct Row {
    jti: String,
    status: &'static str,
    tone: &'static str,
    /// How long ago the token was revoked or expired; empty for a valid token.
    ended: String,
    scope: Vec<String>,
    issued: String,
    issued_exact: String,
    by: String,
    ends: String,
    revoke_href: Option<String>,
}

#[derive(Template)]
#[template(path = "client_token_new.html")]
struct NewTokenPage {
    shell: Shell,
    problems: Vec<Problem>,
    label: String,
    action: String,
    cancel: String,
    nonce: String,
    sentence: String,
    /// For each product or permission: the `id` of its check box, the code, the display name, and whether it is checked.
    products: Vec<(String, String, String, bool)>,
    length: Option<usize>,
}

impl NewTokenPage {
    fn has(&self, field: &str) -> bool {
        has_problem(&self.problems, field)
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    shell: Shell,
    heading: String,
    text: String,
    action: String,
    button: String,
    cancel: String,
}

/// `GET /console/api-clients/{id}/tokens`
pub(crate) async fn get(
    signed_in: SignedIn,
    path: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = signed_in.client(&path).await?;
    let here = href(&signed_in, &record.client);
    let list = format!("{here}/tokens");
    let page = Page { after: cursor::open(&signed_in, &list, &asked.after)?, ..Page::first(PER_PAGE) };
    let services = &signed_in.door.services;
    let found = services.tokens.access_tokens(&inside.reader, &record.client.client_id, &page).await?;
    let (now, products) = (services.clock().now(), products::names(services, &inside.reader).await?);
    let names = Names::of_tokens(services, &inside.reader, &found.items).await?;
    let rows = found.items.iter().map(|token| {
        let scope: Vec<String> = token.scope.split(' ').map(str::to_owned).collect();
        let here = inside.can_manage.then_some(here.as_str());
        row(token, products::shown(&scope, &products), here, &names, now)
    });
    ok(&TokensPage {
        shell: notice::noticed(
            shell_of(&signed_in, &inside, &record.client, "Access tokens"),
            &signed_in.request,
        ),
        tabs: tabs(&here, "/tokens"),
        label: record.client.label.clone(),
        can_manage: inside.can_manage,
        rows: rows.collect(),
        next_href: found
            .next_after
            .map(|after| format!("{list}?after={}", cursor::seal(&signed_in, &list, &after))),
        is_first: asked.after.is_empty(),
        here,
    })
}

/// The row of a token. `here` is the address of its client; `None` for readers who may not revoke it.
fn row(
    token: &RecordedToken,
    scope: Vec<String>,
    here: Option<&str>,
    names: &Names,
    now: UnixSeconds,
) -> Row {
    let (status, tone, ended) = match (token.revoked_at, token.expires_at) {
        (Some(at), _) => ("Revoked", "bad", moment::ago(now, at)),
        (None, Some(at)) if at <= now => ("Expired", "", moment::ago(now, at)),
        _ => ("Valid", "ok", String::new()),
    };
    let is_live = token.is_live(now);
    Row {
        jti: token.jti.clone(),
        status,
        tone,
        ended,
        scope,
        issued: moment::ago(now, token.issued_at),
        issued_exact: moment::exact(token.issued_at),
        by: if token.issued_by == "client" {
            "by the client itself".to_owned()
        } else {
            events::by(&token.issued_by, names)
        },
        ends: token.expires_at.map_or_else(
            || "Never expires".to_owned(),
            |at| if at > now { moment::until(now, at) } else { moment::exact(at) },
        ),
        revoke_href: here.filter(|_| is_live).map(|here| format!("{here}/tokens/{}/revoke", token.jti)),
    }
}

/// `GET /console/api-clients/{id}/tokens/new`
pub(crate) async fn get_new(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let of_client = signed_in.client(&path).await?;
    of_client.inside.manager()?;
    let nonce = Nonce::new(&signed_in, UseCase::GenerateToken)?;
    ok(&new_page(&signed_in, &of_client, &nonce, None, Vec::new()).await?)
}

/// `POST /console/api-clients/{id}/tokens/new`
pub(crate) async fn post_new(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let of_client = signed_in.client(&path).await?;
    let manager = of_client.inside.manager()?;
    let nonce = reveal_flow::nonce_of(&signed_in, form.one("nonce"), UseCase::GenerateToken)?;
    let chosen: Vec<&str> = form.all("scope").collect();
    // `scopes` is a hidden field of the page, so a form with it and without `scope` has all check boxes cleared.
    if chosen.is_empty() && form.has("scopes") {
        let problems = vec![Problem::of("scope", "Select at least one product that the token may open")];
        let page_again = new_page(&signed_in, &of_client, &nonce, Some(&chosen), problems).await?;
        return page(StatusCode::UNPROCESSABLE_ENTITY, &page_again);
    }
    let wanted = NewToken { scope: Some(chosen.join(" ")), ..NewToken::default() };
    let client = &of_client.record.client;
    let render = |made: &GeneratedToken| ShownToken::of(client, made).bytes();
    let subject = |_: &GeneratedToken| client.client_id.clone();
    let issuer = &signed_in.door.services.issuer;
    let made =
        reveal_flow::once(&signed_in, &manager, &nonce, &render, &subject, async |save: SaveReply<'_, _>| {
            issuer.generate(&manager, &client.client_id, &wanted, Some(save)).await
        });
    let problems = match made.await {
        Ok(shown) => return Ok(shown),
        Err(Error::Invalid(errors)) => errors
            .iter()
            .map(|error| match error.pointer.as_str() {
                "/scope" => Problem::of("scope", "Select products that this client may open"),
                _ => Problem::general(
                    "The tokens of this client never expire, which its workspace or a product no longer allows. Choose another expiration under Settings",
                ),
            })
            .collect(),
        Err(Error::Conflict(why)) => vec![Problem::general(why)],
        Err(error) => return Err(error.into()),
    };
    let page_again = new_page(&signed_in, &of_client, &nonce, Some(&chosen), problems).await?;
    page(StatusCode::UNPROCESSABLE_ENTITY, &page_again)
}

async fn new_page(
    signed_in: &SignedIn,
    of_client: &OfClient,
    nonce: &Nonce,
    chosen: Option<&[&str]>,
    problems: Vec<Problem>,
) -> Result<NewTokenPage, Stop> {
    let OfClient { record, inside } = of_client;
    let client = &record.client;
    let services = &signed_in.door.services;
    let names = products::names(services, &inside.reader).await?;
    let permissions = client.permissions.iter().map(ToString::to_string);
    let scopes: Vec<String> = client.products.iter().cloned().chain(permissions).collect();
    let products = scopes.iter().enumerate().map(|(index, code)| {
        let id = if index == 0 { "scope".to_owned() } else { format!("scope-{index}") };
        let is_checked = chosen.is_none_or(|chosen| chosen.contains(&code.as_str()));
        (id, code.clone(), names.get(code).unwrap_or(code).clone(), is_checked)
    });
    let here = href(signed_in, client);
    let shell =
        notice::noticed(shell_of(signed_in, inside, client, "Generate Access Token"), &signed_in.request);
    Ok(NewTokenPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        label: client.label.clone(),
        action: format!("{here}/tokens/new"),
        cancel: format!("{here}/tokens"),
        nonce: nonce.as_str().to_owned(),
        sentence: match client.token_expiry.seconds() {
            None => "The token never expires: it is valid until you revoke it.".to_owned(),
            Some(_) => format!("The token is valid for {}.", status::expiry(client.token_expiry)),
        },
        products: products.collect(),
        length: services.issuer.token_length(&inside.reader, &client.client_id).await?,
    })
}

/// `GET /console/api-clients/{id}/tokens/{jti}/revoke`
pub(crate) async fn get_revoke(
    signed_in: SignedIn,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Stop> {
    let (client_id, jti) = path.into_inner();
    let OfClient { record, inside } = signed_in.client(&client_id).await?;
    inside.manager()?;
    let services = &signed_in.door.services;
    let token = services.tokens.access_token(&inside.reader, &record.client.client_id, &jti).await?;
    let here = href(&signed_in, &record.client);
    let issued = moment::exact(token.issued_at);
    ok(&ConfirmPage {
        shell: shell_of(&signed_in, &inside, &record.client, "Revoke a token"),
        heading: "Revoke this token?".to_owned(),
        text: format!(
            "The token that was issued to {} on {issued} is then refused: at once by services that ask Mintmark, and by services that check tokens offline when they next read the status list. This cannot be undone.",
            record.client.label
        ),
        action: format!("{here}/tokens/{jti}/revoke"),
        button: "Revoke the token".to_owned(),
        cancel: format!("{here}/tokens"),
    })
}

/// `POST /console/api-clients/{id}/tokens/{jti}/revoke`
pub(crate) async fn post_revoke(sent: Submitted, path: Path<(String, String)>) -> Result<HttpResponse, Stop> {
    let (client_id, jti) = path.into_inner();
    let OfClient { record, inside } = sent.signed_in.client(&client_id).await?;
    let tokens = &sent.signed_in.door.services.tokens;
    tokens.revoke_token(&inside.manager()?, &record.client.client_id, &jti).await?;
    Ok(see_other(&format!("{}/tokens?done=token-revoked", href(&sent.signed_in, &record.client))))
}

/// `GET /console/api-clients/{id}/tokens/revoke-all`
pub(crate) async fn get_revoke_all(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = signed_in.client(&path).await?;
    inside.manager()?;
    let here = href(&signed_in, &record.client);
    let ends = super::client_end::what_ends(&signed_in, &inside, &record.client, "end").await?;
    ok(&ConfirmPage {
        shell: shell_of(&signed_in, &inside, &record.client, "Revoke all tokens"),
        heading: "Revoke all tokens?".to_owned(),
        text: format!(
            "{ends} The client keeps its secrets, and gets new tokens with them. This cannot be undone."
        ),
        action: format!("{here}/tokens/revoke-all"),
        button: "Revoke all tokens".to_owned(),
        cancel: format!("{here}/tokens"),
    })
}

/// `POST /console/api-clients/{id}/tokens/revoke-all`
pub(crate) async fn post_revoke_all(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = sent.signed_in.client(&path).await?;
    let tokens = &sent.signed_in.door.services.tokens;
    tokens.revoke_tokens(&inside.manager()?, &record.client.client_id).await?;
    Ok(see_other(&format!("{}/tokens?done=tokens-revoked", href(&sent.signed_in, &record.client))))
}
