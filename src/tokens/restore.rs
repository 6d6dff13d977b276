//! Makes a restored database safe (`docs/revocation.md`). The database does not know which tokens were revoked after the
//! backup was made, so by default no token that was issued before the restore stays valid.

use serde_json::json;

use super::Tokens;
use crate::kernel::{Error, Manager};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::reach::Reach;
use crate::model::token::STATELESS_LIFETIME_MAX;
use crate::storage::Change;

/// How many numbers of status lists are skipped: more than the lists that are ever opened between a backup and its restore.
const SKIPPED_LISTS: i64 = 1_000_000;

/// What was done to make a restored database safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// How many clients were given a new generation.
    pub clients: usize,
    /// How many live recorded tokens were revoked.
    pub revoked_tokens: usize,
    /// How many live recorded tokens were kept.
    pub kept_tokens: usize,
}

impl Tokens {
    /// Makes the database safe after it was restored from a backup. Every client gets a new generation; every slot of the
    /// existing status lists is revoked, except the slots of tokens that are kept, and new lists get numbers that were not used
    /// before. Recorded tokens are revoked, unless `keep_recorded_tokens` is set: then the tokens in the backup stay live, also
    /// those that were revoked after the backup. All of this is one transaction, and may be repeated.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`]; then nothing was changed.
    pub async fn make_restored_safe(
        &self,
        caller: &Manager,
        keep_recorded_tokens: bool,
    ) -> Result<Restored, Error> {
        caller.must_manage_platform("the database")?;
        let ids = self.kernel.storage.client_ids().await?;
        let mut tx = self.kernel.storage.begin().await?;
        let now = self.kernel.clock.now();
        let mut clients = Vec::with_capacity(ids.len());
        for client_id in ids {
            clients.extend(tx.lock_client(&Reach::Platform, &client_id).await?);
        }
        let mut revoked_tokens = 0;
        if !keep_recorded_tokens {
            for client in &clients {
                let revoked = tx.revoke_tokens_of_client(&client.client_id, now).await?;
                revoked_tokens += revoked.iter().filter(|token| token.was_live).count();
            }
        }
        let kept = tx.slots_of_live_tokens(now).await?;
        tx.revoke_slots_except(&kept, now, now + STATELESS_LIFETIME_MAX).await?;
        tx.skip_status_lists(SKIPPED_LISTS).await?;
        let restored = Restored { clients: clients.len(), revoked_tokens, kept_tokens: kept.len() };
        for mut client in clients {
            // The old slot of the client was revoked above, with all others.
            client.slot = None;
            self.clients.new_generation(&mut tx, &mut client, now).await?;
            tx.update_client(&client).await?;
            tx.changed(Change::Client(client.client_id.clone()));
        }
        let facts = json!({
            "clients": restored.clients,
            "revoked_tokens": restored.revoked_tokens,
            "kept_tokens": restored.kept_tokens,
        });
        self.ledger.begin_new_tree(&mut tx, caller, "restored").await?;
        self.ledger
            .audit(&mut tx, caller, Action::DatabaseRestored, Subject::platform("database"), facts)
            .await?;
        self.ledger.commit(tx).await?;
        Ok(restored)
    }
}
