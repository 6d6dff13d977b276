//! Tokens: which are alive, how they are recorded, and how they are killed (`docs/revocation.md`).
//!
//! A recorded token's row is written only if everything the token was made on still holds. Whether a token lives is
//! asked of the database every time, so that no memory can make a revoked one live.

use std::sync::Arc;

use mintmark_verifier::AccessTokenClaims;

use super::{STATUS_LISTS_PATH, Tokens};
use crate::clients::Credentials;
use crate::kernel::Error;
use crate::ledger::Confirmed;
use crate::model::status::Slot;
use crate::storage::TokenState;

/// Why a token whose signature and times are good is dead. For the log; verifiers are told only that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Its client is gone.
    ClientUnknown,
    /// Its client is disabled, has ended, or is in a suspended workspace.
    ClientMayNot,
    /// It was revoked, or replaced by another.
    Revoked,
    /// It belongs to a generation of its client that has ended.
    GenerationEnded,
    /// It says that it is recorded, and is not.
    NotRecorded,
}

impl Death {
    /// A stable name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientUnknown => "client_unknown",
            Self::ClientMayNot => "client_may_not",
            Self::Revoked => "revoked",
            Self::GenerationEnded => "generation_ended",
            Self::NotRecorded => "not_recorded",
        }
    }
}

/// What is known of a token whose signature and times are good.
#[derive(Debug)]
pub enum Judged {
    /// It lives.
    Live {
        /// Its client.
        client: Arc<Credentials>,
        /// Whether it has a row of its own.
        is_recorded: bool,
    },
    /// It does not.
    Dead(Death),
}

impl Tokens {
    /// Whether a token lives whose signature and times were found good by the published keys. Notes that a recorded one
    /// was asked about.
    ///
    /// # Errors
    /// [`Error::Storage`]: it cannot be known.
    pub async fn judge_token(&self, _: Confirmed, claims: &AccessTokenClaims) -> Result<Judged, Error> {
        let now = self.kernel.clock.now();
        let Some(client) = self.clients.credentials(&claims.client_id).await? else {
            return Ok(Judged::Dead(Death::ClientUnknown));
        };
        if client.standing(now).is_err() || *client.workspace_id != *claims.workspace_id {
            return Ok(Judged::Dead(Death::ClientMayNot));
        }
        Ok(match self.kernel.storage.token_state(&claims.jti).await? {
            TokenState::Recorded(token) if token.client_id != claims.client_id => {
                Judged::Dead(Death::NotRecorded)
            }
            TokenState::Recorded(token) if !token.is_live(now) => Judged::Dead(Death::Revoked),
            TokenState::Recorded(_) => {
                self.introspected.note(&Arc::from(claims.jti.as_str()), now);
                Judged::Live { client, is_recorded: true }
            }
            TokenState::Denied => Judged::Dead(Death::Revoked),
            TokenState::Unknown => match self.slot_of(claims) {
                Some(slot) if Some(slot) == client.slot => Judged::Live { client, is_recorded: false },
                Some(_) => Judged::Dead(Death::GenerationEnded),
                None => Judged::Dead(Death::NotRecorded),
            },
        })
    }

    /// The slot that a token of our own names.
    pub(super) fn slot_of(&self, claims: &AccessTokenClaims) -> Option<Slot> {
        let place = &claims.status.as_ref()?.status_list;
        let number =
            place.uri.strip_prefix(&*self.kernel.policy.audiences.issuer)?.strip_prefix(STATUS_LISTS_PATH)?;
        Slot::from_columns(number.parse().ok(), i64::try_from(place.idx).ok())
    }
}
