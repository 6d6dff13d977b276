//! `/v1/workspaces/{workspace_id}/webhooks` and `/v1/webhooks`: the URLs to which a workspace wants its events sent. The secret
//! that verifies the requests is only in the reply that creates or replaces it.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{record, record_or_304};
use crate::http::conditional::version_tag;
use crate::kernel::{Manager, Reader, to_json};
use crate::services::Services;
use crate::webhooks::{CreatedWebhook, NoMembers, ReplacedKeys, WebhookChange, WebhookDelivery};

/// `GET /v1/workspaces/{workspace_id}/webhooks`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let workspace_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let webhooks = services.webhooks.webhooks(&call.caller, &workspace_id, &page.page).await?;
    Ok(page.reply(services.subkeys(), webhooks, to_json))
}

/// `POST /v1/workspaces/{workspace_id}/webhooks`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let workspace_id: String = call.path()?;
    let body = call.body().await?;
    let change = WebhookChange::read(&body.json);
    let reply = |created: &CreatedWebhook| {
        let location = call.path_of(&format!("/v1/webhooks/{}", created.webhook.webhook_id));
        Reply::created(location, Some(version_tag(created.webhook.version)), &to_json(created))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.webhooks.create_webhook(&call.caller, &workspace_id, &change, save).await
    })
    .await
}

/// `GET /v1/webhooks/{webhook_id}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let webhook = services.webhooks.webhook(&call.caller, &id).await?;
    Ok(record_or_304(&call.request, webhook.version, &to_json(&webhook)))
}

/// `PATCH /v1/webhooks/{webhook_id}`
pub async fn patch(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    let body = call.body().await?;
    let change = WebhookChange::read(&body.json);
    let webhook = services.webhooks.change_webhook(&call.caller, &id, &expected, &change).await?;
    Ok(record(webhook.version, &to_json(&webhook)))
}

/// `DELETE /v1/webhooks/{webhook_id}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = call.precondition()?;
    services.webhooks.delete_webhook(&call.caller, &id, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/webhooks/{webhook_id}/secrets`: replaces both keys of a webhook, the secret and the Ed25519 key.
pub async fn replace_keys(
    mut call: Authorized<Manager>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let body = call.optional_body().await?;
    let request = NoMembers::read(&body.json);
    let reply = |replaced: &ReplacedKeys| Reply::made(&to_json(replaced));
    once(&call, &services, &body.bytes, reply, async |save| {
        services.webhooks.replace_keys(&call.caller, &id, &request, save).await
    })
    .await
}

/// `POST /v1/webhooks/{webhook_id}/test`
pub async fn test(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let body = call.optional_body().await?;
    let request = NoMembers::read(&body.json);
    let reply = |queued: &WebhookDelivery| Reply::made(&to_json(queued));
    once(&call, &services, &body.bytes, reply, async |save| {
        services.webhooks.test(&call.caller, &id, &request, save).await
    })
    .await
}

/// `GET /v1/webhooks/{webhook_id}/deliveries`
pub async fn deliveries(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let found = services.webhooks.deliveries(&call.caller, &id, &page.page).await?;
    Ok(page.reply(services.subkeys(), found, to_json))
}

/// `POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend`
pub async fn resend(
    mut call: Authorized<Manager>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, delivery_id): (String, String) = call.path()?;
    let body = call.optional_body().await?;
    let request = NoMembers::read(&body.json);
    let delivery = services.webhooks.resend(&call.caller, &id, &delivery_id, &request).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(to_json(&delivery).to_string()))
}
