//! Authorization server metadata (RFC 8414), at both well-known paths. It names only what is supported.
//!
//! There is no `id_token_…` member, because some verifiers take it for an allow-list of algorithms. RFC 8414 §3.2 allows no
//! empty arrays, so `response_types_supported` is left out. The document at the path of `OpenID` Connect Discovery has two more
//! members, which parsers of that format require. `mintmark_audit_key` has the keys of the audit trail (`docs/audit.md`).
//! The issuer comes from the settings, never from the request.

use std::sync::{Arc, PoisonError, RwLock};

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::door::Door;
use crate::http::conditional::Cacheable;
use crate::ledger::AuditKey;
use crate::model::key::Alg;
use crate::model::scope::Permission;
use crate::model::status::STATUS_LISTS_PATH;

/// The documents, created again when a key of the audit trail is added.
#[derive(Debug)]
pub struct Metadata {
    /// The members that do not change.
    members: Value,
    made: RwLock<Option<Arc<Made>>>,
}

#[derive(Debug)]
struct Made {
    audit_keys: Arc<[AuditKey]>,
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
    /// The metadata of `issuer`, which signs introspection responses with `alg`.
    pub fn new(issuer: &str, alg: Alg) -> Self {
        let methods = ["client_secret_basic", "client_secret_post"];
        let members = json!({
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
        Self { members, made: RwLock::new(None) }
    }

    /// The documents with these keys of the audit trail. `tag` gives the strong `ETag` of a body.
    fn with(&self, audit_keys: Arc<[AuditKey]>, tag: impl Fn(&[u8]) -> String) -> Arc<Made> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(made) = made.filter(|made| Arc::ptr_eq(&made.audit_keys, &audit_keys)) {
            return made;
        }
        let mut oauth = self.members.clone();
        let keys: Vec<Value> =
            audit_keys.iter().map(|key| json!({"origin": key.origin, "key": key.to_string()})).collect();
        let add = |document: &mut Value, name: &str, value: Value| {
            document.as_object_mut().map(|members| members.insert(name.to_owned(), value))
        };
        add(&mut oauth, "mintmark_audit_key", keys.into());
        let mut openid = oauth.clone();
        add(&mut openid, "response_types_supported", json!(["none"]));
        add(&mut openid, "subject_types_supported", json!(["public"]));
        let (oauth, openid) = (Document::new(&oauth, &tag), Document::new(&openid, &tag));
        let made = Arc::new(Made { audit_keys, oauth, openid });
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&made));
        made
    }
}

/// Answers with the metadata of RFC 8414.
pub async fn get(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    answer(&request, &made(&door).oauth, &door)
}

/// Answers with the metadata at the path of `OpenID` Connect Discovery.
pub async fn get_openid(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    answer(&request, &made(&door).openid, &door)
}

fn made(door: &Door) -> Arc<Made> {
    let tag = |body: &[u8]| door.services.subkeys().etag(body);
    door.metadata.with(door.services.ledger.audit_keys(), tag)
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
