//! Whether an administrator may delete a key without revoking its tokens.

use super::phases::{REPLICA_MARGIN, gone, gone_at};
use crate::model::clock::{UnixSeconds, to_rfc3339};
use crate::model::key::{Phase, SigningKey};

/// The record of `key` after an administrator deletes it at `now`, while `live_tokens` recorded tokens that it signed are
/// live.
///
/// # Errors
/// [`NotDeletable`] while the key signs or a token may depend on it, and if it is no longer published.
pub(in crate::signing) fn deleted(
    key: &SigningKey,
    live_tokens: i64,
    now: UnixSeconds,
) -> Result<SigningKey, NotDeletable> {
    match key.phase {
        Phase::Gone => Err(NotDeletable::Gone),
        Phase::Active => Err(NotDeletable::Signing),
        // On a replica whose clock is ahead, the key may already sign.
        Phase::Pending if key.activates_at <= now + REPLICA_MARGIN => Err(NotDeletable::Signing),
        Phase::Pending => Ok(gone(key, now)),
        Phase::Retiring if live_tokens > 0 => Err(NotDeletable::LiveTokens(live_tokens)),
        Phase::Retiring => match gone_at(key) {
            Some(at) if at <= now => Ok(gone(key, now)),
            at => Err(NotDeletable::MayBeLive(at.unwrap_or(i64::MAX))),
        },
    }
}

/// Why a key may not be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::signing) enum NotDeletable {
    /// The key is no longer published.
    #[error("this key is no longer published")]
    Gone,
    /// It signs, or will within [`REPLICA_MARGIN`].
    #[error(
        "this key signs tokens, or is about to. Create its successor with POST /v1/signing-keys; when that has taken over and \
         no token of this key is live, this key is removed automatically"
    )]
    Signing,
    /// This many live recorded tokens depend on it.
    #[error("live recorded tokens depend on this key: {0}")]
    LiveTokens(i64),
    /// Stateless tokens may depend on it until then.
    #[error("tokens signed by this key may be valid until {}. Wait until then: it is removed automatically", to_rfc3339(*.0))]
    MayBeLive(UnixSeconds),
}
