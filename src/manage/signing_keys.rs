//! `/v1/signing-keys`: the keys that sign tokens. A private key can be imported, but no reply contains one.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{record_or_304, revoked};
use crate::http::conditional::version_tag;
use crate::kernel::{Manager, Reader, to_json};
use crate::services::Services;
use crate::signing::{KeyRecord, NewSigningKey};

/// `GET /v1/signing-keys`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let keys = services.signing.signing_keys(&call.caller, &page.page).await?;
    Ok(page.reply(services.subkeys(), keys, to_json))
}

/// `POST /v1/signing-keys`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let body = call.body().await?;
    let new = NewSigningKey::read(&body.json);
    let reply = |made: &KeyRecord| {
        let location = call.path_of(&format!("/v1/signing-keys/{}", made.key.kid));
        Reply::created(location, Some(version_tag(made.key.version)), &to_json(made))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.signing.create_signing_key(&call.caller, &new, save).await
    })
    .await
}

/// `GET /v1/signing-keys/{kid}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let kid: String = call.path()?;
    let key = services.signing.signing_key(&call.caller, &kid).await?;
    Ok(record_or_304(&call.request, key.key.version, &to_json(&key)))
}

/// `DELETE /v1/signing-keys/{kid}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let kid: String = call.path()?;
    let mut query = Query::of(&call.request)?;
    let revoke_tokens = query.flag("revoke_tokens")?;
    query.finish()?;
    let expected = call.precondition()?;
    Ok(revoked(services.signing.delete_signing_key(&call.caller, &kid, revoke_tokens, &expected).await?))
}
