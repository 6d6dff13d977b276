//! `/v1/api-clients/{client_id}/access-tokens`: the recorded tokens of a client. A token itself leaves once, when it is
//! generated.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::api_clients::token_expiry;
use super::auth::Authorized;
use super::fields::Fields;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use crate::issuance::{GeneratedToken, Issuer, NewToken};
use crate::model::invalid::Broken;
use crate::registry::{Registry, Representation};

/// `GET /v1/api-clients/{client_id}/access-tokens`
pub async fn list(call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, registry.subkeys())?;
    query.finish()?;
    let tokens = registry.access_tokens(&call.caller, &client_id, &page.page).await?;
    Ok(page.reply(registry.subkeys(), tokens, Representation::to_json))
}

/// `POST /v1/api-clients/{client_id}/access-tokens`
pub async fn post(
    mut call: Authorized,
    registry: Data<Registry>,
    issuer: Data<Issuer>,
) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let body = call.optional_body().await?;
    let mut unread = Broken::default();
    let wanted = Fields::read(&body.json, &mut unread, |fields| NewToken {
        scope: fields.string("scope").value().cloned(),
        token_expiry: fields.object("token_expiry", token_expiry).value().copied(),
        unread: Broken::default(),
    });
    let wanted = NewToken { unread, ..wanted };
    let reply = |made: &GeneratedToken| {
        let location = call.path_of(&format!("/v1/api-clients/{client_id}/access-tokens/{}", made.jti));
        Reply::created(location, None, &made.to_json())
    };
    once(&call, &registry, &body.bytes, reply, async |keep| {
        issuer.generate(&call.caller, &client_id, &wanted, keep).await
    })
    .await
}

/// `DELETE /v1/api-clients/{client_id}/access-tokens`
pub async fn delete_all(call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    registry.revoke_tokens(&call.caller, &client_id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /v1/api-clients/{client_id}/access-tokens/{jti}`
pub async fn get(call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let (client_id, jti): (String, String) = call.path()?;
    let token = registry.access_token(&call.caller, &client_id, &jti).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(token.to_json().to_string()))
}

/// `DELETE /v1/api-clients/{client_id}/access-tokens/{jti}`
pub async fn delete(call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let (client_id, jti): (String, String) = call.path()?;
    registry.revoke_token(&call.caller, &client_id, &jti).await?;
    Ok(HttpResponse::NoContent().finish())
}
