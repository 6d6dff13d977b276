//! `/v1/workspaces`: the tenants.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::fields::Fields;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{etag, record, record_or_304};
use crate::kernel::Representation;
use crate::model::invalid::Broken;
use crate::model::workspace::Workspace;
use crate::services::Services;
use crate::tenants::WorkspaceChange;

/// `GET /v1/workspaces`
pub async fn list(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let workspaces = services.tenants.workspaces(&call.caller, &page.page).await?;
    Ok(page.reply(services.subkeys(), workspaces, Representation::to_json))
}

/// `POST /v1/workspaces`
pub async fn post(mut call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let body = call.body().await?;
    let mut unread = Broken::default();
    let (id, change) =
        Fields::read(&body.json, &mut unread, |fields| (fields.string("workspace_id"), members(fields)));
    let change = WorkspaceChange { unread, ..change };
    let reply = |made: &Workspace| {
        let location = call.path_of(&format!("/v1/workspaces/{}", made.workspace_id));
        Reply::created(location, Some(etag::of(made.version)), &made.to_json())
    };
    once(&call, &services, &body.bytes, reply, async |keep| {
        services.tenants.create_workspace(&call.caller, &id, &change, keep).await
    })
    .await
}

/// `GET /v1/workspaces/{workspace_id}`
pub async fn get(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let workspace = services.tenants.workspace(&call.caller, &id).await?;
    Ok(record_or_304(&call.request, workspace.version, &workspace.to_json()))
}

/// `PATCH /v1/workspaces/{workspace_id}`
pub async fn patch(mut call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = etag::if_match(&call.request)?;
    let body = call.body().await?;
    let mut unread = Broken::default();
    let change = Fields::read(&body.json, &mut unread, members);
    let change = WorkspaceChange { unread, ..change };
    let workspace = services.tenants.change_workspace(&call.caller, &id, &expected, &change).await?;
    Ok(record(workspace.version, &workspace.to_json()))
}

/// `DELETE /v1/workspaces/{workspace_id}`
pub async fn delete(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = etag::if_match(&call.request)?;
    services.tenants.delete_workspace(&call.caller, &id, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn members(fields: &mut Fields<'_>) -> WorkspaceChange {
    WorkspaceChange {
        name: fields.string("name"),
        status: fields.string("status"),
        never_expires_allowed: fields.boolean("never_expires_allowed"),
        products_allowed: fields.strings("products_allowed"),
        ..WorkspaceChange::default()
    }
}
