//! The lifetime of a client's tokens: a number of seconds, or without end.

use serde::{Deserialize, Serialize};

/// The shortest and the longest finite lifetime of a token, in seconds: a minute and 365 days.
pub const LIFETIME_RANGE: std::ops::RangeInclusive<i64> = 60..=31_536_000;

/// The longest lifetime of a token with a `mintmark:` scope, in seconds.
pub const PERMISSION_LIFETIME_MAX: i64 = 3600;

/// The `token_expiry` of an API client: `{"mode":"after","seconds":3600}` or `{"mode":"never"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub enum TokenExpiry {
    /// Tokens are valid for this many seconds.
    After {
        /// Lifetime in seconds, within [`LIFETIME_RANGE`].
        seconds: i64,
    },
    /// Tokens never expire; they are valid until they are revoked.
    Never {},
}

impl TokenExpiry {
    /// Whether this is the never-expires mode.
    pub fn is_never(self) -> bool {
        matches!(self, Self::Never {})
    }

    /// The lifetime in seconds; `None` if tokens never expire.
    pub fn seconds(self) -> Option<i64> {
        match self {
            Self::After { seconds } => Some(seconds),
            Self::Never {} => None,
        }
    }

    /// The inverse of [`TokenExpiry::seconds`], which is the form in which the lifetime is stored.
    pub fn from_seconds(seconds: Option<i64>) -> Self {
        seconds.map_or(Self::Never {}, |seconds| Self::After { seconds })
    }
}
