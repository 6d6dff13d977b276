//! Records a token: its row is written only if everything that the token was made on still holds.

use super::Tokens;
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::model::client::ActiveTokens;
use crate::model::token::RecordedToken;
use crate::storage::{IssueGuard, Revoked, Standing, Tx};

impl Tokens {
    /// Records a token, or says why it may not be born. The row is durable when this returns [`Standing::Good`]; tokens
    /// that are asked for at the same time share one commit ([`Tokens::record_in_groups`]). If the token replaces others
    /// (`guard.replaces`), these are revoked in the same transaction.
    ///
    /// # Errors
    /// [`Error::Storage`]; then nothing is recorded.
    pub async fn record_token(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Result<Standing, Error> {
        match self.recorder.queue(token, active_tokens, guard) {
            Some(outcome) => self.recorder.outcome_of(outcome).await,
            // Nobody gathers: at the command line, and when the service is closing.
            None => self.record_alone(token, active_tokens, guard).await,
        }
    }

    /// Records a token in a transaction of its own.
    pub(super) async fn record_alone(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Result<Standing, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let mut replaced = Vec::new();
        let standing = self.record_in(&mut tx, token, active_tokens, guard, &mut replaced).await?;
        if standing == Standing::Good {
            mark_revoked(&mut tx, &replaced).await?;
            self.ledger.commit(tx).await?;
        } else {
            tx.rollback().await?;
        }
        Ok(standing)
    }

    /// Records a token within a transaction, unless it may not be born. The tokens it replaces at once are added to
    /// `replaced`; the caller marks them when the rows of all its clients are locked.
    pub(super) async fn record_in(
        &self,
        tx: &mut Tx,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
        replaced: &mut Vec<Revoked>,
    ) -> Result<Standing, Error> {
        let standing = tx.record_token(token, guard).await?;
        if standing != Standing::Good {
            return Ok(standing);
        }
        if let ActiveTokens::Replace { grace_seconds } = active_tokens {
            let at = guard.now.saturating_add(grace_seconds);
            replaced.extend(tx.replace_tokens(&token.client_id, &token.jti, at, guard.now).await?);
        }
        Ok(standing)
    }
}
