//! `/v1/access-tokens` and `/v1/api-clients/{client_id}/access-tokens`: recorded tokens. The token itself is only in the
//! reply that generates it.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::revoked;
use crate::issuance::{GeneratedToken, NewToken};
use crate::kernel::{Manager, Reader, to_json};
use crate::model::ids;
use crate::services::Services;
use crate::tokens::{ListedTokens, TokenFilter};

/// `GET /v1/access-tokens`
pub async fn list_all(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    let is_status = |text: &str| matches!(text, "live" | "revoked" | "all");
    let filter = TokenFilter {
        client_id: query.take_checked("client_id", "the id of an API client", ids::is_client_id)?,
        expires_before: query.instant("expires_before")?,
        never_expires: query.choice("never_expires")?,
        status: match query.take_checked("status", "live, revoked or all", is_status)?.as_deref() {
            Some("revoked") => ListedTokens::Revoked,
            Some("all") => ListedTokens::All,
            _ => ListedTokens::Live,
        },
    };
    query.finish()?;
    let tokens = services.tokens.all_access_tokens(&call.caller, &filter, &page.page).await?;
    Ok(page.reply(services.subkeys(), tokens, to_json))
}

/// `GET /v1/api-clients/{client_id}/access-tokens`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let tokens = services.tokens.access_tokens(&call.caller, &client_id, &page.page).await?;
    Ok(page.reply(services.subkeys(), tokens, to_json))
}

/// `POST /v1/api-clients/{client_id}/access-tokens`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let body = call.optional_body().await?;
    let wanted = NewToken::read(&body.json);
    let reply = |made: &GeneratedToken| {
        let location = call.path_of(&format!("/v1/api-clients/{client_id}/access-tokens/{}", made.jti));
        Reply::created(location, None, &to_json(made))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.issuer.generate(&call.caller, &client_id, &wanted, save).await
    })
    .await
}

/// `DELETE /v1/api-clients/{client_id}/access-tokens`
pub async fn delete_all(
    call: Authorized<Manager>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    Ok(revoked(services.tokens.revoke_tokens(&call.caller, &client_id).await?))
}

/// `GET /v1/api-clients/{client_id}/access-tokens/{jti}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let (client_id, jti): (String, String) = call.path()?;
    let token = services.tokens.access_token(&call.caller, &client_id, &jti).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(to_json(&token).to_string()))
}

/// `DELETE /v1/api-clients/{client_id}/access-tokens/{jti}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let (client_id, jti): (String, String) = call.path()?;
    services.tokens.revoke_token(&call.caller, &client_id, &jti).await?;
    Ok(HttpResponse::NoContent().finish())
}
