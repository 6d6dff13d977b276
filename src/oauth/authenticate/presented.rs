//! What a client presents to prove who it is. A request uses exactly one authentication method: more than one is refused even
//! if each would succeed (RFC 6749 §2.3). Exactly the same id and secret in two places count as one method.

use std::fmt;

use actix_web::http::header::{self, HeaderMap};
use zeroize::Zeroizing;

use super::{basic, post};
use crate::model::refusal::Refusal;
use crate::oauth::error::OAuthError;
use crate::oauth::failures::{self, Sender};
use crate::oauth::form::Once;
use crate::oauth::json_form::Member;

const MORE_THAN_ONE: OAuthError = OAuthError::InvalidRequest(
    "more than one client authentication method was used: send the secret either in the Authorization header or in the body",
);

/// The credentials of a request, not yet verified. One variant for each kind of credentials.
#[derive(Debug)]
pub(super) enum Presented {
    /// A client secret, in the `Authorization` header or in the body.
    Secret(ClientSecret),
}

impl Presented {
    /// Reads the credentials of the one method that a request uses.
    ///
    /// The inner error says why the request has no credentials that can be verified.
    ///
    /// # Errors
    /// `invalid_request` for more than one method or `Authorization` header, for a secret in the body without a client id, and
    /// for two client ids that differ.
    pub(super) fn read(headers: &HeaderMap, in_body: InBody) -> Result<Result<Self, Refusal>, OAuthError> {
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
                post::read(client_id.as_deref(), &Zeroizing::new(client_secret)).map(Ok)
            }
            (Some(authorization), Some(client_secret), None) => {
                let (presented, client_secret) =
                    (basic::read(authorization.as_bytes()), Zeroizing::new(client_secret));
                match (&presented, client_id) {
                    // Some clients send the same credentials in both places, which is unambiguous.
                    (Ok(Self::Secret(secret)), Some(client_id))
                        if secret.client_id() == client_id && secret.client_secret() == &**client_secret =>
                    {
                        Ok(presented)
                    }
                    _ => Err(MORE_THAN_ONE),
                }
            }
            (Some(authorization), None, None) => {
                let presented = basic::read(authorization.as_bytes());
                if let (Ok(presented), Some(in_body)) = (&presented, &client_id)
                    && presented.client_id() != in_body
                {
                    return Err(OAuthError::InvalidRequest(
                        "client_id differs between the body and the Authorization header: send it in one place",
                    ));
                }
                Ok(presented)
            }
            // No secret was sent. An assertion is not accepted as proof, since the metadata does not offer assertions.
            (None, None, _) => Ok(Err(Refusal::NoUsableCredentials)),
            _ => Err(MORE_THAN_ONE),
        }
    }

    /// The client that the request claims to come from.
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Secret(secret) => secret.client_id(),
        }
    }

    /// The last four characters of the secret, which must have been verified.
    pub(super) fn last_four(&self) -> Option<[u8; 4]> {
        match self {
            Self::Secret(secret) => secret.client_secret().as_bytes().last_chunk().copied(),
        }
    }

    /// Who sent the credentials, as far as the administrators of the client may see it.
    pub(super) fn sender(&self) -> Sender<'_> {
        match self {
            Self::Secret(secret) => Sender {
                client_id: secret.client_id(),
                secret_last_four: failures::last_four(secret.client_secret()),
            },
        }
    }
}

/// A client id and its secret, in one buffer that is wiped when it is dropped. `Debug` does not print the secret.
pub(super) struct ClientSecret {
    /// `client_id:client_secret`
    text: Zeroizing<String>,
    /// The index of the colon after the client id, which may contain a colon itself.
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
    /// The rules for the JSON member of that name; `None` if it does not authenticate the client.
    pub(super) fn member(name: &str) -> Option<Member> {
        Some(Member::string(match name {
            "client_id" => "client_id must be a string",
            "client_secret" => "client_secret must be a string",
            "client_assertion" => "client_assertion must be a string",
            "client_assertion_type" => "client_assertion_type must be a string",
            _ => return None,
        }))
    }

    /// Where the parameter of that name is stored, and the error if it was sent before; `None` if it does not authenticate the
    /// client.
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
