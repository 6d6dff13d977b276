//! Records one token: its row is written only if its client, secret, workspace and key still allow the token.

use super::Tokens;
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::model::client::ActiveTokens;
use crate::model::token::RecordedToken;
use crate::storage::{IssueCheck, IssueGuard, Revoked, Tx};

impl Tokens {
    /// Records a token in a separate transaction.
    ///
    /// # Errors
    /// [`Error::Storage`]; then nothing is recorded.
    pub(super) async fn record_alone(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Result<IssueCheck, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let mut replaced = Vec::new();
        let check = self.record_in(&mut tx, token, active_tokens, guard, &mut replaced).await?;
        if check == IssueCheck::Allowed {
            mark_revoked(&mut tx, &replaced).await?;
            self.ledger.commit(tx).await?;
        } else {
            tx.rollback().await?;
        }
        Ok(check)
    }

    /// Records a token within a transaction, if the result is [`IssueCheck::Allowed`]. The tokens that it replaces at once are
    /// added to `replaced`. The caller marks their slots when all clients of the transaction are locked.
    pub(super) async fn record_in(
        &self,
        tx: &mut Tx,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
        replaced: &mut Vec<Revoked>,
    ) -> Result<IssueCheck, Error> {
        let check = tx.record_token(token, guard).await?;
        if check != IssueCheck::Allowed {
            return Ok(check);
        }
        match active_tokens {
            ActiveTokens::Many => {}
            ActiveTokens::Replace { grace_seconds } => {
                let at = guard.now.saturating_add(grace_seconds);
                replaced.extend(tx.replace_tokens(&token.client_id, &token.jti, at, guard.now).await?);
            }
            // A token that an administrator generates does not count towards the maximum.
            ActiveTokens::AtMost(_) if guard.proof.is_none() => {}
            ActiveTokens::AtMost(max) => {
                replaced.extend(tx.revoke_beyond(&[(token.client_id.as_str(), max)], guard.now).await?);
            }
        }
        Ok(check)
    }
}
