//! Deletes a signing key before the schedule does. On request it also revokes every token that the key signed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::key::NewKey;
use super::list::live_tokens_of;
use super::rotation::{self, NotDeletable, Placement};
use super::store::facts;
use super::{GENERATES_RSA, Signing};
use crate::clients::mark_revoked;
use crate::kernel::{Caller, Error, Manager, Precondition};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::client::ApiClient;
use crate::model::clock::UnixSeconds;
use crate::model::key::{Phase, SigningKey};
use crate::model::mail::MailKind;
use crate::model::reach::Reach;
use crate::model::token::STATELESS_LIFETIME_MAX;
use crate::storage::{Change, Tx};

/// What becomes of the tokens that a deleted key signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tokens {
    /// There must be none.
    None,
    /// They are revoked in the same transaction.
    Revoked,
    /// They are revoked after that transaction, in steps.
    RevokedInSteps,
}

/// A client that may hold tokens signed by a key.
struct Holder {
    client: ApiClient,
    /// Whether some of them may be stateless tokens of the client's current generation.
    by_generation: bool,
}

impl Signing {
    /// Deletes a key. With `revoke_tokens`, every token that it signed is revoked, too, and a key that signs gets a successor
    /// that signs at once, if this build can generate one. Without it, a key that signs, or on which a live token may depend,
    /// is not deleted. Returns how many live recorded tokens were revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Changed`]; without `revoke_tokens` [`Error::Conflict`] while the key
    /// signs or tokens may depend on it; [`Error::Clock`] if it needs a successor while the clock is doubtful;
    /// [`Error::Crypto`], [`Error::Storage`].
    pub async fn delete_signing_key(
        &self,
        caller: &Manager,
        kid: &str,
        revoke_tokens: bool,
        expected: &Precondition,
    ) -> Result<usize, Error> {
        caller.must_manage_platform("signing keys")?;
        let tokens = match revoke_tokens {
            false => Tokens::None,
            true if self.signed_many_tokens(kid).await? => Tokens::RevokedInSteps,
            true => Tokens::Revoked,
        };
        let revoked = match self.try_to_delete_signing_key(caller, kid, tokens, expected).await {
            // Another transaction was recording the first token that this key signed for a client. That client was not among
            // the locked ones, and the two transactions waited for each other. By now that token is recorded.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                self.repeated_deletions.fetch_add(1, Ordering::Relaxed);
                self.try_to_delete_signing_key(caller, kid, tokens, expected).await
            }
            outcome => outcome,
        };
        match tokens {
            Tokens::RevokedInSteps => {
                revoked?;
                self.finish_revocation(caller, kid).await
            }
            Tokens::None | Tokens::Revoked => revoked,
        }
    }

    async fn try_to_delete_signing_key(
        &self,
        caller: &Manager,
        kid: &str,
        tokens: Tokens,
        expected: &Precondition,
    ) -> Result<usize, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let now = self.kernel.clock.now();
        tx.serialise_key_changes().await?;
        // Clients are locked before keys, as when a token is recorded.
        let mut holders = match tokens {
            Tokens::Revoked => self.lock_holders(&mut tx, kid, now).await?,
            Tokens::None | Tokens::RevokedInSteps => Vec::new(),
        };
        self.take_due_steps(&mut tx, now).await?;
        let key = tx.lock_signing_key(kid).await?.ok_or(Error::NotFound("signing key"))?;
        expected.check(key.version)?;
        let gone = if tokens == Tokens::None {
            let live = live_tokens_of(&tx.live_tokens_by_kid(now).await?, kid);
            match rotation::deleted(&key, live, now) {
                Ok(gone) => gone,
                Err(NotDeletable::Gone) => return Err(Error::NotFound("signing key")),
                Err(refused) => return Err(self.refusal(&mut tx, refused, kid, live, now).await?),
            }
        } else {
            rotation::gone(&key, now)
        };
        tx.update_signing_key(&gone).await?;
        tx.close_status_lists_of(kid, now).await?;
        let revoked = match tokens {
            Tokens::None => Some(0),
            Tokens::Revoked => {
                Some(self.revoke_tokens_of_key(&mut tx, caller, &key, &mut holders, now).await?)
            }
            Tokens::RevokedInSteps => {
                tx.set_revoking(kid, Some(now)).await?;
                // The audit event after the last step contains the number.
                None
            }
        };
        let facts = json!({"phase": key.phase.as_str(), "revoked_tokens": revoked});
        self.ledger.audit(&mut tx, caller, Action::KeyDeleted, Subject::platform(kid), facts).await?;
        let signed =
            matches!(key.phase, Phase::Active) || (key.phase == Phase::Pending && key.activates_at <= now);
        if signed && (GENERATES_RSA || !key.alg.is_rsa()) {
            let new = NewKey::generate(key.alg).map_err(|error| Error::Crypto(error.to_string()))?;
            self.drop_pending_successor(&mut tx, caller, &key, now).await?;
            let placement = Placement { phase: Phase::Active, activates_at: now };
            self.store_new_key(&mut tx, caller, new, key.use_for, placement, now).await?;
        }
        tx.changed(Change::SigningKeys);
        self.commit_keys(tx).await?;
        Ok(revoked.unwrap_or_default())
    }

    /// The error that says why a key is not deleted, which clients have tokens that depend on it, and what to do.
    async fn refusal(
        &self,
        tx: &mut Tx,
        refused: NotDeletable,
        kid: &str,
        live: i64,
        now: UnixSeconds,
    ) -> Result<Error, Error> {
        let dependents = if live == 0 { None } else { Some(self.dependents(tx, kid, live, now).await?) };
        let why = match (refused, dependents) {
            (NotDeletable::LiveTokens(_), Some(dependents)) => format!("{dependents}. Revoke them first"),
            (refused, Some(dependents)) => format!("{refused}. {dependents}"),
            (refused, None) => refused.to_string(),
        };
        Ok(Error::Conflict(format!(
            "{why}. To delete the key now and revoke every token it signed, use ?revoke_tokens=true \
             (`mintmark keys revoke {kid}`)"
        )))
    }

    /// Deletes the pending successor of a key that is deleted while it signs: a new key takes over at once instead.
    async fn drop_pending_successor(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        key: &SigningKey,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        let keys = tx.signing_keys().await?;
        let same_pair = |other: &&SigningKey| other.alg == key.alg && other.use_for == key.use_for;
        for pending in keys.iter().filter(same_pair).filter(|other| other.phase == Phase::Pending) {
            let gone = rotation::gone(pending, now);
            tx.update_signing_key(&gone).await?;
            let subject = Subject::platform(&pending.kid);
            self.ledger.audit(tx, caller, Action::KeyDeleted, subject, facts(&gone)).await?;
        }
        Ok(())
    }

    /// The clients that may hold tokens signed by a key, locked: those with recorded ones and, for a key of the
    /// expiring class, those that may have been issued stateless ones.
    async fn lock_holders(&self, tx: &mut Tx, kid: &str, now: UnixSeconds) -> Result<Vec<Holder>, Error> {
        let keys = tx.signing_keys().await?;
        let Some(key) = keys.iter().find(|key| key.kid == kid) else { return Ok(Vec::new()) };
        let with_recorded = tx.clients_with_tokens_of_key(kid, now).await?;
        let mut holders: BTreeMap<String, bool> = with_recorded.into_iter().map(|id| (id, false)).collect();
        if rotation::may_have_live_stateless_tokens(key, now) {
            let (since, until) = (now - STATELESS_LIFETIME_MAX, rotation::signed_until(key));
            let of_generation = tx.client_ids_signed_by(key.alg, since, until).await?;
            holders.extend(of_generation.into_iter().map(|id| (id, true)));
        }
        let mut locked = Vec::with_capacity(holders.len());
        for (client_id, by_generation) in holders {
            let client = tx.lock_client(&Reach::Platform, &client_id).await?;
            locked.extend(client.map(|client| Holder { client, by_generation }));
        }
        Ok(locked)
    }

    /// Revokes every token that a key signed. The row of the key must already say that it no longer signs: until then other
    /// transactions may record more tokens. Returns how many live recorded tokens were revoked.
    async fn revoke_tokens_of_key(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        key: &SigningKey,
        holders: &mut [Holder],
        now: UnixSeconds,
    ) -> Result<usize, Error> {
        let revoked = tx.revoke_tokens_of_key(&key.kid, now).await?;
        for Holder { client, by_generation } in holders {
            let live = revoked.iter().filter(|token| token.was_live && token.client_id == client.client_id);
            let of_client = live.count();
            if *by_generation {
                self.clients.new_generation(tx, client, now).await?;
                tx.update_client(client).await?;
                tx.changed(Change::Client(client.client_id.clone()));
            } else if of_client == 0 {
                continue;
            }
            let facts = json!({ "label": client.label, "kid": key.kid, "revoked_tokens": of_client });
            self.ledger.mail_contacts(tx, caller, client, MailKind::KeyRevoked, facts).await?;
        }
        mark_revoked(tx, &revoked).await
    }

    /// How many live recorded tokens depend on a key, and of which clients they are.
    async fn dependents(&self, tx: &mut Tx, kid: &str, live: i64, now: UnixSeconds) -> Result<String, Error> {
        let holders = tx.holders_of_key(kid, now).await?;
        let named: i64 = holders.iter().map(|(_, count)| count).sum();
        let mut clients: Vec<String> =
            holders.iter().map(|(client_id, count)| format!("{client_id} ({count})")).collect();
        if named < live {
            clients.push(format!("others ({})", live - named));
        }
        let tokens = if live == 1 { "token depends" } else { "tokens depend" };
        Ok(format!("{live} live recorded {tokens} on this key: {}", clients.join(", ")))
    }
}
