//! Stores new keys, for creating, deleting and rotating keys. Each caller holds the lock on key changes.

use serde_json::{Value, json};

use super::Signing;
use super::key::NewKey;
use super::rotation::Placement;
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::clock::UnixSeconds;
use crate::model::key::{SigningKey, UseFor};
use crate::storage::{Change, Tx};

impl Signing {
    /// Seals and stores a new key, with its audit event.
    ///
    /// # Errors
    /// [`Error::Clock`] while the clock is doubtful, since the clock decides when a key begins to sign; [`Error::Conflict`]
    /// for a private key that was imported before; [`Error::Crypto`], [`Error::Storage`].
    pub(super) async fn store_new_key(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        new: NewKey,
        use_for: UseFor,
        placement: Placement,
        now: UnixSeconds,
    ) -> Result<SigningKey, Error> {
        self.ledger.trusted_now()?;
        let Placement { phase, activates_at } = placement;
        let (subkeys, random) = (&self.kernel.subkeys, &self.kernel.random);
        let key = new.into_record(use_for, phase, now, activates_at, subkeys, random)?;
        if !tx.insert_signing_key(&key).await? {
            return Err(Error::Conflict(
                "this private key is or was a signing key already, and a key keeps its algorithm and class for good: \
                 send another one"
                    .to_owned(),
            ));
        }
        tx.changed(Change::SigningKeys);
        self.ledger.audit(tx, caller, Action::KeyCreated, Subject::platform(&key.kid), facts(&key)).await?;
        Ok(key)
    }

    /// Commits, and puts the changed keys into the ring before the change is acknowledged.
    pub(super) async fn commit_keys(&self, tx: Tx) -> Result<(), Error> {
        self.ledger.commit(tx).await?;
        self.reloader.reload_if_changed().await
    }
}

/// The facts about a key in an audit event.
pub(super) fn facts(key: &SigningKey) -> Value {
    json!({"alg": key.alg.as_str(), "use_for": key.use_for.as_str(), "phase": key.phase.as_str()})
}
