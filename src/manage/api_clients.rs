//! `/v1/workspaces/{workspace_id}/api-clients` and `/v1/api-clients/{client_id}`: the clients that get tokens.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{record, record_or_304};
use crate::clients::{ClientChange, ClientFilter, CreatedClient};
use crate::http::conditional::version_tag;
use crate::kernel::{Manager, Reader, to_json};
use crate::model::product::is_product_code;
use crate::services::Services;

/// `GET /v1/workspaces/{workspace_id}/api-clients`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let workspace_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    let label = |text: &str| (1..=200).contains(&text.chars().count());
    let status = |text: &str| matches!(text, "active" | "disabled");
    let filter = ClientFilter {
        label: query.take_checked("label", "1 to 200 characters", label)?,
        product: query.take_checked("product", "a product code", is_product_code)?,
        status: query.take_checked("status", "active or disabled", status)?,
    };
    query.finish()?;
    let clients = services.clients.clients(&call.caller, &workspace_id, &filter, &page.page).await?;
    Ok(page.reply(services.subkeys(), clients, to_json))
}

/// `POST /v1/workspaces/{workspace_id}/api-clients`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let workspace_id: String = call.path()?;
    let body = call.body().await?;
    let wanted = ClientChange::read(&body.json);
    let reply = |created: &CreatedClient| {
        let location = call.path_of(&format!("/v1/api-clients/{}", created.record.client.client_id));
        Reply::created(location, Some(version_tag(created.record.client.version)), &to_json(created))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.clients.create_client(&call.caller, &workspace_id, &wanted, save).await
    })
    .await
}

/// `GET /v1/api-clients/{client_id}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let client = services.clients.client(&call.caller, &id).await?;
    Ok(record_or_304(&call.request, client.client.version, &to_json(&client)))
}

/// `PATCH /v1/api-clients/{client_id}`
pub async fn patch(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    let body = call.body().await?;
    let client =
        services.clients.change_client(&call.caller, &id, &expected, &ClientChange::read(&body.json)).await?;
    Ok(record(client.record.client.version, &to_json(&client)))
}

/// `DELETE /v1/api-clients/{client_id}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    services.clients.delete_client(&call.caller, &id, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}
