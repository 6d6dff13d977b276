//! A recorded access token: one with a row of its own.

use std::borrow::Cow;
use std::sync::Arc;

use super::clock::UnixSeconds;
use super::status::Slot;

/// The longest lifetime of a stateless token, in seconds: the limit of `tokens.record_above_seconds`.
pub const STATELESS_LIFETIME_MAX: i64 = 86_400;

/// The row of a recorded token. Texts that many tokens have in common are shared: a row is made by one thread and dropped by
/// another, and memory that is used like that is slow to allocate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedToken {
    /// The `jti` (RFC 7519 §4.1.7), 128 random bits in base64url.
    pub jti: String,
    /// The client it was issued to.
    pub client_id: String,
    /// The client's workspace.
    pub workspace_id: Arc<str>,
    /// The key that signed it.
    pub kid: Arc<str>,
    /// The client's generation it was issued under.
    pub generation: i64,
    /// Granted scope tokens, space-separated.
    pub scope: Arc<str>,
    /// Granted products, space-separated.
    pub products: Arc<str>,
    /// `iat`.
    pub issued_at: UnixSeconds,
    /// `exp`; `None` when it never expires, even if the claim holds a date.
    pub expires_at: Option<UnixSeconds>,
    /// When it was revoked.
    pub revoked_at: Option<UnixSeconds>,
    /// When it will be revoked because another token replaced it. From then on it is not live, whether or not
    /// `revoked_at` has been written yet.
    pub revoke_at: Option<UnixSeconds>,
    /// Where its status is published.
    pub slot: Option<Slot>,
    /// When it was last introspected.
    pub last_introspected_at: Option<UnixSeconds>,
    /// `client` for the token endpoint, else the name of the administrator.
    pub issued_by: Cow<'static, str>,
}

impl RecordedToken {
    /// Whether its row says that it is live at `now`. It is valid only if its client, workspace and key allow it, too, which is
    /// not checked here.
    pub fn is_live(&self, now: UnixSeconds) -> bool {
        !self.is_revoked(now) && self.expires_at.is_none_or(|at| at > now)
    }

    /// Whether it was revoked by `now`, or replaced by another token.
    pub fn is_revoked(&self, now: UnixSeconds) -> bool {
        self.revoked_at.is_some() || self.revoke_at.is_some_and(|at| at <= now)
    }
}
