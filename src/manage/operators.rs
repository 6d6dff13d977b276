//! `/v1/operators`: the people who sign in to the console. For API clients of the workspace `platform` only. A setup link is
//! in no reply but the one that creates it.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{record, record_or_304};
use crate::http::conditional::version_tag;
use crate::kernel::{Manager, Reader, to_json};
use crate::operators::{CreatedOperator, NewSetupLink, OperatorChange, SetupLink};
use crate::services::Services;

/// `GET /v1/operators`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    // Taken before the filter, because a cursor is bound to the filters that are still in the query.
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    let email = query.take("email");
    query.finish()?;
    let operators = services.operators.operators_of(&call.caller, email.as_deref(), &page.page).await?;
    Ok(page.reply(services.subkeys(), operators, to_json))
}

/// `POST /v1/operators`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let body = call.body().await?;
    let change = OperatorChange::read_new(&body.json);
    let reply = |created: &CreatedOperator| {
        let location = call.path_of(&format!("/v1/operators/{}", created.operator.operator_id));
        Reply::created(location, Some(version_tag(created.operator.version)), &to_json(created))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.operators.create_operator(&call.caller, &change, save).await
    })
    .await
}

/// `GET /v1/operators/{operator_id}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let operator = services.operators.operator(&call.caller, &id).await?;
    Ok(record_or_304(&call.request, operator.version, &to_json(&operator)))
}

/// `PATCH /v1/operators/{operator_id}`
pub async fn patch(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    let body = call.body().await?;
    let change = OperatorChange::read(&body.json);
    let operator = services.operators.change_operator(&call.caller, &id, &expected, &change).await?;
    Ok(record(operator.version, &to_json(&operator)))
}

/// `DELETE /v1/operators/{operator_id}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    services.operators.delete_operator(&call.caller, &id, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/operators/{operator_id}/setup-link`
pub async fn setup_link(
    mut call: Authorized<Manager>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let body = call.optional_body().await?;
    let wanted = NewSetupLink::read(&body.json);
    let reply = |link: &SetupLink| Reply::made(&to_json(link));
    once(&call, &services, &body.bytes, reply, async |save| {
        services.operators.replace_setup_link(&call.caller, &id, &wanted, save).await
    })
    .await
}
