//! Settings that rules depend on, in the form that services use.

use crate::model::expiry::TokenExpiry;
use crate::model::grant::Audiences;
use crate::model::key::Alg;

/// The settings that rules depend on.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Audiences that are not a product's own.
    pub audiences: Audiences,
    /// The platform's signing algorithm.
    pub signing_alg: Alg,
    /// Token lifetime of clients created without one, in seconds.
    pub default_lifetime_seconds: i64,
    /// How long verifiers may keep the key set, in seconds.
    pub jwks_max_age_seconds: i64,
    /// How long a new signing key is published before it signs, in seconds.
    pub key_pending_seconds: i64,
    /// Age at which keys of the expiring class are rotated, in days; `None` if only an administrator rotates them.
    pub key_rotate_every_days: Option<i64>,
    /// For how long tokens are issued while the database does not answer, in seconds.
    pub serve_stale_seconds: i64,
    /// How long verifiers may keep a status list, in seconds.
    pub status_list_ttl_seconds: i64,
    /// For how many days audit events are kept; `None` if they are never deleted.
    pub audit_keep_days: Option<i64>,
    /// Where the console is reached: the URL before `/console`, without a slash at its end.
    pub console_url: String,
    /// Whether there is a server for mails (`smtp.url`).
    pub sends_mail: bool,
    /// Whether an operator who signs in with a password needs a second factor.
    pub second_factor_required: bool,
}

impl Policy {
    /// The `token_expiry` of a client created without one.
    pub fn default_expiry(&self) -> TokenExpiry {
        TokenExpiry::After { seconds: self.default_lifetime_seconds }
    }
}
