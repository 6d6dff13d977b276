//! Why a use case failed. Each door (`oauth`, `manage`, `console`, `cli`) has one place that maps it to what its
//! users read.

use thiserror::Error;

use crate::model::field_errors::{FieldError, FieldErrors};
use crate::model::scope::Permission;
use crate::storage::StorageError;
use crate::vault::random::RandomUnavailable;
use crate::vault::seal::SealError;

/// A use case that failed. Nothing was changed, unless the use case works in several transactions and says what stays.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such record within the caller's reach.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Some of the records that a request names do not exist within the caller's reach; all missing ones are listed.
    #[error("not found: {}", .0.iter().map(|i| format!("{} {}", i.pointer, i.detail)).collect::<Vec<_>>().join("; "))]
    NotFoundAmong(Vec<FieldError>),
    /// Other records do not allow the change; the text says what to do first.
    #[error("{0}")]
    Conflict(String),
    /// Fields break their rules; all of them are listed, or the first 500.
    #[error("{} invalid: {}", if .0.len() == 1 { "a field is" } else { "fields are" }, .0.iter().map(|i| format!("{} {}", i.pointer, i.detail)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// Values that are valid but not supported by this version; refused rather than accepted and ignored.
    #[error("not supported yet: {}", .0.iter().map(|i| format!("{} {}", i.pointer, i.detail)).collect::<Vec<_>>().join("; "))]
    NotSupportedYet(Vec<FieldError>),
    /// The caller may not do this.
    #[error("{0}")]
    Denied(String),
    /// The caller does not have a permission that this needs.
    #[error("this needs the permission {0}: request a token with scope={0} from an API client that has it")]
    Lacks(Permission),
    /// The caller lacks a permission of the API client that it acts on, or a permission that it grants.
    #[error("{why}: request a token with scope=\"{}\" from an API client that holds these permissions", scope(.needed))]
    LacksSome {
        /// What the caller may not do, in words.
        why: &'static str,
        /// The permissions that the caller's token needs for it.
        needed: Vec<Permission>,
    },
    /// The record changed since the caller read it (`If-Match`).
    #[error("the record has changed since it was read: read it again and repeat the change")]
    Changed,
    /// The API client or its signing key was changed twice during the request.
    #[error("the API client or its signing key was changed at the same time, twice: repeat the request")]
    ChangedAgain,
    /// Another request with the same idempotency key was first.
    #[error("another request with this idempotency key came first")]
    AlreadyAnswered,
    /// No checkpoint of the audit trail covers the requested entry yet.
    #[error("no checkpoint of the audit trail covers this yet: repeat the request in a minute")]
    NotCovered,
    /// The change counter was not confirmed for too long; answers might be out of date.
    #[error("the database has not answered for too long: repeat the request later")]
    Stale,
    /// The clock of this machine cannot be trusted for this; the text says why.
    #[error("{0}")]
    Clock(&'static str),
    /// The transaction that writes a token together with other tokens failed; the text is the reason.
    #[error("{0}")]
    SharedTransaction(String),
    /// Storage failed.
    #[error("{0}")]
    Storage(#[source] StorageError),
    /// There are no random numbers, something sealed does not open, or a key cannot sign.
    #[error("{0}")]
    Crypto(String),
}

/// Permissions as a `scope` (RFC 6749 §3.3).
pub(crate) fn scope(permissions: &[Permission]) -> String {
    permissions.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(" ")
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            // Another change was first: a row exists already, is still referred to, or refers to one that was deleted.
            StorageError::Conflict(_) => Self::Conflict(
                "another request changed the record at the same time: read it again, then repeat the change"
                    .to_owned(),
            ),
            other => Self::Storage(other),
        }
    }
}

impl From<RandomUnavailable> for Error {
    fn from(error: RandomUnavailable) -> Self {
        Self::Crypto(error.to_string())
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        Self::Crypto(error.to_string())
    }
}

impl Error {
    /// The kind of failure, for the log: for example, whether the database does not answer (`stall`) or refuses (`refusal`).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Stale => "stale",
            Self::Clock(_) => "clock",
            Self::Crypto(_) => "crypto",
            _ => "other",
        }
    }

    /// An error of one field.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, detail)])
    }

    /// Fails with all field errors, if there are any.
    pub fn if_any(errors: FieldErrors) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self::Invalid(errors.into_vec())) }
    }
}
