//! `POST /oauth2/introspect`: whether a token is valid, and its claims (RFC 7662); signed if the client asks for a JWT
//! (RFC 9701).
//!
//! A client may introspect its own tokens, and with `mintmark:introspect` those of its workspace (a client of the workspace
//! `platform`: those of all workspaces). For a token that is not valid, or that the client may not introspect, the reply is the
//! same: the token is not active.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use mintmark_verifier::AccessTokenClaims;
use mintmark_verifier::claims::ClaimsRef;
use serde::Serialize;

use super::authenticate::Authenticated;
use super::door::Door;
use super::error::{OAuthError, no_store};
use super::presented_token::PresentedToken;
use crate::clients::Credentials;
use crate::http::negotiate;
use crate::issuance::IssueError;
use crate::ledger::Confirmed;
use crate::model::scope::Permission;
use crate::model::workspace::PLATFORM;
use crate::services::Services;
use crate::tokens::Validity;

const JSON: &str = "application/json";
const SIGNED: &str = "application/token-introspection+jwt";

/// The reply. For a token that is not active, it has no member but `active`.
#[derive(Serialize)]
struct Reply<'a> {
    active: bool,
    #[serde(flatten)]
    token: Option<Active<'a>>,
}

/// The members of RFC 7662 §2.2, and Mintmark's own claims.
#[derive(Serialize)]
struct Active<'a> {
    token_type: &'static str,
    #[serde(flatten)]
    claims: ClaimsRef<'a, &'a [String], &'a [String]>,
}

impl<'a> Active<'a> {
    fn new(claims: &'a AccessTokenClaims) -> Self {
        let is_dpop = claims.cnf.as_ref().is_some_and(|cnf| cnf.jkt.is_some());
        // A token that never expires may have an `exp` in the far future, for verifiers that require one. It is left out here.
        let exp = claims.exp.filter(|_| !claims.never_expires);
        Self {
            token_type: if is_dpop { "DPoP" } else { "Bearer" },
            claims: ClaimsRef { exp, ..claims.as_claims_ref() },
        }
    }
}

/// `POST /oauth2/introspect`
pub async fn post(
    request: HttpRequest,
    caller: Result<Authenticated<PresentedToken>, OAuthError>,
    door: Data<Door>,
) -> HttpResponse {
    let answer = match &caller {
        Ok(caller) => answer(&request, caller, &door.services).await,
        Err(error) => Err(error.clone()),
    };
    answer.unwrap_or_else(|error| error.error_response())
}

async fn answer(
    request: &HttpRequest,
    caller: &Authenticated<PresentedToken>,
    services: &Services,
) -> Result<HttpResponse, OAuthError> {
    let asker = caller.credentials();
    let claims = active(caller.form().token(), asker, *caller.confirmation(), services).await?;
    let reply = Reply { active: claims.is_some(), token: claims.as_ref().map(Active::new) };
    let mut response = HttpResponse::Ok();
    no_store(&mut response);
    // A request that names the signed form gets it (RFC 9701 §4), unless JSON has a higher weight.
    if negotiate::names_media_type(request, SIGNED, JSON) {
        let signed = services.issuer.sign_introspection(&asker.client_id, &reply).map_err(|error| {
            if matches!(error, IssueError::NoKey) {
                tracing::error!(
                    failure = "no_key",
                    "an introspection reply cannot be signed: no active key for expiring tokens has the platform's algorithm"
                );
            }
            OAuthError::Unavailable
        })?;
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(SIGNED)));
        return Ok(response.body(signed));
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(JSON)));
    let body = serde_json::to_vec(&reply).map_err(|error| {
        tracing::error!(%error, "an introspection reply could not be written");
        OAuthError::Unavailable
    })?;
    Ok(response.body(body))
}

/// The claims of `token`, if it is valid and `asker` may introspect it.
async fn active(
    token: &str,
    asker: &Credentials,
    confirmed: Confirmed,
    services: &Services,
) -> Result<Option<AccessTokenClaims>, OAuthError> {
    let claims = match services.issuer.verify_any_audience(confirmed, token) {
        Ok(claims) => claims,
        Err(error) => return Ok(inactive(error.code())),
    };
    if !may_see(asker, &claims) {
        return Ok(inactive("caller_may_not_introspect_it"));
    }
    match services
        .tokens
        .validity(confirmed, &claims)
        .await
        .map_err(|error| OAuthError::unavailable(&error))?
    {
        Validity::Active(_) => Ok(Some(claims)),
        Validity::Inactive(reason) => Ok(inactive(reason.as_str())),
    }
}

fn inactive(reason: &'static str) -> Option<AccessTokenClaims> {
    tracing::debug!(reason, "the reply to an introspection is that the token is not active");
    None
}

/// A client may introspect its own tokens; with `mintmark:introspect` those of its workspace, and if it belongs to the
/// workspace `platform`, those of all workspaces.
fn may_see(asker: &Credentials, claims: &AccessTokenClaims) -> bool {
    *claims.client_id == *asker.client_id
        || (asker.permissions.contains(&Permission::Introspect)
            && (*asker.workspace_id == *PLATFORM || *claims.workspace_id == *asker.workspace_id))
}
