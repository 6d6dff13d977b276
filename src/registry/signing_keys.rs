//! Signing keys: made, imported, rotated and deleted, each in one transaction that all other work on keys waits for.
//! What is due by `keys::rotation` is done first, so that a call always acts on the present state.

use serde_json::json;

use super::record::Subject;
use super::{Caller, Error, Registry};
use crate::keys::key::{KeyError, NewKey};
use crate::keys::rotation::{self, ByHand, NotDeletable, Step};
use crate::keys::GENERATES_RSA;
use crate::model::audit::{Action, Actor};
use crate::model::clock::UnixSeconds;
use crate::model::key::{Alg, Phase, SigningKey, UseFor};
use crate::model::reach::Reach;
use crate::storage::{Change, Tx};

/// A key to be made or imported.
#[derive(Debug)]
pub struct NewSigningKey {
    /// Its algorithm.
    pub alg: Alg,
    /// The class of tokens it will sign.
    pub use_for: UseFor,
    /// The private key as PKCS#8 PEM; `None` to have one made.
    pub private_key_pem: Option<zeroize::Zeroizing<String>>,
}

/// A key as an administrator sees it.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// The key.
    pub key: SigningKey,
    /// How many recorded tokens that it signed are live.
    pub live_tokens: i64,
}

impl Registry {
    /// The keys that are not gone, oldest first.
    pub async fn signing_keys(&self, caller: &Caller) -> Result<Vec<KeyRecord>, Error> {
        caller.must_read_platform("signing keys")?;
        let (keys, _) = self.storage.signing_keys().await?;
        let live = self.storage.live_tokens_by_kid(self.clock.now()).await?;
        Ok(keys.into_iter().map(|key| KeyRecord { live_tokens: live_of(&live, &key.kid), key }).collect())
    }

    /// One key; those that are gone are not found.
    pub async fn signing_key(&self, caller: &Caller, kid: &str) -> Result<KeyRecord, Error> {
        let keys = self.signing_keys(caller).await?;
        keys.into_iter().find(|record| record.key.kid == kid).ok_or(Error::NotFound("signing key"))
    }

    /// Makes or imports a key. The first of its algorithm and class signs at once; a later one is published first.
    pub async fn create_signing_key(
        &self,
        caller: &Caller,
        new: NewSigningKey,
    ) -> Result<KeyRecord, Error> {
        caller.must_manage_platform("signing keys")?;
        // Making or parsing a key takes the processor, so it is done before the transaction begins.
        let made = match &new.private_key_pem {
            Some(pem) => NewKey::import(new.alg, pem),
            None => NewKey::generate(new.alg),
        };
        let made = made.map_err(|error| match error {
            KeyError::Import(fault) => Error::invalid("/private_key_pem", fault.to_string()),
            KeyError::NotGenerated(_) => Error::invalid("/private_key_pem", error.to_string()),
            other => Error::Crypto(other.to_string()),
        })?;
        let mut tx = self.storage.begin().await?;
        let now = self.clock.now();
        self.take_due_steps(&mut tx, now).await?;
        let keys = tx.signing_keys().await?;
        let placement = rotation::place(&keys, new.alg, new.use_for, now, &self.rotation_policy())
            .map_err(|pending| Error::Conflict(pending.to_string()))?;
        let key = made.into_record(
            new.use_for,
            placement.phase,
            now,
            placement.activates_at,
            &self.subkeys,
            &self.random,
        )?;
        self.insert(&mut tx, caller, &key).await?;
        let record = KeyRecord { key, live_tokens: 0 };
        self.commit_keys(tx).await?;
        Ok(record)
    }

    /// Deletes a key before its time. With `revoke_tokens` every recorded token it signed is revoked with it, and an
    /// active key gets a successor that signs at once; without, a key that a live token may depend on is refused.
    pub async fn delete_signing_key(
        &self,
        caller: &Caller,
        kid: &str,
        revoke_tokens: bool,
        if_match: impl Fn(i64) -> bool,
    ) -> Result<(), Error> {
        caller.must_manage_platform("signing keys")?;
        let mut tx = self.storage.begin().await?;
        let now = self.clock.now();
        self.take_due_steps(&mut tx, now).await?;
        let keys = tx.signing_keys().await?;
        let key = keys.into_iter().find(|key| key.kid == kid).ok_or(Error::NotFound("signing key"))?;
        if !if_match(key.version) {
            return Err(Error::Changed);
        }
        let live = live_of(&tx.live_tokens_by_kid(now).await?, kid);
        let gone = match rotation::deleted(&key, live, now) {
            Ok(gone) => gone,
            Err(NotDeletable::Gone) => return Err(Error::NotFound("signing key")),
            Err(_) if revoke_tokens => {
                tx.revoke_tokens_of_key(kid, now).await?;
                let retired_at = key.retired_at.or(Some(now));
                let (phase, sealed_private, version) = (Phase::Gone, None, key.version + 1);
                SigningKey { phase, sealed_private, retired_at, version, ..key.clone() }
            }
            Err(NotDeletable::LiveTokens(count)) => {
                return Err(Error::Conflict(format!(
                    "{count} live recorded tokens depend on this key: {}. Revoke them, or delete the key with ?revoke_tokens=true",
                    self.holders(&mut tx, kid, now).await?
                )));
            }
            Err(refused) => {
                return Err(Error::Conflict(format!("{refused}; ?revoke_tokens=true deletes it at once and kills its tokens")));
            }
        };
        tx.update_signing_key(&gone).await?;
        let facts = json!({"phase": key.phase.as_str(), "revoked_tokens": if revoke_tokens { live } else { 0 }});
        self.audit(&mut tx, caller, Action::KeyDeleted, Subject::platform(kid), facts).await?;
        let signed = matches!(key.phase, Phase::Active) || (key.phase == Phase::Pending && key.activates_at <= now);
        if signed && (GENERATES_RSA || !key.alg.is_rsa()) {
            let next = NewKey::generate(key.alg).map_err(|error| Error::Crypto(error.to_string()))?;
            let next =
                next.into_record(key.use_for, Phase::Active, now, now, &self.subkeys, &self.random)?;
            self.drop_pending_successor(&mut tx, caller, &key, now).await?;
            self.insert(&mut tx, caller, &next).await?;
        }
        tx.changed(Change::SigningKeys);
        self.commit_keys(tx).await
    }

    /// Does what is due by the rotation schedule. Also makes the first keys, at the first start.
    pub async fn advance_signing_keys(&self) -> Result<(), Error> {
        let mut tx = self.storage.begin().await?;
        let by_hand = self.take_due_steps(&mut tx, self.clock.now()).await?;
        self.commit_keys(tx).await?;
        for matter in by_hand {
            tracing::warn!("{matter}");
        }
        Ok(())
    }

    /// Reads the keys into the ring that signs and verifies.
    pub async fn reload_signing_keys(&self) -> Result<(), Error> {
        let (keys, as_of) = self.storage.signing_keys().await?;
        // The rest is in force: one damaged key must not take the others with it.
        for fault in self.ring.load(&keys, as_of) {
            tracing::error!("{fault}");
        }
        Ok(())
    }

    /// What keeps tokens of the platform's algorithm from being signed now; `None` if nothing does.
    pub fn missing_signing_keys(&self) -> Option<String> {
        let alg = self.policy.signing_alg;
        let now = self.clock.now();
        let missing: Vec<String> = UseFor::ALL
            .into_iter()
            .filter(|use_for| self.ring.for_signing(alg, *use_for, now).is_none())
            .map(|use_for| ByHand::Missing { alg, use_for }.to_string())
            .collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    async fn commit_keys(&self, tx: Tx) -> Result<(), Error> {
        self.commit(tx).await?;
        if self.take_keys_changed() {
            self.reload_signing_keys().await.inspect_err(|_| self.note_keys_changed())?;
        }
        Ok(())
    }

    async fn take_due_steps(&self, tx: &mut Tx, now: UnixSeconds) -> Result<Vec<ByHand>, Error> {
        tx.serialise_key_changes().await?;
        let keys = tx.signing_keys().await?;
        let live = tx.live_tokens_by_kid(now).await?;
        let due = rotation::due(&keys, |kid| live_of(&live, kid) > 0, now, &self.rotation_policy());
        let system = system_caller();
        for step in &due.steps {
            if let Step::Generate { alg, use_for, placement } = step {
                let made = NewKey::generate(*alg).map_err(|error| Error::Crypto(error.to_string()))?;
                let (phase, at) = (placement.phase, placement.activates_at);
                let key = made.into_record(*use_for, phase, now, at, &self.subkeys, &self.random)?;
                self.insert(tx, &system, &key).await?;
            }
            for key in step.changes(&keys, now) {
                tx.update_signing_key(&key).await?;
                let action = match key.phase {
                    Phase::Pending | Phase::Active => Action::KeyActivated,
                    Phase::Retiring => Action::KeyRetired,
                    Phase::Gone => Action::KeyGone,
                };
                self.audit(tx, &system, action, Subject::platform(&key.kid), facts(&key)).await?;
                tx.changed(Change::SigningKeys);
            }
        }
        Ok(due.by_hand)
    }

    async fn insert(&self, tx: &mut Tx, caller: &Caller, key: &SigningKey) -> Result<(), Error> {
        if !tx.insert_signing_key(key).await? {
            return Err(Error::Conflict(
                "this private key exists already, or did: a key has one algorithm and one class, and is never used again".to_owned(),
            ));
        }
        tx.changed(Change::SigningKeys);
        self.audit(tx, caller, Action::KeyCreated, Subject::platform(&key.kid), facts(key)).await
    }

    /// A key that is deleted while it signs is followed at once, so a successor that still waits is not needed.
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
            let gone = SigningKey {
                phase: Phase::Gone,
                sealed_private: None,
                retired_at: Some(now),
                version: pending.version + 1,
                ..pending.clone()
            };
            tx.update_signing_key(&gone).await?;
            let subject = Subject::platform(&pending.kid);
            self.audit(tx, caller, Action::KeyDeleted, subject, facts(&gone)).await?;
        }
        Ok(())
    }

    async fn holders(&self, tx: &mut Tx, kid: &str, now: UnixSeconds) -> Result<String, Error> {
        let holders = tx.holders_of_key(kid, now).await?;
        let names: Vec<String> = holders.iter().map(|(client_id, count)| format!("{client_id} ({count})")).collect();
        Ok(names.join(", "))
    }

    fn rotation_policy(&self) -> rotation::Policy {
        rotation::Policy {
            pending_seconds: self.policy.key_pending_seconds,
            jwks_max_age_seconds: self.policy.jwks_max_age_seconds,
            rotate_every_days: self.policy.key_rotate_every_days,
            signing_alg: self.policy.signing_alg,
            generates_rsa: GENERATES_RSA,
        }
    }
}

fn live_of(live: &[(String, i64)], kid: &str) -> i64 {
    live.iter().find(|(of, _)| of == kid).map_or(0, |(_, count)| *count)
}

fn facts(key: &SigningKey) -> serde_json::Value {
    json!({"alg": key.alg.as_str(), "use_for": key.use_for.as_str(), "phase": key.phase.as_str()})
}

fn system_caller() -> Caller {
    Caller { reach: Reach::Platform, permissions: Vec::new(), actor: Actor::system(), client_id: None }
}
