//! Why a token was refused, and what a resource server answers for it (RFC 6750 §3.1).

use thiserror::Error;

use crate::Unavailable;

/// Why a token was refused. [`VerifyError::code`] is stable and fit for logs and metrics; the text names no
/// part of the token. Reasons may be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not a compact JWS with a JSON header and payload, or too long, or with a member given twice.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// The header's `typ` is not that of an access token (RFC 9068 §2.1), so it is a token of another kind.
    #[error("the token's typ is not that of an access token")]
    WrongType,
    /// The header's `alg` is none, unknown, or not the one its key is for (RFC 8725 §3.1).
    #[error("the token's algorithm is not that of its key")]
    AlgorithmRefused,
    /// The issuer publishes no such key.
    #[error("the token's key is not among the issuer's")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the token's signature does not match")]
    BadSignature,
    /// A required claim is missing, of the wrong type, or at odds with another.
    #[error("the token's claims are not those of an access token: {0}")]
    InvalidClaims(&'static str),
    /// `iss` is another issuer.
    #[error("the token was issued by another issuer")]
    WrongIssuer,
    /// `aud` does not name this service.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `iat` or `nbf` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It never expires, and this service did not opt in to such tokens.
    #[error("the token never expires, which is not accepted here")]
    NeverExpiresRefused,
    /// It is bound to a key (`cnf`), and this service did not say that it checks the proof.
    #[error("the token is bound to a key whose proof is not checked here")]
    ProofRequired,
    /// It does not open the product that is demanded.
    #[error("the token does not open the product {0}")]
    MissingProduct(String),
    /// The issuer's keys could not be had, or are older than the bound: nothing can be said about the token.
    #[error("the issuer's keys are not available: {0}")]
    KeysUnavailable(Unavailable),
    /// It has no `status` claim, so nobody could learn of its revocation.
    #[error("the token names no status list")]
    StatusMissing,
    /// Its status list says that it was revoked (Token Status List, draft-21 §7.1: 1, INVALID).
    #[error("the token was revoked")]
    Revoked,
    /// Its status list says that it is suspended (2), as while its client is disabled. It may hold again later.
    #[error("the token is suspended")]
    Suspended,
    /// Its status list says something of it that is not known here.
    #[error("the token's status {0} is not known here")]
    UnknownStatus(u8),
    /// The token's status list could not be had, or is older than it may be: nothing can be said about the token.
    #[error("the token's status is not available: {0}")]
    StatusUnavailable(Unavailable),
}

/// What a resource server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 401, `error="invalid_token"`.
    InvalidToken,
    /// 403, `error="insufficient_scope"`.
    InsufficientScope,
    /// 503: it cannot know, so it neither accepts nor refuses the token.
    CannotKnow,
}

impl VerifyError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongType => "wrong_type",
            Self::AlgorithmRefused => "algorithm_refused",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::InvalidClaims(_) => "invalid_claims",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NeverExpiresRefused => "never_expires_refused",
            Self::ProofRequired => "proof_required",
            Self::MissingProduct(_) => "missing_product",
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::StatusMissing => "status_missing",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::UnknownStatus(_) => "unknown_status",
            Self::StatusUnavailable(_) => "status_unavailable",
        }
    }

    /// The `WWW-Authenticate` value that goes with the answer (RFC 6750 §3); none with 503.
    pub fn challenge(&self) -> Option<String> {
        let error = self.answer().error()?;
        Some(match self {
            // A product code is the scope token that opens it.
            Self::MissingProduct(product) if is_scope_token(product) => {
                format!(r#"Bearer error="{error}", scope="{product}""#)
            }
            Self::MissingProduct(_) => format!(r#"Bearer error="{error}""#),
            _ => format!(r#"Bearer error="{error}", error_description="{self}""#),
        })
    }

    /// The answer it calls for.
    pub fn answer(&self) -> Answer {
        match self {
            Self::MissingProduct(_) => Answer::InsufficientScope,
            Self::KeysUnavailable(_) | Self::StatusUnavailable(_) => Answer::CannotKnow,
            _ => Answer::InvalidToken,
        }
    }
}

impl Answer {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::CannotKnow => 503,
        }
    }

    /// The RFC 6750 §3.1 error code; `None` for [`Answer::CannotKnow`], for which there is none.
    pub fn error(self) -> Option<&'static str> {
        match self {
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::CannotKnow => None,
        }
    }
}

/// RFC 6749 §3.3: what may stand in a scope, and so in a header.
fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}
