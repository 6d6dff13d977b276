//! `POST /oauth2/revoke`: a client gives up one of its own tokens (RFC 7009).
//!
//! 200 says that the token is dead, whoever killed it and whenever; it is not said before that is durable.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use super::authenticate::Authenticated;
use super::door::Door;
use super::error::{OAuthError, no_store};
use super::presented_token::PresentedToken;
use crate::http::peer;
use crate::kernel::Error;
use crate::services::Services;

/// Answers a revocation.
pub async fn post(
    request: HttpRequest,
    caller: Result<Authenticated<PresentedToken>, OAuthError>,
    door: Data<Door>,
) -> HttpResponse {
    let outcome = match &caller {
        Ok(caller) => revoke(&request, caller, &door.services).await,
        Err(error) => Err(*error),
    };
    match outcome {
        Ok(()) => {
            let mut response = HttpResponse::Ok();
            no_store(&mut response);
            response.finish()
        }
        Err(error) => error.error_response(),
    }
}

async fn revoke(
    request: &HttpRequest,
    caller: &Authenticated<PresentedToken>,
    services: &Services,
) -> Result<(), OAuthError> {
    let (client, token) = (caller.credentials(), caller.form().token());
    let claims = match services.issuer.verify_any_audience(*caller.confirmation(), token) {
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
    // The client itself, without any permission: it may revoke its own tokens.
    let caller = client.caller(Vec::new(), peer::actor(request, &client.client_id));
    match services.tokens.revoke_presented_token(&caller, &claims).await {
        // A client that was deleted meanwhile took its tokens along.
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(OAuthError::unavailable(&error)),
    }
}
