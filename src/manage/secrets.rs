//! `/v1/api-clients/{client_id}/secrets`: the secrets of a client. The secret itself is only in the reply that creates it.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use crate::clients::{CreatedSecret, NewSecret};
use crate::kernel::{Manager, Reader, to_json};
use crate::services::Services;

/// `GET /v1/api-clients/{client_id}/secrets`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let secrets = services.clients.secrets(&call.caller, &client_id, &page.page).await?;
    Ok(page.reply(services.subkeys(), secrets, to_json))
}

/// `POST /v1/api-clients/{client_id}/secrets`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let body = call.optional_body().await?;
    let wanted = NewSecret::read(&body.json);
    let reply = |created: &CreatedSecret| {
        let location =
            call.path_of(&format!("/v1/api-clients/{client_id}/secrets/{}", created.record.secret_id));
        Reply::created(location, None, &to_json(created))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.clients.add_secret(&call.caller, &client_id, &wanted, save).await
    })
    .await
}

/// `GET /v1/api-clients/{client_id}/secrets/{secret_id}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let (client_id, secret_id): (String, String) = call.path()?;
    let secret = services.clients.secret(&call.caller, &client_id, &secret_id).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(to_json(&secret).to_string()))
}

/// `DELETE /v1/api-clients/{client_id}/secrets/{secret_id}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let (client_id, secret_id): (String, String) = call.path()?;
    let mut query = Query::of(&call.request)?;
    let force = query.flag("force")?;
    query.finish()?;
    services.clients.delete_secret(&call.caller, &client_id, &secret_id, force).await?;
    Ok(HttpResponse::NoContent().finish())
}
