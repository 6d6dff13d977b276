//! `/v1/workspaces`: the tenants.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{record, record_or_304};
use crate::http::conditional::version_tag;
use crate::kernel::{Manager, Reader, to_json};
use crate::model::workspace::Workspace;
use crate::services::Services;
use crate::tenants::WorkspaceChange;

/// `GET /v1/workspaces`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let workspaces = services.tenants.workspaces(&call.caller, &page.page).await?;
    Ok(page.reply(services.subkeys(), workspaces, to_json))
}

/// `POST /v1/workspaces`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let body = call.body().await?;
    let (id, change) = WorkspaceChange::read_new(&body.json);
    let reply = |created: &Workspace| {
        let location = call.path_of(&format!("/v1/workspaces/{}", created.workspace_id));
        Reply::created(location, Some(version_tag(created.version)), &to_json(created))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.tenants.create_workspace(&call.caller, &id, &change, save).await
    })
    .await
}

/// `GET /v1/workspaces/{workspace_id}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let workspace = services.tenants.workspace(&call.caller, &id).await?;
    Ok(record_or_304(&call.request, workspace.version, &to_json(&workspace)))
}

/// `PATCH /v1/workspaces/{workspace_id}`
pub async fn patch(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    let body = call.body().await?;
    let change = WorkspaceChange::read(&body.json);
    let workspace = services.tenants.change_workspace(&call.caller, &id, &expected, &change).await?;
    Ok(record(workspace.version, &to_json(&workspace)))
}

/// `DELETE /v1/workspaces/{workspace_id}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    services.tenants.delete_workspace(&call.caller, &id, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}
