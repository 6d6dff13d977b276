//! Revokes the many recorded tokens of a key in bounded steps, ahead of deleting the key: a single transaction would hold
//! up everybody else for as long as it takes.

use std::collections::BTreeMap;

use serde_json::json;

use super::Signing;
use crate::clients::{ENDED_AT_ONCE, mark_revoked};
use crate::kernel::{Error, Manager, Precondition};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::reach::Reach;

impl Signing {
    /// Revokes the recorded tokens of a key that is about to be deleted, if they are too many for one transaction. Returns
    /// how many live ones of each client it revoked. Each step is consistent; if a later one fails, what was revoked
    /// stays revoked.
    pub(super) async fn revoke_ahead(
        &self,
        caller: &Manager,
        kid: &str,
        expected: &Precondition,
    ) -> Result<BTreeMap<String, usize>, Error> {
        caller.must_manage_platform("signing keys")?;
        let mut of_clients = BTreeMap::new();
        let now = self.kernel.clock.now();
        let tokens = self.kernel.storage.ending_tokens_of_key(kid, now).await?;
        if tokens.len() <= ENDED_AT_ONCE {
            return Ok(of_clients);
        }
        let mut tx = self.kernel.storage.begin().await?;
        let keys = tx.signing_keys().await?;
        tx.rollback().await?;
        let key = keys.iter().find(|key| key.kid == kid).ok_or(Error::NotFound("signing key"))?;
        expected.check(key.version)?;
        for some in tokens.chunks(ENDED_AT_ONCE) {
            let mut tx = self.kernel.storage.begin().await?;
            for of_client in some.chunk_by(|a, b| a.0 == b.0) {
                if let Some((client_id, _)) = of_client.first() {
                    // The tokens of one that was deleted meanwhile are revoked.
                    tx.lock_client(&Reach::Platform, client_id).await?;
                }
            }
            let ids: Vec<String> = some.iter().map(|(_, jti)| jti.clone()).collect();
            let revoked = tx.revoke_these(&ids, now).await?;
            for token in revoked.iter().filter(|token| token.was_live) {
                *of_clients.entry(token.client_id.clone()).or_default() += 1;
            }
            let revoked = mark_revoked(&mut tx, &revoked).await?;
            let facts = json!({ "kid": kid, "revoked_tokens": revoked, "part": true });
            self.ledger.audit(&mut tx, caller, Action::TokensRevoked, Subject::platform(kid), facts).await?;
            self.ledger.commit(tx).await?;
        }
        Ok(of_clients)
    }
}
