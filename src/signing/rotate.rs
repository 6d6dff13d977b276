//! Rotates signing keys by the schedule of [`rotation`], in one transaction for which all other work on keys waits. For the
//! background job; every other change of keys takes the due steps first, so that it acts on the current state.

use super::key::NewKey;
use super::missing_key::MissingKey;
use super::rotation::{ManualStep, Step};
use super::store::facts;
use super::{GENERATES_RSA, Signing, rotation};
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::{Action, Actor};
use crate::model::clock::UnixSeconds;
use crate::model::key::Phase;
use crate::model::reach::Reach;
use crate::storage::{Change, Tx};

impl Signing {
    /// Takes the steps that are due by the rotation schedule. Also creates missing keys of `tokens.signing_alg`, for example at
    /// the first start.
    ///
    /// # Errors
    /// [`Error::Clock`] while the clock is doubtful; [`Error::Crypto`], [`Error::Storage`].
    pub async fn advance_signing_keys(&self) -> Result<(), Error> {
        let now = self.ledger.trusted_now()?;
        let mut tx = self.kernel.storage.begin().await?;
        let manual = self.take_due_steps(&mut tx, now).await?;
        self.commit_keys(tx).await?;
        for step in manual {
            tracing::warn!("{step}");
        }
        Ok(())
    }

    /// Reads the stored keys into the ring that signs and verifies.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn reload_signing_keys(&self) -> Result<(), Error> {
        self.reloader.reload().await
    }

    /// Which keys of `tokens.signing_alg` are missing now, and how to create them; `None` if none is missing.
    pub fn missing_signing_keys(&self) -> Option<String> {
        let missing = self.ring.missing(self.kernel.policy.signing_alg, self.kernel.clock.now());
        let missing: Vec<String> = missing.iter().map(MissingKey::to_string).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// Takes the due steps under the lock on key changes, which is held until the transaction ends. While the clock is doubtful
    /// it takes no step. Returns the steps that only a person can take.
    pub(super) async fn take_due_steps(
        &self,
        tx: &mut Tx,
        now: UnixSeconds,
    ) -> Result<Vec<ManualStep>, Error> {
        tx.serialise_key_changes().await?;
        if self.ledger.trusted_now().is_err() {
            return Ok(Vec::new());
        }
        let keys = tx.signing_keys().await?;
        let mut in_use = Vec::new();
        // Only a retiring key waits for its tokens.
        for key in keys.iter().filter(|key| key.phase == Phase::Retiring) {
            if tx.key_has_live_tokens(&key.kid, now).await? {
                in_use.push(key.kid.as_str());
            }
        }
        let due = rotation::due(&keys, |kid| in_use.contains(&kid), now, &self.rotation_policy());
        let system = system_caller();
        for step in &due.steps {
            if let Step::Generate { alg, use_for, placement } = step {
                let new = NewKey::generate(*alg).map_err(|error| Error::Crypto(error.to_string()))?;
                self.store_new_key(tx, &system, new, *use_for, *placement, now).await?;
            }
            for key in step.changes(&keys, now) {
                tx.update_signing_key(&key).await?;
                if key.phase == Phase::Gone {
                    tx.close_status_lists_of(&key.kid, now).await?;
                }
                let action = match key.phase {
                    Phase::Pending | Phase::Active => Action::KeyActivated,
                    Phase::Retiring => Action::KeyRetired,
                    Phase::Gone => Action::KeyGone,
                };
                self.ledger.audit(tx, &system, action, Subject::platform(&key.kid), facts(&key)).await?;
                tx.changed(Change::SigningKeys);
            }
        }
        Ok(due.manual)
    }

    pub(super) fn rotation_policy(&self) -> rotation::Policy {
        rotation::Policy {
            pending_seconds: self.kernel.policy.key_pending_seconds,
            jwks_max_age_seconds: self.kernel.policy.jwks_max_age_seconds,
            rotate_every_days: self.kernel.policy.key_rotate_every_days,
            signing_alg: self.kernel.policy.signing_alg,
            generates_rsa: GENERATES_RSA,
        }
    }
}

pub(super) fn system_caller() -> Caller {
    Caller { reach: Reach::Platform, permissions: Vec::new(), actor: Actor::system(), client_id: None }
}
