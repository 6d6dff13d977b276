//! `/v1/api-clients/{client_id}/secrets`: what a client authenticates with. A secret itself leaves once, when it is made.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};

use super::auth::Authorized;
use super::body::Fields;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use crate::model::clock::to_rfc3339;
use crate::model::invalid::Broken;
use crate::model::secret::ClientSecret;
use crate::registry::{CreatedSecret, NewSecret, Registry};

/// `GET /v1/api-clients/{client_id}/secrets`
pub async fn list(call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, registry.subkeys())?;
    query.finish()?;
    let secrets = registry.secrets(&call.caller, &client_id, &page.page).await?;
    Ok(page.reply(registry.subkeys(), secrets, json_of))
}

/// `POST /v1/api-clients/{client_id}/secrets`
pub async fn post(mut call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let client_id: String = call.path()?;
    let body = call.optional_body().await?;
    let mut unread = Broken::default();
    let wanted = Fields::read(&body.json, &mut unread, |fields| NewSecret {
        expires_at: fields.string("expires_at").value().cloned(),
        expire_others_after_seconds: fields.integer("expire_others_after_seconds").value().copied(),
        revoke_tokens: fields.boolean("revoke_tokens").value().copied(),
        unread: Broken::default(),
    });
    let wanted = NewSecret { unread, ..wanted };
    let reply = |made: &CreatedSecret| {
        let CreatedSecret { record, secret } = made;
        let location = call.path_of(&format!("/v1/api-clients/{client_id}/secrets/{}", record.secret_id));
        let mut json = json_of(record);
        if let Some(members) = json.as_object_mut() {
            members.insert("client_secret".to_owned(), secret.expose().into());
        }
        Reply::created(location, None, &json)
    };
    once(&call, &registry, &body.bytes, reply, async |keep| {
        registry.add_secret(&call.caller, &client_id, &wanted, keep).await
    })
    .await
}

/// `GET /v1/api-clients/{client_id}/secrets/{secret_id}`
pub async fn get(call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let (client_id, secret_id): (String, String) = call.path()?;
    let secret = registry.secret(&call.caller, &client_id, &secret_id).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(json_of(&secret).to_string()))
}

/// `DELETE /v1/api-clients/{client_id}/secrets/{secret_id}`
pub async fn delete(call: Authorized, registry: Data<Registry>) -> Result<HttpResponse, Problem> {
    let (client_id, secret_id): (String, String) = call.path()?;
    let mut query = Query::of(&call.request)?;
    let force = query.flag("force")?;
    query.finish()?;
    registry.delete_secret(&call.caller, &client_id, &secret_id, force).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The record of a secret, which is all that is ever seen of it again.
pub(super) fn json_of(secret: &ClientSecret) -> Value {
    json!({
        "secret_id": secret.secret_id,
        "last_four": secret.last_four,
        "created_at": to_rfc3339(secret.created_at),
        "expires_at": secret.expires_at.map(to_rfc3339),
        "last_used_at": secret.last_used_at.map(to_rfc3339),
    })
}
