//! Why a request of an API client was refused: one closed list for the log, for the stored refusals and for the counts, with
//! what to do about each. The reply to the client is less exact, so that it reveals nothing about other clients.

use super::clock::UnixSeconds;
use super::secret::SecretFault;

/// Why an OAuth endpoint refused a request. The names are part of the API (`RefusalReason` in `openapi.yaml`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The request has no client id and secret that can be read: it uses no authentication method, or one that is not offered,
    /// or its `Authorization` header cannot be decoded.
    NoUsableCredentials,
    /// The value of `Basic` is the credentials themselves instead of base64 of them.
    BasicNotEncoded,
    /// The value of `Basic` has spaces inside.
    BasicWithSpaces,
    /// The secret cannot be a client secret: its form or its checksum is wrong.
    MalformedSecret(SecretFault),
    /// The text sent as the secret does not begin like a client secret.
    NotAClientSecret,
    /// There is no such client.
    UnknownClient,
    /// The client has no such secret.
    WrongSecret,
    /// The secret has expired.
    ExpiredSecret,
    /// The client is disabled.
    ClientDisabled,
    /// The client's `expires_at` has passed.
    ClientExpired,
    /// The client's workspace is suspended.
    WorkspaceSuspended,
    /// The source address is not in the client's `allowed_ips`.
    AddressNotAllowed,
    /// The request does not have the form that the endpoint requires.
    MalformedRequest,
    /// The grant type is not `client_credentials`.
    UnsupportedGrantType,
    /// The scope does not follow the grammar of RFC 6749 §3.3.
    MalformedScope,
    /// The client requested a scope that it is not granted, or is granted nothing at all.
    ScopeNotGranted,
    /// A resource is not an audience of the scope, or an audience of the scope is not among the resources (RFC 8707).
    TargetNotGranted,
    /// Never-expiring tokens are no longer allowed by the workspace or a product.
    NeverExpiresNotAllowed,
    /// The token to be revoked is not an access token (RFC 7009 §2.2.1).
    UnsupportedTokenType,
    /// The token to be revoked was issued to another client.
    TokenOfAnotherClient,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 23] = [
        Self::NoUsableCredentials,
        Self::BasicNotEncoded,
        Self::BasicWithSpaces,
        Self::MalformedSecret(SecretFault::WhiteSpace),
        Self::MalformedSecret(SecretFault::Length),
        Self::MalformedSecret(SecretFault::Alphabet),
        Self::MalformedSecret(SecretFault::Checksum),
        Self::NotAClientSecret,
        Self::UnknownClient,
        Self::WrongSecret,
        Self::ExpiredSecret,
        Self::ClientDisabled,
        Self::ClientExpired,
        Self::WorkspaceSuspended,
        Self::AddressNotAllowed,
        Self::MalformedRequest,
        Self::UnsupportedGrantType,
        Self::MalformedScope,
        Self::ScopeNotGranted,
        Self::TargetNotGranted,
        Self::NeverExpiresNotAllowed,
        Self::UnsupportedTokenType,
        Self::TokenOfAnotherClient,
    ];

    /// The name on the wire, in storage and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoUsableCredentials => "no_usable_credentials",
            Self::BasicNotEncoded => "basic_not_encoded",
            Self::BasicWithSpaces => "basic_with_spaces",
            Self::MalformedSecret(SecretFault::WhiteSpace) => "white_space_around_secret",
            Self::MalformedSecret(SecretFault::Length) => "secret_of_wrong_length",
            Self::MalformedSecret(SecretFault::Alphabet) => "secret_with_wrong_characters",
            Self::MalformedSecret(SecretFault::Checksum) => "secret_of_wrong_checksum",
            Self::NotAClientSecret => "not_a_client_secret",
            Self::UnknownClient => "unknown_client",
            Self::WrongSecret => "wrong_secret",
            Self::ExpiredSecret => "expired_secret",
            Self::ClientDisabled => "client_disabled",
            Self::ClientExpired => "client_expired",
            Self::WorkspaceSuspended => "workspace_suspended",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::MalformedRequest => "malformed_request",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::MalformedScope => "malformed_scope",
            Self::ScopeNotGranted => "scope_not_granted",
            Self::TargetNotGranted => "target_not_granted",
            Self::NeverExpiresNotAllowed => "never_expires_not_allowed",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::TokenOfAnotherClient => "token_of_another_client",
        }
    }

    /// The reason of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.as_str() == name)
    }

    /// What happened and what to do next, for an administrator.
    pub fn message(self) -> &'static str {
        match self {
            Self::NoUsableCredentials => {
                "The request has no client id and secret that can be read. Enter both in the calling system, and let it send \
                 them in the Authorization header (Basic) or in the body."
            }
            Self::BasicNotEncoded => {
                "The Authorization header has client_id:client_secret as plain text. Let the calling system encode it in \
                 base64."
            }
            Self::BasicWithSpaces => {
                "The value of the Authorization header has spaces inside. Let the calling system send the base64 text in one \
                 piece, without line ends."
            }
            Self::MalformedSecret(SecretFault::WhiteSpace) => {
                "The secret has white space or a line end before or after it. Enter it again in the calling system without \
                 them."
            }
            Self::MalformedSecret(SecretFault::Length) => {
                "The secret is not complete or has something added: a secret has 53 characters. Check that the field of the \
                 calling system is long enough, and enter the secret again."
            }
            Self::MalformedSecret(SecretFault::Alphabet) => {
                "The secret has a character that no secret has: after mms_, a secret has only letters and digits. Enter it \
                 again in the calling system."
            }
            Self::MalformedSecret(SecretFault::Checksum) => {
                "A character of the secret is wrong. Copy it again, or add a new secret and enter that one in the calling \
                 system."
            }
            Self::NotAClientSecret => {
                "What was sent as the client secret is something else: a client secret begins with mms_. Enter a secret of the \
                 client in the calling system."
            }
            Self::UnknownClient => {
                "There is no API client with this id; it may have been deleted. Compare the client id in the calling system \
                 with the id of the client in Mintmark."
            }
            Self::WrongSecret => {
                "The secret is not one of this client's; it may have been deleted. Compare its last four characters with \
                 those of the client's secrets. If it is lost, add a new secret and enter it in the calling system."
            }
            Self::ExpiredSecret => {
                "The secret has expired. Add a new secret and enter it in the calling system."
            }
            Self::ClientDisabled => "The API client is disabled. Enable it to let it have tokens again.",
            Self::ClientExpired => {
                "The API client has expired. Set its expires_at to a later time, or to null, to let it have tokens again."
            }
            Self::WorkspaceSuspended => {
                "The workspace is suspended. An administrator of the platform can set its status to active."
            }
            Self::AddressNotAllowed => {
                "The request came from an address that is not among the allowed addresses (allowed_ips) of the \
                 client. If the address is right, add it or its network there."
            }
            Self::MalformedRequest => {
                "The request does not have the form that the endpoint requires. Correct it in the calling system."
            }
            Self::UnsupportedGrantType => {
                "The calling system sent a grant_type other than client_credentials. Set it to client_credentials."
            }
            Self::MalformedScope => {
                "The scope has characters that no scope has. Write scope names with a space between them, or leave the field \
                 empty to get all that is granted."
            }
            Self::ScopeNotGranted => {
                "The client asked for a scope that it is not granted, or it is granted nothing. Add the product or the \
                 permission to the client, or leave the scope empty in the calling system to get all that is granted."
            }
            Self::TargetNotGranted => {
                "The resources that the client named are not exactly the audiences of the scope. Leave resource out in the \
                 calling system, or name each audience exactly as the product has it."
            }
            Self::NeverExpiresNotAllowed => {
                "The tokens of this client never expire, and its workspace or a product no longer allows that. Give the \
                 client a token_expiry with an end."
            }
            Self::UnsupportedTokenType => {
                "The client asked to revoke something other than an access token. Only access tokens can be revoked."
            }
            Self::TokenOfAnotherClient => {
                "The client asked to revoke a token of another client. A client can revoke only its own tokens."
            }
        }
    }

    /// Whether the client had authenticated when its request was refused, so that its secret counts as used.
    pub fn is_after_authentication(self) -> bool {
        matches!(
            self,
            Self::UnsupportedGrantType
                | Self::MalformedScope
                | Self::ScopeNotGranted
                | Self::TargetNotGranted
                | Self::NeverExpiresNotAllowed
                | Self::UnsupportedTokenType
                | Self::TokenOfAnotherClient
        )
    }

    /// Whether the client was found before the request was refused. Otherwise the client id in the request may be any text.
    pub fn is_of_known_client(self) -> bool {
        !matches!(
            self,
            Self::NoUsableCredentials
                | Self::BasicNotEncoded
                | Self::BasicWithSpaces
                | Self::MalformedSecret(_)
                | Self::NotAClientSecret
                | Self::UnknownClient
                | Self::MalformedRequest
        )
    }
}

/// Which endpoint refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /oauth2/token`
    Token,
    /// `POST /oauth2/introspect`
    Introspect,
    /// `POST /oauth2/revoke`
    Revoke,
}

impl Endpoint {
    /// Every endpoint at which clients authenticate.
    pub const ALL: [Self; 3] = [Self::Token, Self::Introspect, Self::Revoke];

    /// The name on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
        }
    }

    /// The endpoint of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.as_str() == name)
    }
}

/// One refused request. It never has a whole secret or a token in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// UUIDv7.
    pub failure_id: String,
    /// The client that the request named, if it named one; it need not exist.
    pub client_id: Option<String>,
    /// The workspace of the client; `None` if there is no such client.
    pub workspace_id: Option<String>,
    /// When.
    pub at: UnixSeconds,
    /// By which endpoint.
    pub endpoint: Endpoint,
    /// Why.
    pub reason: Refusal,
    /// What the reply to a malformed request says.
    pub detail: Option<String>,
    /// Where it came from, if that is known.
    pub source_ip: Option<String>,
    /// The last four characters of the secret that was sent, if it has the form of a client secret.
    pub secret_last_four: Option<String>,
    /// The request, as in `X-Request-Id`.
    pub request_id: String,
}

impl Failure {
    /// What happened and what to do next, for an administrator.
    pub fn message(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} The reply to the request says: {detail}.", self.reason.message()),
            None => self.reason.message().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_name_and_a_text_of_its_own_and_endpoints_are_read_by_name() {
        for (at, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(Refusal::named(refusal.as_str()), Some(refusal));
            let before = &Refusal::ALL[..at];
            assert!(before.iter().all(|other| other.message() != refusal.message()), "{refusal:?}");
            assert!(refusal.message().ends_with('.') && !refusal.message().contains("  "), "{refusal:?}");
        }
        // The name of `usage::Outcome::Issued`, which must not be the name of a refusal.
        assert_eq!(Refusal::named("issued"), None);
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::named(endpoint.as_str()), Some(endpoint));
        }
    }
}
