//! `GET /console/sign-in/oidc/{name}`: sends the browser to the provider.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::Deserialize;

use super::super::super::door::Door;
use super::super::super::page::see_other;
use super::super::super::session;
use super::super::super::stop::Stop;
use super::super::super::visitor::Visitor;
use super::attempt::{Aim, Attempt};
use super::links::is_link_token;
use super::metadata::Metadata;
use super::pages;
use super::provider::{Provider, Providers};

/// The query of a link that [`super::links`] makes. Its members say what the sign-in is for, and where it leads.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    again: String,
    link: Option<String>,
    setup: Option<String>,
}

/// `GET /console/sign-in/oidc/{name}`
pub(crate) async fn get(
    visitor: Visitor,
    providers: Data<Providers>,
    name: Path<String>,
    asked: Option<Query<Asked>>,
) -> Result<HttpResponse, Stop> {
    let door = &visitor.door;
    let provider = providers.named(&name).ok_or_else(Stop::not_found)?;
    let asked = asked.map(Query::into_inner).unwrap_or_default();
    let aim = aim(&visitor, provider, &asked).await?;
    let next = match aim {
        Aim::Link { .. } => door.href("/account"),
        _ => door.after_sign_in(&asked.next),
    };
    let published = providers.published(provider, door.services.clock().now()).await;
    let published = published.map_err(|why| pages::unusable(door, provider, &why))?;
    let attempt = Attempt::new(door, &provider.settings.name, visitor.csrf(), aim, next)?;
    let state = attempt.keep(door).await?;
    let reply = see_other(&authorization_url(door, provider, &published.metadata, &attempt, &state));
    Ok(visitor.remember(reply))
}

async fn aim(visitor: &Visitor, provider: &Provider, asked: &Asked) -> Result<Aim, Stop> {
    let door = &visitor.door;
    if let Some(token) = &asked.setup {
        let known = door.services.operators.setup(token).await?;
        return known.map(|_| Aim::Setup { token: token.clone() }).ok_or_else(pages::link_is_used_up);
    }
    if asked.link.is_none() && asked.again.is_empty() {
        return Ok(Aim::SignIn);
    }
    let session = session::find(door, &visitor.request).await?;
    let session = session.ok_or_else(|| Stop::go_to(door.href("/sign-in")))?;
    let Some(token) = &asked.link else { return Ok(Aim::Again { session_id: session.session_id }) };
    if !is_link_token(door, &session.session_id, &provider.settings.name, token) {
        return Err(pages::began_elsewhere(door));
    }
    if !door.services.operators.is_fresh(&session) {
        let account: String = form_urlencoded::byte_serialize(door.href("/account").as_bytes()).collect();
        return Err(Stop::go_to(door.href(&format!("/sign-in/again?next={account}"))));
    }
    Ok(Aim::Link { session_id: session.session_id })
}

/// Where the provider sends the browser back to.
pub(super) fn redirect_uri(door: &Door, provider: &Provider) -> String {
    let name = &provider.settings.name;
    format!("{}{}", door.origin, door.href(&format!("/sign-in/oidc/{name}/callback")))
}

/// The authentication request (OpenID Connect Core 1.0 §3.1.2.1, RFC 7636 §4.3).
fn authorization_url(
    door: &Door,
    provider: &Provider,
    metadata: &Metadata,
    attempt: &Attempt,
    state: &str,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.settings.client_id)
        .append_pair("redirect_uri", &redirect_uri(door, provider))
        .append_pair("scope", "openid email profile")
        .append_pair("state", state)
        .append_pair("nonce", &attempt.nonce)
        .append_pair("code_challenge", &attempt.challenge())
        .append_pair("code_challenge_method", "S256");
    if attempt.authenticated_since().is_some() {
        // With `max_age`, the ID token says when the person proved who they are (`auth_time`).
        query.append_pair("prompt", "login").append_pair("max_age", "0");
    }
    let endpoint = &metadata.authorization_endpoint;
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{separator}{}", query.finish())
}
