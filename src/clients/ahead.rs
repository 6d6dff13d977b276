//! A change that ends many recorded tokens of a client first revokes them in bounded steps, since a single transaction would
//! block other requests for too long.
//!
//! Each step is its own transaction, which writes the token rows, the status slots and an audit event. If a step or the
//! change after it fails, the tokens of the finished steps stay revoked, and the change is not acknowledged.

use serde_json::json;

use super::generations::mark_revoked;
use super::{Clients, lock_client};
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::client::ApiClient;
use crate::storage::{Ending, Tx};

/// The most recorded tokens that one transaction ends, except for a batch of clients and for a change after its last round
/// ([`ROUNDS`]).
pub(crate) const ENDED_AT_ONCE: usize = 1_000;

/// How often a change that ends many tokens is started again. Tokens issued in the meantime are ended by the change itself.
const ROUNDS: u32 = 3;

/// What was done before a change.
#[derive(Debug, Default)]
pub(crate) struct EndedBefore {
    /// How many live tokens were revoked.
    pub(crate) revoked: usize,
    /// How often the change was started again, up to [`ROUNDS`].
    rounds: u32,
}

impl Clients {
    /// Locks a client within reach, all of whose tokens will be revoked. Returns the transaction and the client. If there are
    /// many tokens, earlier transactions have revoked most of them. `check` can refuse the client; it is called before any
    /// token is revoked, and again after each round.
    pub(crate) async fn lock_to_revoke_all(
        &self,
        caller: &Caller,
        client_id: &str,
        ahead: &mut EndedBefore,
        check: impl Fn(&ApiClient) -> Result<(), Error>,
    ) -> Result<(Tx, ApiClient), Error> {
        loop {
            let mut tx = self.kernel.storage.begin().await?;
            let client = lock_client(&mut tx, &caller.reach, client_id).await?;
            check(&client)?;
            if let Some(tx) = self.ending_few_tokens(tx, caller, &client, Ending::All, ahead).await? {
                return Ok((tx, client));
            }
        }
    }

    /// Returns `tx`, in which the client is locked, if the change ends few tokens. If it ends many, rolls back, revokes these
    /// tokens in steps and returns `None`: then the caller starts again.
    pub(crate) async fn ending_few_tokens(
        &self,
        mut tx: Tx,
        caller: &Caller,
        client: &ApiClient,
        ending: Ending<'_>,
        ahead: &mut EndedBefore,
    ) -> Result<Option<Tx>, Error> {
        let now = self.kernel.clock.now();
        let client_id = &client.client_id;
        if ahead.rounds >= ROUNDS || !tx.ends_more_than(ENDED_AT_ONCE, client_id, ending, now).await? {
            return Ok(Some(tx));
        }
        tx.rollback().await?;
        ahead.rounds += 1;
        let tokens = self.kernel.storage.ending_tokens(client_id, ending, now).await?;
        for some in tokens.chunks(ENDED_AT_ONCE) {
            let mut tx = self.kernel.storage.begin().await?;
            let client = lock_client(&mut tx, &caller.reach, client_id).await?;
            let revoked = tx.revoke_these(some, now).await?;
            let revoked = mark_revoked(&mut tx, &revoked).await?;
            let facts = json!({ "label": client.label, "revoked_tokens": revoked, "part": true });
            self.ledger
                .audit(&mut tx, caller, Action::TokensRevoked, Subject::client(&client), facts)
                .await?;
            self.ledger.commit(tx).await?;
            ahead.revoked += revoked;
        }
        Ok(None)
    }
}
