//! `/v1/products`: what a token opens.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::auth::Authorized;
use super::fields::Fields;
use super::idempotency::{Reply, once};
use super::page::{PageRequest, Query};
use super::problem::Problem;
use super::{etag, record, record_or_304};
use crate::kernel::Representation;
use crate::model::invalid::Broken;
use crate::model::product::Product;
use crate::services::Services;
use crate::tenants::ProductChange;

/// `GET /v1/products`
pub async fn list(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&call.request)?;
    let page = PageRequest::take(&mut query, &call, services.subkeys())?;
    query.finish()?;
    let products = services.tenants.products(&call.caller, &page.page).await?;
    Ok(page.reply(services.subkeys(), products, Representation::to_json))
}

/// `POST /v1/products`
pub async fn post(mut call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let body = call.body().await?;
    let mut unread = Broken::default();
    let (code, change) =
        Fields::read(&body.json, &mut unread, |fields| (fields.string("product"), members(fields)));
    let change = ProductChange { unread, ..change };
    let reply = |made: &Product| {
        let location = call.path_of(&format!("/v1/products/{}", made.product));
        Reply::created(location, Some(etag::of(made.version)), &made.to_json())
    };
    once(&call, &services, &body.bytes, reply, async |keep| {
        services.tenants.create_product(&call.caller, &code, &change, keep).await
    })
    .await
}

/// `GET /v1/products/{product}`
pub async fn get(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let code: String = call.path()?;
    let product = services.tenants.product(&call.caller, &code).await?;
    Ok(record_or_304(&call.request, product.version, &product.to_json()))
}

/// `PATCH /v1/products/{product}`
pub async fn patch(mut call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let code: String = call.path()?;
    let expected = etag::if_match(&call.request)?;
    let body = call.body().await?;
    let mut unread = Broken::default();
    let change = Fields::read(&body.json, &mut unread, members);
    let change = ProductChange { unread, ..change };
    let product = services.tenants.change_product(&call.caller, &code, &expected, &change).await?;
    Ok(record(product.version, &product.to_json()))
}

/// `DELETE /v1/products/{product}`
pub async fn delete(call: Authorized, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let code: String = call.path()?;
    let expected = etag::if_match(&call.request)?;
    services.tenants.delete_product(&call.caller, &code, &expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn members(fields: &mut Fields<'_>) -> ProductChange {
    ProductChange {
        name: fields.string("name"),
        audience: fields.string("audience"),
        max_token_lifetime_seconds: fields.integer("max_token_lifetime_seconds"),
        never_expires_allowed: fields.boolean("never_expires_allowed"),
        ..ProductChange::default()
    }
}
