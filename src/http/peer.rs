//! The sender of a request, as the audit trail names it.

use actix_web::HttpMessage;

use crate::model::audit::Actor;
use crate::telemetry;
use crate::telemetry::request_id::RequestId;

/// The API client `client_id` as the actor of what `request` changes.
pub(crate) fn actor(request: &impl HttpMessage, client_id: &str) -> Actor {
    Actor {
        name: format!("client:{client_id}"),
        request_id: Some(RequestId::of(request).as_str().to_owned()),
        source_ip: telemetry::http::source_ip(request).map(|ip| ip.to_string()),
    }
}
