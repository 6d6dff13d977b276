//! `/v1/api-clients`, `/v1/workspaces/{workspace_id}/api-clients` and `/v1/api-clients/{client_id}`: the clients that get
//! tokens.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::Value;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{record, record_or_304};
use crate::clients::filter_rules::{self, FilterRule};
use crate::clients::{BatchChange, ClientChange, ClientFilter, ClientOrder, ClientSort, CreatedClient};
use crate::http::conditional::version_tag;
use crate::kernel::{Manager, Reader, to_json};
use crate::services::Services;

/// `GET /v1/api-clients`
pub async fn list_all(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    listed(&call, &services, None).await
}

/// `GET /v1/workspaces/{workspace_id}/api-clients`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let workspace_id: String = call.path()?;
    listed(&call, &services, Some(&workspace_id)).await
}

async fn listed(
    call: &Authorized<Reader>,
    services: &Services,
    workspace_id: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, call, services.subkeys())?;
    let filter = filter(&mut query)?;
    let sort = sort(&mut query)?;
    query.finish()?;
    let clients = services.clients.clients(&call.caller, workspace_id, &filter, sort, &page.page).await?;
    Ok(page.reply(services.subkeys(), clients, to_json))
}

fn filter(query: &mut Query) -> Result<ClientFilter, Problem> {
    let mut text = |name, rule: FilterRule| query.take_checked(name, rule.wanted, rule.is);
    Ok(ClientFilter {
        label: text("label", filter_rules::LABEL)?,
        product: text("product", filter_rules::PRODUCT)?,
        status: text("status", filter_rules::STATUS)?,
        metadata: metadata(query)?,
        secret_expires_before: query.instant("secret_expires_before")?,
        unused_since: query.instant("unused_since")?,
    })
}

fn metadata(query: &mut Query) -> Result<BTreeMap<String, String>, Problem> {
    let mut pairs = BTreeMap::new();
    for (key, value) in query.take_by_key("metadata", "metadata.KEY") {
        if !(1..=64).contains(&key.chars().count()) {
            return Err(Problem::parameter("metadata.KEY must have a KEY of 1 to 64 characters"));
        }
        if pairs.insert(key, value).is_some() {
            return Err(Problem::parameter("metadata.KEY and metadata[KEY] are the same: send one of them"));
        }
    }
    Ok(pairs)
}

fn sort(query: &mut Query) -> Result<ClientSort, Problem> {
    let wanted = "label, created_at, last_used_at or expires_at, with - before it for descending order";
    let read = |text: &str| {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let by = match name {
            "label" => ClientOrder::Label,
            "created_at" => ClientOrder::CreatedAt,
            "last_used_at" => ClientOrder::LastUsedAt,
            "expires_at" => ClientOrder::ExpiresAt,
            _ => return None,
        };
        Some(ClientSort { by, descending })
    };
    match query.take("sort") {
        None => Ok(ClientSort::default()),
        Some(text) => read(&text).ok_or_else(|| Problem::parameter(format!("sort must be {wanted}"))),
    }
}

/// `POST /v1/api-clients/batch`
pub async fn batch(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let body = call.body().await?;
    let wanted = BatchChange::read(&body.json);
    let batch = services.clients.change_clients(&call.caller, &wanted).await?;
    let mut report = to_json(&batch);
    let items = report.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
    for (item, client) in items.filter_map(Value::as_object_mut).zip(&batch.clients) {
        item.insert("etag".to_owned(), version_tag(client.version).into());
    }
    Ok(HttpResponse::Ok().content_type("application/json").body(report.to_string()))
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
