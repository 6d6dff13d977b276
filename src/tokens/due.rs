//! Changes that are due at a certain time: replaced tokens whose grace period is over, and clients that have expired.

use super::Tokens;
use crate::clients::{ENDED_AT_ONCE, mark_revoked};
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;

/// The most clients that one run changes, for each kind of change.
const AT_ONCE: u32 = 1_000;

impl Tokens {
    /// Applies what is due now: revokes replaced tokens whose grace period is over, and marks the tokens of clients past
    /// `expires_at` as suspended. Each client is changed in separate transactions.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was done before the error stays. [`Error::Clock`] while the clock is doubtful: a token that a
    /// wrong clock revokes too early stays revoked.
    pub async fn apply_due_changes(&self) -> Result<(), Error> {
        let now = self.ledger.trusted_now()?;
        for client_id in self.kernel.storage.clients_with_due_tokens(now, AT_ONCE).await? {
            self.revoke_due_tokens_of(&client_id, now).await?;
        }
        for client_id in self.kernel.storage.expired_clients_not_suspended(now, AT_ONCE).await? {
            self.clients.suspend_expired(&client_id, now).await?;
        }
        Ok(())
    }

    /// Finishes interrupted suspensions and resumptions of workspaces.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was done before the error stays.
    pub async fn finish_suspensions(&self) -> Result<(), Error> {
        self.clients.update_outdated_slots().await
    }

    /// Revokes the due tokens of a client, at most [`ENDED_AT_ONCE`] in each transaction. A client that another transaction has
    /// locked is left for the next run, so that it does not delay the others.
    async fn revoke_due_tokens_of(&self, client_id: &str, now: UnixSeconds) -> Result<(), Error> {
        loop {
            let mut tx = self.kernel.storage.begin().await?;
            // If the client was deleted, its tokens were revoked with it.
            let mut revoked = Vec::new();
            if tx.lock_client_unless_held(client_id).await?.is_some() {
                revoked = tx.revoke_due_tokens(client_id, now, ENDED_AT_ONCE).await?;
                mark_revoked(&mut tx, &revoked).await?;
            }
            self.ledger.commit(tx).await?;
            if revoked.len() < ENDED_AT_ONCE {
                return Ok(());
            }
        }
    }
}
