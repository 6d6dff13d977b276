//! A client id and secret in the body: `client_secret_post` (RFC 6749 §2.3.1).

use super::presented::{ClientSecret, Presented};
use crate::oauth::error::OAuthError;

/// The credentials in `client_id` and `client_secret`.
///
/// # Errors
/// `invalid_request` for a secret without a client id.
pub(super) fn read(client_id: Option<&str>, client_secret: &str) -> Result<Presented, OAuthError> {
    let client_id =
        client_id.ok_or(OAuthError::InvalidRequest("client_secret was sent without client_id: send both"))?;
    Ok(Presented::Secret(ClientSecret::new(client_id, client_secret)))
}
