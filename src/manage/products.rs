//! `/v1/products`: what a token gives access to.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{record, record_or_304};
use crate::http::conditional::version_tag;
use crate::kernel::{Manager, Reader, to_json};
use crate::model::product::Product;
use crate::services::Services;
use crate::tenants::ProductChange;

/// `GET /v1/products`
pub async fn list(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let products = services.tenants.products(&call.caller, &page.page).await?;
    Ok(page.reply(services.subkeys(), products, to_json))
}

/// `POST /v1/products`
pub async fn post(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let body = call.body().await?;
    let (code, change) = ProductChange::read_new(&body.json);
    let reply = |created: &Product| {
        let location = call.path_of(&format!("/v1/products/{}", created.product));
        Reply::created(location, Some(version_tag(created.version)), &to_json(created))
    };
    once(&call, &services, &body.bytes, reply, async |save| {
        services.tenants.create_product(&call.caller, &code, &change, save).await
    })
    .await
}

/// `GET /v1/products/{product}`
pub async fn get(call: Authorized<Reader>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let code: String = call.path()?;
    let product = services.tenants.product(&call.caller, &code).await?;
    Ok(record_or_304(&call.request, product.version, &to_json(&product)))
}

/// `PATCH /v1/products/{product}`
pub async fn patch(mut call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let code: String = call.path()?;
    let expected = call.precondition()?;
    let body = call.body().await?;
    let change = ProductChange::read(&body.json);
    let product = services.tenants.change_product(&call.caller, &code, &expected, &change).await?;
    Ok(record(product.version, &to_json(&product)))
}

/// `DELETE /v1/products/{product}`
pub async fn delete(call: Authorized<Manager>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let code: String = call.path()?;
    let expected = call.precondition()?;
    services.tenants.delete_product(&call.caller, &code, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}
