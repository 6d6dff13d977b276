//! `POST /oauth2/revoke`: a client revokes one of its own tokens (RFC 7009).
//!
//! 200 means that the token is not valid, whether or not this request revoked it. A revocation is stored before
//! the reply is sent.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use super::authenticate::Authenticated;
use super::door::Door;
use super::error::{OAuthError, no_store};
use super::presented_token::PresentedToken;
use crate::http::peer;
use crate::kernel::Error;
use crate::model::refusal::Refusal;

/// `POST /oauth2/revoke`
pub async fn post(
    request: HttpRequest,
    caller: Result<Authenticated<PresentedToken>, OAuthError>,
    door: Data<Door>,
) -> HttpResponse {
    let outcome = match &caller {
        Ok(caller) => revoke(&request, caller, &door).await,
        Err(error) => Err(error.clone()),
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
    door: &Door,
) -> Result<(), OAuthError> {
    let services = &door.services;
    let (client, token) = (caller.credentials(), caller.form().token());
    let claims = match services.issuer.verify_to_revoke(*caller.confirmation(), token) {
        Ok(claims) => claims,
        Err(_) if services.issuer.is_other_kind(token) => {
            caller.note_refusal(door, Refusal::UnsupportedTokenType);
            return Err(OAuthError::UnsupportedTokenType);
        }
        // The token is not valid, which is what the client wants (RFC 7009 §2.2).
        Err(error) => {
            tracing::debug!(reason = error.code(), "the token to revoke is not valid");
            return Ok(());
        }
    };
    if *claims.client_id != *client.client_id {
        caller.note_refusal(door, Refusal::TokenOfAnotherClient);
        return Err(OAuthError::InvalidRequest(
            "the token was issued to another client: a client can revoke only its own tokens",
        ));
    }
    // A client may revoke its own tokens without any permission.
    let caller = client.caller(Vec::new(), peer::actor(request, &client.client_id));
    match services.tokens.revoke_presented_token(&caller, &claims).await {
        // The client was deleted in the meantime, and its tokens were revoked with it.
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(OAuthError::unavailable(&error)),
    }
}
