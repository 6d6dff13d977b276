//! Whether a token is active: for introspection, forward-auth and the management API (`docs/revocation.md`).
//!
//! The row of the token is read from the database every time. The client, with its status and the slot of its current
//! generation, comes from the cache, which must have been confirmed recently ([`Confirmed`]).

use std::sync::Arc;

use mintmark_verifier::AccessTokenClaims;

use super::Tokens;
use crate::clients::Credentials;
use crate::kernel::Error;
use crate::ledger::Confirmed;
use crate::model::inline_id::InlineId;
use crate::storage::TokenState;

/// Why a token whose signature and times are valid is not active. For the log, the texts of the management API, and
/// `mintmark tokens verify`. Introspection and forward-auth only reply that the token is not active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InactiveReason {
    /// Its client does not exist.
    ClientUnknown,
    /// Its client is disabled, has expired, is in a suspended workspace, or is in another workspace than the token says.
    ClientInactive,
    /// It was revoked, or replaced by another.
    Revoked,
    /// It is recorded, and ended after its times were verified.
    Expired,
    /// It has no row, and its slot is not that of its client's current generation.
    GenerationEnded,
    /// It has no row and no slot, or the row with its id is that of another client's token.
    NotRecorded,
}

impl InactiveReason {
    /// A stable name, for logs and for the output of `mintmark tokens verify`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientUnknown => "client_unknown",
            Self::ClientInactive => "client_inactive",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::GenerationEnded => "generation_ended",
            Self::NotRecorded => "not_recorded",
        }
    }
}

/// Whether a token whose signature and times are valid is active.
#[derive(Debug)]
pub enum Validity {
    /// It is active, and belongs to this client.
    Active(Arc<Credentials>),
    /// It is not active.
    Inactive(InactiveReason),
}

impl Tokens {
    /// Whether the token with these claims is active. The caller has verified its signature and times. For an active recorded
    /// token, this notes the current time as `last_introspected_at`.
    ///
    /// # Errors
    /// [`Error::Storage`]: it is not known whether the token is active.
    pub async fn validity(&self, _: Confirmed, claims: &AccessTokenClaims) -> Result<Validity, Error> {
        let now = self.kernel.clock.now();
        let Some(client) = self.clients.credentials(&claims.client_id).await? else {
            return Ok(Validity::Inactive(InactiveReason::ClientUnknown));
        };
        if client.may_act(now).is_err() || *client.workspace_id != *claims.workspace_id {
            return Ok(Validity::Inactive(InactiveReason::ClientInactive));
        }
        Ok(match self.kernel.storage.token_state(&claims.jti).await? {
            TokenState::Recorded(token) if token.client_id != claims.client_id => {
                Validity::Inactive(InactiveReason::NotRecorded)
            }
            TokenState::Recorded(token) if token.is_revoked(now) => {
                Validity::Inactive(InactiveReason::Revoked)
            }
            TokenState::Recorded(token) if !token.is_live(now) => Validity::Inactive(InactiveReason::Expired),
            TokenState::Recorded(_) => {
                if let Some(jti) = InlineId::new(&claims.jti) {
                    self.introspected.note(jti, now);
                }
                Validity::Active(client)
            }
            TokenState::Denied => Validity::Inactive(InactiveReason::Revoked),
            TokenState::Unknown => match self.slot_of(claims) {
                Some(slot) if Some(slot) == client.slot => Validity::Active(client),
                Some(_) => Validity::Inactive(InactiveReason::GenerationEnded),
                None => Validity::Inactive(InactiveReason::NotRecorded),
            },
        })
    }
}
