//! `/v1/workspaces/{workspace_id}/api-clients` and `/v1/api-clients/{client_id}`: the clients that get tokens.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::Value;

use super::auth::Authorized;
use super::fields::Fields;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{etag, record, record_or_304};
use crate::clients::{ClientChange, ClientFilter, CreatedClient, LaterMembers};
use crate::kernel::Representation;
use crate::model::expiry::TokenExpiry;
use crate::model::invalid::Broken;
use crate::model::product::is_product_code;
use crate::services::Services;

/// Members that only later ways to authenticate use (RFC 7591 §2, RFC 8705 §2.1.2).
const OF_OTHER_AUTH_METHODS: [&str; 7] = [
    "jwks",
    "jwks_uri",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];

/// `GET /v1/workspaces/{workspace_id}/api-clients`
pub async fn list(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
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
    Ok(page.reply(services.subkeys(), clients, Representation::to_json))
}

/// `POST /v1/workspaces/{workspace_id}/api-clients`
pub async fn post(mut call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let workspace_id: String = call.path()?;
    let body = call.body().await?;
    let wanted = change(&body.json);
    let reply = |made: &CreatedClient| {
        let location = call.path_of(&format!("/v1/api-clients/{}", made.record.client.client_id));
        Reply::created(location, Some(etag::of(made.record.client.version)), &made.to_json())
    };
    once(&call, &services, &body.bytes, reply, async |keep| {
        services.clients.create_client(&call.caller, &workspace_id, &wanted, keep).await
    })
    .await
}

/// `GET /v1/api-clients/{client_id}`
pub async fn get(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let client = services.clients.client(&call.caller, &id).await?;
    Ok(record_or_304(&call.request, client.client.version, &client.to_json()))
}

/// `PATCH /v1/api-clients/{client_id}`
pub async fn patch(mut call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = etag::if_match(&call.request)?;
    let body = call.body().await?;
    let client = services.clients.change_client(&call.caller, &id, &expected, &change(&body.json)).await?;
    Ok(record(client.record.client.version, &client.to_json()))
}

/// `DELETE /v1/api-clients/{client_id}`
pub async fn delete(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: String = call.path()?;
    let expected = etag::if_match(&call.request)?;
    services.clients.delete_client(&call.caller, &id, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn change(body: &Value) -> ClientChange {
    let mut unread = Broken::default();
    let change = Fields::read(body, &mut unread, |fields| ClientChange {
        label: fields.string("label"),
        products: fields.strings("products"),
        permissions: fields.strings("permissions"),
        token_expiry: fields.object("token_expiry", token_expiry),
        notification_emails: fields.strings("notification_emails"),
        allowed_ips: fields.strings("allowed_ips"),
        signing_alg: fields.string("signing_alg"),
        expires_at: fields.string("expires_at"),
        metadata: fields.string_pairs("metadata"),
        status: fields.string("status"),
        active_tokens: fields.string("active_tokens"),
        replace_grace_seconds: fields.integer("replace_grace_seconds"),
        later: LaterMembers {
            daily_token_limit: fields.integer("daily_token_limit"),
            require_dpop: fields.boolean("require_dpop"),
            auth_method: fields.string("auth_method"),
            of_other_auth_methods: OF_OTHER_AUTH_METHODS
                .into_iter()
                .filter(|name| fields.is_given(name))
                .collect(),
        },
        unread: Broken::default(),
    });
    ClientChange { unread, ..change }
}

/// `{"mode":"after","seconds":…}` or `{"mode":"never"}`, replaced whole.
pub(super) fn token_expiry(fields: &mut Fields<'_>) -> Option<TokenExpiry> {
    let (mode, seconds) = (fields.string("mode"), fields.integer("seconds"));
    match (mode.value().map(String::as_str), seconds.value()) {
        (Some("after"), Some(&seconds)) => return Some(TokenExpiry::After { seconds }),
        (Some("after"), None) => fields.refuse("seconds", "is required with the mode after"),
        (Some("never"), None) => return Some(TokenExpiry::Never {}),
        (Some("never"), Some(_)) => fields.refuse("seconds", "belongs to the mode after, not to never"),
        _ => fields.refuse("mode", "must be after or never"),
    }
    None
}
