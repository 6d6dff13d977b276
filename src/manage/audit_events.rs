//! `/v1/audit-events`: who changed what, and when; the signed checkpoints of the trail, and proofs that an event is in it.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;

use super::auth::Authorized;
use super::page::{PageRequest, Query};
use super::problem::{Kind, Problem};
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

/// `GET /v1/audit-events/checkpoint`
pub async fn checkpoint(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let log = number(&mut query, "log", 1)?;
    query.finish()?;
    Ok(text(services.ledger.audit_checkpoint(&call.caller, log).await?.note))
}

/// `GET /v1/audit-events/{seq}/proof`
pub async fn proof(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let seq: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let log = number(&mut query, "log", 1)?;
    query.finish()?;
    let seq = read_number(&seq, 0)
        .ok_or_else(|| Problem::new(Kind::NotFound, "There is no such audit event that you can access"))?;
    Ok(text(services.ledger.audit_proof(&call.caller, log, seq).await?))
}

/// `GET /v1/audit-events/consistency`
pub async fn consistency(
    call: Authorized<Reader>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let log = number(&mut query, "log", 1)?;
    let from = number(&mut query, "from", 0)?;
    query.finish()?;
    let from = from.ok_or_else(|| {
        Problem::parameter("from is required: the number of entries of the checkpoint that you have")
    })?;
    Ok(text(services.ledger.audit_consistency(&call.caller, log, from).await?))
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(body)
}

/// A parameter that is a whole number of at least `from`, without leading zeros.
fn number(query: &mut Query, name: &'static str, from: i64) -> Result<Option<i64>, Problem> {
    let wanted = format!("a whole number from {from} on");
    let text = query.take_checked(name, &wanted, |text| read_number(text, from).is_some())?;
    Ok(text.and_then(|text| read_number(&text, from)))
}

fn read_number(text: &str, from: i64) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| is_plain && *number >= from)
}
