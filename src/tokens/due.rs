//! Changes that are due at an instant: replaced tokens whose grace is over, and clients that have ended.

use super::Tokens;
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::reach::Reach;

/// The most clients that one run changes.
const AT_ONCE: u32 = 1_000;

impl Tokens {
    /// Applies what is due now: revokes replaced tokens whose grace period is over, and marks the tokens of clients past
    /// `expires_at` as suspended. One transaction per client.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was done before it stays.
    pub async fn apply_due_changes(&self) -> Result<(), Error> {
        let now = self.kernel.clock.now();
        for client_id in self.kernel.storage.clients_with_due_tokens(now, AT_ONCE).await? {
            self.revoke_due_tokens_of(&client_id, now).await?;
        }
        for client_id in self.kernel.storage.expired_clients_not_suspended(now, AT_ONCE).await? {
            self.clients.suspend_expired(&client_id, now).await?;
        }
        Ok(())
    }

    async fn revoke_due_tokens_of(&self, client_id: &str, now: UnixSeconds) -> Result<(), Error> {
        let mut tx = self.kernel.storage.begin().await?;
        // A deleted client's tokens were revoked with it.
        if tx.lock_client(&Reach::Platform, client_id).await?.is_some() {
            let revoked = tx.revoke_due_tokens(client_id, now).await?;
            mark_revoked(&mut tx, &revoked).await?;
        }
        self.ledger.commit(tx).await
    }
}
