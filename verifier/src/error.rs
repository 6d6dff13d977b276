//! Why a token was refused, and what a resource server answers for it (RFC 6750 §3.1).

use thiserror::Error;

use crate::Unavailable;

/// Why a token was refused. [`VerifyError::code`] is stable, for logs and metrics. The text contains no part of the
/// token except the URL of its status list. Variants may be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not a compact JWS with a JSON header and payload, or too long, or a member occurs twice, or the header has no `kid`
    /// or has `crit`.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// The header's `typ` is not that of an access token (RFC 9068 §2.1): it is a JWT for another purpose.
    #[error("the token's typ is not that of an access token")]
    WrongType,
    /// The header's `alg` is missing, `none`, unknown, or not the `alg` of the key (RFC 8725 §3.1).
    #[error("the token's alg is not that of its key")]
    AlgorithmRefused,
    /// The issuer publishes no usable key with this `kid`.
    #[error("the token's kid is not in the issuer's key set")]
    UnknownKey,
    /// The signature does not verify with the key.
    #[error("the token's signature is not valid")]
    BadSignature,
    /// A claim is missing, has a wrong type or value, or contradicts another.
    #[error("the token's claims are not valid: {0}")]
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
    /// It never expires, and [`allow_never_expiring`](crate::VerifierBuilder::allow_never_expiring) is off.
    #[error("the token never expires, which this service does not accept: use one that expires")]
    NeverExpiresRefused,
    /// It is bound to a key (`cnf`), and [`allow_bound`](crate::VerifierBuilder::allow_bound) is off.
    #[error("the token is bound to a key (cnf), which this service does not accept: use one that is not")]
    BoundRefused,
    /// It does not include a product that is required.
    #[error("the token does not include the product {0}")]
    MissingProduct(String),
    /// The issuer's keys cannot be fetched or read, or are too old, so the token cannot be checked.
    #[error("the issuer's keys are not available: {0}")]
    KeysUnavailable(Unavailable),
    /// It has no `status` claim, so a revocation would go unnoticed.
    #[error("the token has no status claim")]
    StatusMissing,
    /// Its status is 1, INVALID: it was revoked (Token Status List, draft-21 §7.1).
    #[error("the token was revoked")]
    Revoked,
    /// Its status is 2, SUSPENDED, as while its client is disabled. It may become valid again.
    #[error("the token is suspended")]
    Suspended,
    /// Its status is a value other than 0, 1 and 2.
    #[error("the token's status {0} is unknown")]
    UnknownStatus(u8),
    /// Its status list cannot be fetched, is not valid, or is too old, so the token cannot be checked.
    #[error("the token's status is not available: {0}")]
    StatusUnavailable(Unavailable),
}

/// The answer of a resource server to a token that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 401, `error="invalid_token"`.
    InvalidToken,
    /// 403, `error="insufficient_scope"`.
    InsufficientScope,
    /// 503: the token cannot be checked at present.
    Unavailable,
}

impl VerifyError {
    /// A name for logs and metrics, which does not change between versions.
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
            Self::BoundRefused => "bound_refused",
            Self::MissingProduct(_) => "missing_product",
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::StatusMissing => "status_missing",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::UnknownStatus(_) => "unknown_status",
            Self::StatusUnavailable(_) => "status_unavailable",
        }
    }

    /// The `WWW-Authenticate` value of the answer (RFC 6750 §3); `None` for 503.
    pub fn challenge(&self) -> Option<String> {
        let error = self.answer().error()?;
        Some(match self {
            // The scope token of a product is its code.
            Self::MissingProduct(product) if is_scope_token(product) => {
                format!(r#"Bearer error="{error}", scope="{product}""#)
            }
            Self::MissingProduct(_) => format!(r#"Bearer error="{error}""#),
            _ => format!(r#"Bearer error="{error}", error_description="{self}""#),
        })
    }

    /// What to answer the caller.
    pub fn answer(&self) -> Answer {
        match self {
            Self::MissingProduct(_) => Answer::InsufficientScope,
            Self::KeysUnavailable(_) | Self::StatusUnavailable(_) => Answer::Unavailable,
            _ => Answer::InvalidToken,
        }
    }
}

impl Answer {
    /// The HTTP status code.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::Unavailable => 503,
        }
    }

    /// The error code of RFC 6750 §3.1; `None` for [`Answer::Unavailable`].
    pub fn error(self) -> Option<&'static str> {
        match self {
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::Unavailable => None,
        }
    }
}

/// Whether this is a scope token (RFC 6749 §3.3), and so safe to quote in a header.
fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}
