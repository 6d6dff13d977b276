//! Every URL and the function behind it, on one page.
//!
//! Each resource lists its methods; any other method is 405 with `Allow`. With an issuer that has a path, everything is
//! served at `/…` and at `/<path>/…`, and the metadata also at RFC 8414 §3.1's place for such an issuer.

use actix_web::http::header::ALLOW;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder};

use crate::docs;
use crate::oauth::{self, jwks, metadata, token};
use crate::telemetry::{health, metrics};

/// Which doors a listener opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// All on one address.
    All,
    /// What is for everyone; management has an address of its own.
    Public,
    /// `/v1` and `/metrics`.
    Management,
}

/// Opens `doors`. `issuer_path` is the path of the issuer, empty or beginning with `/`.
pub fn configure(config: &mut ServiceConfig, doors: Doors, issuer_path: &str) {
    if !issuer_path.is_empty() {
        if doors != Doors::Management {
            let inserted = format!("/.well-known/oauth-authorization-server{issuer_path}");
            config.service(read(web::resource(inserted), metadata::get));
        }
        config.service(web::scope(issuer_path).configure(|config| endpoints(config, doors)));
    }
    endpoints(config, doors);
}

fn endpoints(config: &mut ServiceConfig, doors: Doors) {
    config
        .service(read(web::resource("/healthz"), health::healthz))
        .service(read(web::resource("/readyz"), health::readyz))
        .service(read(web::resource("/openapi.yaml"), docs::openapi))
        .service(read(web::resource("/docs"), docs::page))
        .service(read(web::resource("/docs/assets/{file}"), docs::asset));
    if doors != Doors::Management {
        config
            .service(
                web::resource("/oauth2/token")
                    .route(web::post().to(token::post))
                    .default_service(web::to(oauth::error::method_not_allowed)),
            )
            .service(read(web::resource("/.well-known/jwks.json"), jwks::get))
            .service(read(web::resource("/.well-known/oauth-authorization-server"), metadata::get))
            .service(read(web::resource("/.well-known/openid-configuration"), metadata::get));
    }
    if doors != Doors::Public {
        config.service(read(web::resource("/metrics"), metrics::get));
    }
}

/// A resource that is only read: GET, and HEAD as GET without the body (RFC 9110 §9.3.2).
fn read<F, Args>(resource: Resource, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(|| async { HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish() }))
}
