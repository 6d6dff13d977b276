//! `POST /oauth2/revoke`: a client gives up one of its own tokens (RFC 7009).
//!
//! 200 says that the token is dead, whoever killed it and whenever; it is not said before that is durable.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use super::authenticate::Authenticated;
use super::door::Door;
use super::error::{OAuthError, no_store};
use super::presented::PresentedToken;
use super::unread;
use crate::clients::Credentials;
use crate::kernel::{Caller, Error as RegistryError};
use crate::model::audit::Actor;
use crate::model::reach::Reach;
use crate::services::Services;
use crate::telemetry;
use crate::telemetry::request_id::RequestId;

/// Answers a revocation.
pub async fn post(
    request: HttpRequest,
    caller: Result<Authenticated<PresentedToken>, OAuthError>,
    door: Data<Door>,
) -> HttpResponse {
    let outcome = match &caller {
        Ok(caller) => revoke(&request, caller.credentials(), caller.form().token(), &door.services).await,
        Err(error) => Err(*error),
    };
    match outcome {
        Ok(()) => {
            let mut response = HttpResponse::Ok();
            no_store(&mut response);
            response.finish()
        }
        Err(error) => unread::close_with(&request, error.error_response()),
    }
}

async fn revoke(
    request: &HttpRequest,
    client: &Credentials,
    token: &str,
    services: &Services,
) -> Result<(), OAuthError> {
    services.ledger.must_be_fresh().await.map_err(|error| OAuthError::unavailable(&error))?;
    let claims = match services.issuer.verify_for_anyone(token) {
        Ok(claims) => claims,
        Err(_) if services.issuer.is_other_kind(token) => return Err(OAuthError::UnsupportedTokenType),
        // It opens nothing, which is all that was asked for (RFC 7009 §2.2).
        Err(error) => {
            tracing::debug!(reason = error.code(), "a token to be revoked is dead already");
            return Ok(());
        }
    };
    if *claims.client_id != *client.client_id {
        return Err(OAuthError::InvalidRequest("the token was issued to another client"));
    }
    match services.tokens.revoke_presented_token(&as_caller(request, client), &claims).await {
        // A client that was deleted meanwhile took its tokens along.
        Ok(_) | Err(RegistryError::NotFound(_)) => Ok(()),
        Err(error) => Err(OAuthError::unavailable(&error)),
    }
}

/// The client itself, which may do no more than this.
fn as_caller(request: &HttpRequest, client: &Credentials) -> Caller {
    Caller {
        reach: Reach::Workspace(client.workspace_id.to_string()),
        permissions: Vec::new(),
        actor: Actor {
            name: format!("client:{}", client.client_id),
            request_id: Some(RequestId::of(request).as_str().to_owned()),
            source_ip: telemetry::http::source_ip(request).map(|ip| ip.to_string()),
        },
        client_id: Some(client.client_id.to_string()),
    }
}
