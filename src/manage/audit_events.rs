//! `/v1/audit-events`: who changed what, and when.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::page::{PageRequest, Query};
use super::problem::Problem;
use crate::kernel::{Reader, to_json};
use crate::ledger::AuditFilter;
use crate::model::audit::Action;
use crate::model::ids;
use crate::services::Services;

/// `GET /v1/audit-events`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    let is_action = |name: &str| Action::ALL.iter().any(|action| action.as_str() == name);
    let filter = AuditFilter {
        workspace_id: query.take_checked("workspace_id", "the id of a workspace", ids::is_workspace_id)?,
        client_id: query.take_checked("client_id", "the id of an API client", ids::is_client_id)?,
        action: query.take_checked("action", "an action like client.created", is_action)?,
        since: query.instant("since")?,
        until: query.instant("until")?,
    };
    query.finish()?;
    let events = services.ledger.audit_events(&call.caller, &filter, &page.page).await?;
    Ok(page.reply(services.subkeys(), events, to_json))
}
