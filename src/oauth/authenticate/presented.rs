//! The credentials that a client presents. A request uses exactly one authentication method: more than one is refused
//! even if each would succeed (RFC 6749 §2.3).

use std::fmt;

use actix_web::http::header::{self, HeaderMap};
use zeroize::Zeroizing;

use super::{basic, post};
use crate::oauth::error::OAuthError;
use crate::oauth::form::Once;

/// The credentials of a request, not yet verified. One variant for each authentication method.
#[derive(Debug)]
pub(super) enum Presented {
    /// A client secret, in the `Authorization` header or in the body.
    Secret(ClientSecret),
}

impl Presented {
    /// Reads the credentials of a request. `None` if there are none, or if they cannot be those of any client.
    ///
    /// # Errors
    /// `invalid_request` for more than one method, or for client ids that differ.
    pub(super) fn read(headers: &HeaderMap, in_body: InBody) -> Result<Option<Self>, OAuthError> {
        let mut headers = headers.get_all(header::AUTHORIZATION);
        let authorization = headers.next();
        if headers.next().is_some() {
            return Err(OAuthError::InvalidRequest("more than one Authorization header was sent: send one"));
        }
        let client_id = in_body.id.take();
        let client_secret = in_body.secret.take();
        let assertion = in_body.assertion.take().or(in_body.assertion_type.take());
        match (authorization, client_secret, assertion) {
            (None, Some(client_secret), None) => {
                post::read(client_id.as_deref(), &Zeroizing::new(client_secret)).map(Some)
            }
            (Some(authorization), None, None) => {
                let presented = basic::read(authorization.as_bytes());
                if let (Some(presented), Some(in_body)) = (&presented, &client_id)
                    && presented.client_id() != in_body
                {
                    return Err(OAuthError::InvalidRequest(
                        "client_id differs between the body and the Authorization header: send it in one place",
                    ));
                }
                Ok(presented)
            }
            // Assertions are not supported, as the metadata says.
            (None, None, _) => Ok(None),
            _ => Err(OAuthError::InvalidRequest(
                "more than one client authentication method was used: send the secret either in the Authorization header or in the body",
            )),
        }
    }

    /// The client that the request claims to come from.
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Secret(secret) => secret.client_id(),
        }
    }
}

/// A client id and its secret, in one buffer that is wiped when it is dropped. `Debug` does not print the secret.
pub(super) struct ClientSecret {
    /// `client_id:client_secret`
    text: Zeroizing<String>,
    /// Where the client id ends; it may contain a colon itself.
    colon: usize,
}

impl ClientSecret {
    pub(super) fn new(client_id: &str, client_secret: &str) -> Self {
        let mut text = String::with_capacity(client_id.len() + 1 + client_secret.len());
        text.extend([client_id, ":", client_secret]);
        Self { text: Zeroizing::new(text), colon: client_id.len() }
    }

    pub(super) fn client_id(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    pub(super) fn client_secret(&self) -> &str {
        self.text.get(self.colon + 1..).unwrap_or_default()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSecret").field("client_id", &self.client_id()).finish_non_exhaustive()
    }
}

/// The parameters of the body that authenticate the client.
#[derive(Debug, Default)]
pub(super) struct InBody {
    id: Once,
    secret: Once,
    assertion: Once,
    assertion_type: Once,
}

impl InBody {
    /// Where to store the parameter `name`, and the error if it is sent twice.
    pub(super) fn parameter(&mut self, name: &str) -> Option<(&mut Once, &'static str)> {
        match name {
            "client_id" => Some((&mut self.id, "client_id was sent twice: send it once")),
            "client_secret" => Some((&mut self.secret, "client_secret was sent twice: send it once")),
            "client_assertion" => {
                Some((&mut self.assertion, "client_assertion was sent twice: send it once"))
            }
            "client_assertion_type" => {
                Some((&mut self.assertion_type, "client_assertion_type was sent twice: send it once"))
            }
            _ => None,
        }
    }
}
