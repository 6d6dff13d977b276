//! Authorization server metadata (RFC 8414), at both well-known paths. It names only what is supported.
//!
//! There is no `id_token_…` member, since some verifiers use it as a list of allowed algorithms. The issuer comes from the settings,
//! never from the request.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::door::Door;
use crate::http::conditional::Cacheable;
use crate::model::key::Alg;
use crate::model::scope::Permission;
use crate::tokens::STATUS_LISTS_PATH;

/// The document. It is rendered once, at start.
#[derive(Debug)]
pub struct Metadata {
    body: Bytes,
    etag: String,
}

impl Metadata {
    /// The metadata of `issuer`, which signs introspection responses with `alg`. `tag` gives the strong `ETag` of a body.
    pub fn new(issuer: &str, alg: Alg, tag: impl Fn(&[u8]) -> String) -> Self {
        let methods = ["client_secret_basic", "client_secret_post"];
        let document = json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}/oauth2/token"),
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "status_list_aggregation_endpoint": format!("{issuer}{STATUS_LISTS_PATH}"),
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint": format!("{issuer}/oauth2/introspect"),
            "introspection_endpoint_auth_methods_supported": methods,
            // RFC 9701 §7.
            "introspection_signing_alg_values_supported": [alg.as_str()],
            "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
            "revocation_endpoint_auth_methods_supported": methods,
            "scopes_supported": Permission::ALL.map(Permission::as_str),
            "service_documentation": format!("{issuer}/docs"),
        });
        let body = document.to_string().into_bytes();
        Self { etag: tag(&body), body: Bytes::from(body) }
    }
}

/// `GET /.well-known/oauth-authorization-server` and `GET /.well-known/openid-configuration`
pub async fn get(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    let metadata = &door.metadata;
    let mut response =
        Cacheable::for_seconds(&request, &metadata.etag, door.services.policy().jwks_max_age_seconds);
    if response.is_not_modified {
        return response.builder.finish();
    }
    response
        .builder
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(metadata.body.clone())
}
