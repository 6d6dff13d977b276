//! Authorization server metadata (RFC 8414), at both well-known paths. It names only what is supported.
//!
//! No `id_token_…` member: some verifiers take it for an allow-list of algorithms. RFC 8414 §3.2 has no empty arrays, so
//! `response_types_supported` is left out. At the path of `OpenID` Connect Discovery there are two more members, which its
//! parsers require.
//! The issuer comes from the settings, never from the request.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::door::Door;
use crate::http::conditional::Cacheable;
use crate::model::key::Alg;
use crate::model::scope::Permission;
use crate::model::status::STATUS_LISTS_PATH;

/// The documents, created once.
#[derive(Debug)]
pub struct Metadata {
    /// At `/.well-known/oauth-authorization-server`.
    oauth: Document,
    /// At `/.well-known/openid-configuration`.
    openid: Document,
}

#[derive(Debug)]
struct Document {
    body: Bytes,
    etag: String,
}

impl Document {
    fn new(document: &Value, tag: impl Fn(&[u8]) -> String) -> Self {
        let body = document.to_string().into_bytes();
        Self { etag: tag(&body), body: Bytes::from(body) }
    }
}

impl Metadata {
    /// The metadata of `issuer`, which signs introspection responses with `alg`. `tag` gives the strong `ETag` of a body.
    pub fn new(issuer: &str, alg: Alg, tag: impl Fn(&[u8]) -> String) -> Self {
        let methods = ["client_secret_basic", "client_secret_post"];
        let oauth = json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}/oauth2/token"),
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "status_list_aggregation_endpoint": format!("{issuer}{STATUS_LISTS_PATH}"),
            "grant_types_supported": ["client_credentials"],
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
        let mut openid = oauth.clone();
        if let Some(members) = openid.as_object_mut() {
            members.insert("response_types_supported".to_owned(), json!(["none"]));
            members.insert("subject_types_supported".to_owned(), json!(["public"]));
        }
        Self { oauth: Document::new(&oauth, &tag), openid: Document::new(&openid, &tag) }
    }
}

/// Answers with the metadata of RFC 8414.
pub async fn get(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    answer(&request, &door.metadata.oauth, &door)
}

/// Answers with the same where `OpenID` Connect Discovery looks for it.
pub async fn get_openid(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    answer(&request, &door.metadata.openid, &door)
}

fn answer(request: &HttpRequest, metadata: &Document, door: &Door) -> HttpResponse {
    let mut response =
        Cacheable::for_seconds(request, &metadata.etag, door.services.policy().jwks_max_age_seconds);
    if response.is_not_modified {
        return response.builder.finish();
    }
    response
        .builder
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(metadata.body.clone())
}
