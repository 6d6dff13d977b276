//! `/v1/api-clients/{client_id}/usage`, `/v1/api-clients/{client_id}/failures` and `/v1/failures`: what API clients did, and
//! why their requests were refused.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::page::{PageRequest, Query};
use super::problem::Problem;
use crate::kernel::{Reader, to_json};
use crate::services::Services;
use crate::usage::Period;

/// `GET /v1/api-clients/{client_id}/usage`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let period = Period { since: query.instant("since")?, until: query.instant("until")? };
    query.finish()?;
    if let (Some(since), Some(until)) = (period.since, period.until)
        && since > until
    {
        return Err(Problem::parameter("since must not be after until"));
    }
    let usage = services.usage.usage(&call.caller, &client_id, period).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(to_json(&usage).to_string()))
}

/// `GET /v1/api-clients/{client_id}/failures`
pub async fn failures(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let failures = services.usage.failures(&call.caller, &client_id, &page.page).await?;
    Ok(page.reply(services.subkeys(), failures, to_json))
}

/// `GET /v1/failures`
pub async fn all_failures(
    call: Authorized<Reader>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let failures = services.usage.all_failures(&call.caller, &page.page).await?;
    Ok(page.reply(services.subkeys(), failures, to_json))
}
