//! Revokes the tokens of a deleted key in bounded steps, if they are many: a single transaction would make all others wait
//! until it ends.
//!
//! First the key is deleted, in a separate transaction: from then on no token that it signed is valid. Then the rows of the
//! tokens and the status lists are updated, for services that verify offline and still have the key. Each step leaves them
//! consistent. The row of the key says that there is more to do, so that another process can finish what an interrupted one has
//! left.

use std::collections::BTreeMap;

use serde_json::json;

use super::Signing;
use super::rotate::system_caller;
use super::rotation::{may_have_live_stateless_tokens, signed_until};
use crate::clients::{ENDED_AT_ONCE, mark_revoked};
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::key::SigningKey;
use crate::model::mail::MailKind;
use crate::model::reach::Reach;
use crate::model::token::STATELESS_LIFETIME_MAX;
use crate::storage::Change;

/// How many clients a step handles at most. Each may get a new generation, with a slot in a status list, and mails to its
/// contacts.
const CLIENTS_AT_ONCE: usize = 50;

/// A client that may hold tokens signed by the key.
#[derive(Debug, Default)]
struct Holder {
    client_id: String,
    /// The `jti` of its recorded tokens that have not ended.
    tokens: Vec<String>,
    /// How many of its live tokens were revoked in earlier steps.
    revoked_before: usize,
    /// Whether it may hold stateless tokens, of its current generation.
    by_generation: bool,
}

/// How many tokens were revoked, and of how many clients.
#[derive(Debug, Default)]
struct Done {
    revoked_tokens: usize,
    clients: usize,
}

impl Signing {
    /// Whether a key signed so many tokens that they are revoked in steps.
    pub(super) async fn signed_many_tokens(&self, kid: &str) -> Result<bool, Error> {
        let Some(key) = self.kernel.storage.signing_key(kid).await? else { return Ok(false) };
        let holders = self.holders(&key).await?;
        let tokens: usize = holders.iter().map(|holder| holder.tokens.len()).sum();
        Ok(holders.len() > CLIENTS_AT_ONCE || tokens > ENDED_AT_ONCE)
    }

    /// Revokes the rest of the tokens of deleted keys, where the request that deleted the key was interrupted.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was done before the error stays.
    pub async fn finish_revocations(&self) -> Result<(), Error> {
        // If this is locked, a request of this process is revoking.
        let Ok(_alone) = self.revoking.try_lock() else { return Ok(()) };
        for key in self.kernel.storage.keys_being_revoked().await? {
            self.revoke_in_steps(&system_caller(), &key).await?;
        }
        Ok(())
    }

    /// Revokes the tokens of one key, for the request that deleted it. Returns how many live recorded tokens were revoked.
    pub(super) async fn finish_revocation(&self, caller: &Caller, kid: &str) -> Result<usize, Error> {
        let _alone = self.revoking.lock().await;
        let keys = self.kernel.storage.keys_being_revoked().await?;
        match keys.iter().find(|key| key.kid == kid) {
            Some(key) => self.revoke_in_steps(caller, key).await,
            // Another process was faster.
            None => Ok(0),
        }
    }

    async fn revoke_in_steps(&self, caller: &Caller, key: &SigningKey) -> Result<usize, Error> {
        let mut done = Done::default();
        let mut step: Vec<Holder> = Vec::new();
        for mut holder in self.holders(key).await? {
            while holder.tokens.len() > ENDED_AT_ONCE {
                let some = Holder {
                    client_id: holder.client_id.clone(),
                    tokens: holder.tokens.split_off(holder.tokens.len() - ENDED_AT_ONCE),
                    ..Holder::default()
                };
                holder.revoked_before += self.take_step(caller, key, vec![some], false).await?;
            }
            done.revoked_tokens += holder.revoked_before;
            let tokens: usize = step.iter().map(|holder| holder.tokens.len()).sum();
            if step.len() >= CLIENTS_AT_ONCE || tokens + holder.tokens.len() > ENDED_AT_ONCE {
                done.clients += step.len();
                done.revoked_tokens += self.take_step(caller, key, std::mem::take(&mut step), true).await?;
            }
            step.push(holder);
        }
        done.clients += step.len();
        done.revoked_tokens += self.take_step(caller, key, step, true).await?;
        let mut tx = self.kernel.storage.begin().await?;
        tx.set_revoking(&key.kid, None).await?;
        let facts = json!({ "kid": key.kid, "clients": done.clients, "revoked_tokens": done.revoked_tokens });
        self.ledger.audit(&mut tx, caller, Action::TokensRevoked, Subject::platform(&key.kid), facts).await?;
        tx.changed(Change::SigningKeys);
        self.commit_keys(tx).await?;
        Ok(done.revoked_tokens)
    }

    /// Revokes the tokens of `holders`, which are in the order of their ids, in one transaction. With `is_last`, nothing of
    /// these clients is left to revoke afterwards, so their new generations begin, and the contacts of those that may have lost
    /// a token get mails. Returns how many live recorded tokens were revoked.
    async fn take_step(
        &self,
        caller: &Caller,
        key: &SigningKey,
        holders: Vec<Holder>,
        is_last: bool,
    ) -> Result<usize, Error> {
        if holders.is_empty() {
            return Ok(0);
        }
        let mut tx = self.kernel.storage.begin().await?;
        let now = self.kernel.clock.now();
        let mut locked = Vec::with_capacity(holders.len());
        for holder in &holders {
            // `None` for a client that was deleted meanwhile: its tokens are revoked already.
            locked.push(tx.lock_client(&Reach::Platform, &holder.client_id).await?);
        }
        let ids: Vec<String> = holders.iter().flat_map(|holder| &holder.tokens).cloned().collect();
        let revoked = if ids.is_empty() { Vec::new() } else { tx.revoke_these(&ids, now).await? };
        let revoked_tokens = mark_revoked(&mut tx, &revoked).await?;
        let held = holders.iter().zip(locked).filter_map(|(holder, client)| Some((holder, client?)));
        for (holder, mut client) in held.filter(|_| is_last) {
            let live = revoked.iter().filter(|token| token.was_live && token.client_id == client.client_id);
            let of_client = live.count() + holder.revoked_before;
            if holder.by_generation {
                self.clients.new_generation(&mut tx, &mut client, now).await?;
                tx.update_client(&client).await?;
                tx.changed(Change::Client(client.client_id.clone()));
            } else if of_client == 0 {
                continue;
            }
            let facts = json!({ "label": client.label, "kid": key.kid, "revoked_tokens": of_client });
            self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::KeyRevoked, facts).await?;
        }
        let facts = json!({
            "kid": key.kid,
            "clients": holders.len(),
            "revoked_tokens": revoked_tokens,
            "part": true,
        });
        self.ledger.audit(&mut tx, caller, Action::TokensRevoked, Subject::platform(&key.kid), facts).await?;
        self.ledger.commit(tx).await?;
        Ok(revoked_tokens)
    }

    /// The clients that may hold tokens signed by a key, in the order of their ids.
    async fn holders(&self, key: &SigningKey) -> Result<Vec<Holder>, Error> {
        let (storage, now) = (&self.kernel.storage, self.kernel.clock.now());
        let mut holders: BTreeMap<String, Holder> = BTreeMap::new();
        for (client_id, jti) in storage.ending_tokens_of_key(&key.kid, now).await? {
            holders.entry(client_id).or_default().tokens.push(jti);
        }
        if may_have_live_stateless_tokens(key, now) {
            let (since, until) = (now - STATELESS_LIFETIME_MAX, signed_until(key));
            for client_id in storage.client_ids_signed_by(key.alg, since, until).await? {
                holders.entry(client_id).or_default().by_generation = true;
            }
        }
        Ok(holders.into_iter().map(|(client_id, holder)| Holder { client_id, ..holder }).collect())
    }
}
