//! The reasons for which a sign-in by a provider is refused.

/// Why a sign-in by a provider was refused. The texts are for administrators who set up the provider, which is the "it" in
/// them: they name what was wrong, and contain nothing of a token or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("its metadata cannot be used: {0}")]
    Metadata(&'static str),
    #[error("its key set cannot be used: {0}")]
    Keys(&'static str),
    #[error("the request to it failed: {0}")]
    Unreachable(String),
    #[error("its reply has the status {0}")]
    Status(u16),
    #[error("it refused the token request ({0})")]
    Code(String),
    #[error("its token reply has no ID token")]
    NoIdToken,
    #[error("its reply cannot be read: {0}")]
    Reply(&'static str),
    #[error("its reply comes from another issuer (iss)")]
    ReplyIssuer,
    #[error("its ID token cannot be read: {0}")]
    Malformed(&'static str),
    #[error("its ID token is signed with an algorithm that is not accepted or does not fit the key (alg)")]
    Algorithm,
    #[error("its ID token does not name exactly one of the signing keys that it publishes (kid)")]
    UnknownKey,
    #[error("the signature of its ID token is wrong")]
    Signature,
    #[error("its ID token is from another issuer (iss)")]
    Issuer,
    #[error("its ID token is for another service (aud)")]
    Audience,
    #[error("its ID token was given to another service (azp)")]
    AuthorizedParty,
    #[error("its ID token has expired (exp)")]
    Expired,
    #[error("its ID token was not issued just now, or is not valid yet (iat, nbf): check the clocks")]
    IssuedAt,
    #[error("its ID token is for another sign-in (nonce)")]
    Nonce,
    #[error("it does not say that you proved just now who you are (auth_time)")]
    AuthTime,
}
