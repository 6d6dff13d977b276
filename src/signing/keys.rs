//! Signing keys: made, imported, rotated and deleted, each in one transaction that all other work on keys waits for.
//! What is due by `keys::rotation` is done first, so that a call always acts on the present state.

use std::fmt;

use serde_json::json;

use super::key::{KeyError, NewKey};
use super::rotation::{self, ByHand, NotDeletable, Step};
use super::{GENERATES_RSA, Signing};
use crate::clients::mark_revoked;
use crate::kernel::{Caller, Error, Precondition};
use crate::ledger::{SaveReply, Subject};
use crate::model::audit::{Action, Actor};
use crate::model::client::ApiClient;
use crate::model::clock::UnixSeconds;
use crate::model::invalid::Broken;
use crate::model::key::{Alg, Phase, SigningKey, UseFor};
use crate::model::mail::MailKind;
use crate::model::member::Member;
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::model::token::STATELESS_LIFETIME_MAX;
use crate::storage::{Change, Tx};

/// What a person says of a key to be made or imported.
#[derive(Default)]
pub struct NewSigningKey {
    /// Its algorithm; required.
    pub alg: Member<String>,
    /// The class of tokens it will sign; default `expiring`.
    pub use_for: Member<String>,
    /// The private key as PKCS#8 PEM; by default one is made.
    pub private_key_pem: Member<String>,
    /// What of it could not be read, to be told together with the rules it breaks.
    pub unread: Broken,
}

impl fmt::Debug for NewSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSigningKey")
            .field("alg", &self.alg)
            .field("use_for", &self.use_for)
            .finish_non_exhaustive()
    }
}

impl NewSigningKey {
    /// Algorithm, class and the key itself, made or parsed.
    fn make(&self) -> Result<(UseFor, NewKey), Error> {
        let mut broken = self.unread.clone();
        let alg: Option<Alg> = self.alg.value().and_then(|name| name.parse().ok());
        if alg.is_none() {
            broken.at("/alg", "must be ES256, EdDSA, RS256 or PS256");
        }
        let use_for = match &self.use_for {
            Member::Absent | Member::Null => Some(UseFor::Expiring),
            Member::Value(name) => name.parse().ok(),
        };
        if use_for.is_none() {
            broken.at("/use_for", "must be expiring or never_expiring");
        }
        let made = match (alg, &self.private_key_pem) {
            (None, _) => None,
            (Some(alg), Member::Value(pem)) => Some(NewKey::import(alg, pem)),
            (Some(alg), _) => Some(NewKey::generate(alg)),
        };
        let made = match made {
            Some(Err(KeyError::Import(fault))) => {
                broken.at("/private_key_pem", fault.to_string());
                None
            }
            Some(Err(error @ KeyError::NotGenerated(_))) => {
                broken.at("/private_key_pem", error.to_string());
                None
            }
            Some(Err(other)) => return Err(Error::Crypto(other.to_string())),
            Some(Ok(made)) => Some(made),
            None => None,
        };
        match (use_for, made) {
            (Some(use_for), Some(made)) if broken.is_empty() => Ok((use_for, made)),
            _ => Err(Error::Invalid(broken.into_vec())),
        }
    }
}

/// A key as an administrator sees it.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// The key.
    pub key: SigningKey,
    /// How many recorded tokens that it signed are live.
    pub live_tokens: i64,
}

impl Signing {
    /// A page of the keys that are not gone, oldest first.
    ///
    /// # Errors
    /// [`Error::Lacks`], [`Error::Denied`], [`Error::Storage`].
    pub async fn signing_keys(&self, caller: &Caller, page: &Page) -> Result<Items<KeyRecord>, Error> {
        let mut keys = self.published_keys(caller).await?;
        // They are few, and all read anyway; a key that went since the page before leaves its place by its instant.
        if let Some(after) = &page.after {
            keys.retain(|record| place_in_list(record) > *after);
        }
        keys.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX).saturating_add(1));
        Ok(Items::cut(keys, page.limit, place_in_list))
    }

    async fn published_keys(&self, caller: &Caller) -> Result<Vec<KeyRecord>, Error> {
        caller.must_read_platform("signing keys")?;
        let (keys, _) = self.kernel.storage.signing_keys().await?;
        let live = self.kernel.storage.live_tokens_by_kid(self.kernel.clock.now()).await?;
        Ok(keys.into_iter().map(|key| KeyRecord { live_tokens: live_of(&live, &key.kid), key }).collect())
    }

    /// One key; those that are gone are not found.
    pub async fn signing_key(&self, caller: &Caller, kid: &str) -> Result<KeyRecord, Error> {
        let keys = self.published_keys(caller).await?;
        keys.into_iter().find(|record| record.key.kid == kid).ok_or(Error::NotFound("signing key"))
    }

    /// Makes or imports a key. The first of its algorithm and class signs at once; a later one is published first.
    pub async fn create_signing_key(
        &self,
        caller: &Caller,
        new: &NewSigningKey,
        save: Option<SaveReply<'_, KeyRecord>>,
    ) -> Result<KeyRecord, Error> {
        caller.must_manage_platform("signing keys")?;
        // Making or parsing a key takes the processor, so it is done before the transaction begins.
        let (use_for, made) = new.make()?;
        let mut tx = self.kernel.storage.begin().await?;
        let now = self.kernel.clock.now();
        self.take_due_steps(&mut tx, now).await?;
        let keys = tx.signing_keys().await?;
        let placement = rotation::place(&keys, made.alg(), use_for, now, &self.rotation_policy())
            .map_err(|pending| Error::Conflict(pending.to_string()))?;
        let key = made.into_record(
            use_for,
            placement.phase,
            now,
            placement.activates_at,
            &self.kernel.subkeys,
            &self.kernel.random,
        )?;
        self.insert(&mut tx, caller, &key).await?;
        let record = KeyRecord { key, live_tokens: 0 };
        self.ledger.save_reply(&mut tx, save.as_ref(), &record).await?;
        self.commit_keys(tx).await?;
        Ok(record)
    }

    /// Deletes a key before its time. With `revoke_tokens` every recorded token it signed is revoked with it, and an
    /// active key gets a successor that signs at once; without, a key that a live token may depend on is refused. Returns
    /// how many recorded tokens had been alive.
    pub async fn delete_signing_key(
        &self,
        caller: &Caller,
        kid: &str,
        revoke_tokens: bool,
        expected: &Precondition,
    ) -> Result<usize, Error> {
        match self.try_to_delete_signing_key(caller, kid, revoke_tokens, expected).await {
            // A client was being given its first token by this key, beside one that had some, and the two waited for
            // each other. By now it is on record.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                self.try_to_delete_signing_key(caller, kid, revoke_tokens, expected).await
            }
            outcome => outcome,
        }
    }

    async fn try_to_delete_signing_key(
        &self,
        caller: &Caller,
        kid: &str,
        revoke_tokens: bool,
        expected: &Precondition,
    ) -> Result<usize, Error> {
        caller.must_manage_platform("signing keys")?;
        let mut tx = self.kernel.storage.begin().await?;
        let now = self.kernel.clock.now();
        tx.serialise_key_changes().await?;
        // Clients are locked before keys, as by whoever records a token.
        let mut holders =
            if revoke_tokens { self.lock_holders(&mut tx, kid, now).await? } else { Vec::new() };
        self.take_due_steps(&mut tx, now).await?;
        let key = tx.lock_signing_key(kid).await?.ok_or(Error::NotFound("signing key"))?;
        expected.check(key.version)?;
        let live = live_of(&tx.live_tokens_by_kid(now).await?, kid);
        let gone = match rotation::deleted(&key, live, now) {
            Ok(gone) => gone,
            Err(NotDeletable::Gone) => return Err(Error::NotFound("signing key")),
            Err(_) if revoke_tokens => {
                let retired_at = key.retired_at.or(Some(now));
                let (phase, sealed_private, version) = (Phase::Gone, None, key.version + 1);
                SigningKey { phase, sealed_private, retired_at, version, ..key.clone() }
            }
            Err(NotDeletable::LiveTokens(_)) => {
                return Err(Error::Conflict(format!(
                    "{}. Revoke them, or delete the key with ?revoke_tokens=true",
                    self.dependents(&mut tx, kid, live, now).await?
                )));
            }
            Err(refused) => {
                let dependents = match live {
                    0 => String::new(),
                    _ => format!(". {}", self.dependents(&mut tx, kid, live, now).await?),
                };
                return Err(Error::Conflict(format!(
                    "{refused}{dependents}; ?revoke_tokens=true deletes it at once and kills its tokens"
                )));
            }
        };
        tx.update_signing_key(&gone).await?;
        tx.close_status_lists_of(kid, now).await?;
        let revoked =
            if revoke_tokens { self.kill_tokens_of_key(&mut tx, &key, &mut holders, now).await? } else { 0 };
        let facts = json!({"phase": key.phase.as_str(), "revoked_tokens": revoked});
        self.ledger.audit(&mut tx, caller, Action::KeyDeleted, Subject::platform(kid), facts).await?;
        let signed =
            matches!(key.phase, Phase::Active) || (key.phase == Phase::Pending && key.activates_at <= now);
        if signed && (GENERATES_RSA || !key.alg.is_rsa()) {
            let next = NewKey::generate(key.alg).map_err(|error| Error::Crypto(error.to_string()))?;
            let next = next.into_record(
                key.use_for,
                Phase::Active,
                now,
                now,
                &self.kernel.subkeys,
                &self.kernel.random,
            )?;
            self.drop_pending_successor(&mut tx, caller, &key, now).await?;
            self.insert(&mut tx, caller, &next).await?;
        }
        tx.changed(Change::SigningKeys);
        self.commit_keys(tx).await?;
        Ok(revoked)
    }

    /// Does what is due by the rotation schedule. Also makes the first keys, at the first start.
    pub async fn advance_signing_keys(&self) -> Result<(), Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let by_hand = self.take_due_steps(&mut tx, self.kernel.clock.now()).await?;
        self.commit_keys(tx).await?;
        for matter in by_hand {
            tracing::warn!("{matter}");
        }
        Ok(())
    }

    /// Reads the keys into the ring that signs and verifies.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn reload_signing_keys(&self) -> Result<(), Error> {
        self.memory.reload().await
    }

    /// What keeps tokens of the platform's algorithm from being signed now; `None` if nothing does.
    pub fn missing_signing_keys(&self) -> Option<String> {
        let alg = self.kernel.policy.signing_alg;
        let now = self.kernel.clock.now();
        let missing: Vec<String> = UseFor::ALL
            .into_iter()
            .filter(|use_for| self.ring.for_signing(alg, *use_for, now).is_none())
            .map(|use_for| ByHand::Missing { alg, use_for }.to_string())
            .collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    async fn commit_keys(&self, tx: Tx) -> Result<(), Error> {
        self.ledger.commit(tx).await?;
        self.memory.reload_if_changed().await
    }

    async fn take_due_steps(&self, tx: &mut Tx, now: UnixSeconds) -> Result<Vec<ByHand>, Error> {
        tx.serialise_key_changes().await?;
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
                let made = NewKey::generate(*alg).map_err(|error| Error::Crypto(error.to_string()))?;
                let (phase, at) = (placement.phase, placement.activates_at);
                let key =
                    made.into_record(*use_for, phase, now, at, &self.kernel.subkeys, &self.kernel.random)?;
                self.insert(tx, &system, &key).await?;
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
        Ok(due.by_hand)
    }

    async fn insert(&self, tx: &mut Tx, caller: &Caller, key: &SigningKey) -> Result<(), Error> {
        if !tx.insert_signing_key(key).await? {
            return Err(Error::Conflict(
                "this private key exists already, or did: a key has one algorithm and one class, and is never used again".to_owned(),
            ));
        }
        tx.changed(Change::SigningKeys);
        self.ledger.audit(tx, caller, Action::KeyCreated, Subject::platform(&key.kid), facts(key)).await
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
            self.ledger.audit(tx, caller, Action::KeyDeleted, subject, facts(&gone)).await?;
        }
        Ok(())
    }

    /// The clients that may hold tokens signed by a key, locked: those with recorded ones, and for a key of the
    /// expiring class whoever may have been given stateless ones.
    async fn lock_holders(&self, tx: &mut Tx, kid: &str, now: UnixSeconds) -> Result<Vec<ApiClient>, Error> {
        let keys = tx.signing_keys().await?;
        let Some(key) = keys.iter().find(|key| key.kid == kid) else { return Ok(Vec::new()) };
        let mut ids = tx.clients_with_tokens_of_key(kid, now).await?;
        if may_have_signed_stateless(key, now) {
            ids.extend(tx.client_ids_signed_by(key.alg, now - STATELESS_LIFETIME_MAX).await?);
            ids.sort_unstable();
            ids.dedup();
        }
        let mut clients = Vec::with_capacity(ids.len());
        for client_id in ids {
            clients.extend(tx.lock_client(&Reach::Platform, &client_id).await?);
        }
        Ok(clients)
    }

    /// Kills every token that a key signed, after its row says that it signs no more: until then one may still be on its
    /// way into the records. Returns how many recorded ones had been alive.
    async fn kill_tokens_of_key(
        &self,
        tx: &mut Tx,
        key: &SigningKey,
        holders: &mut [ApiClient],
        now: UnixSeconds,
    ) -> Result<usize, Error> {
        let revoked = tx.revoke_tokens_of_key(&key.kid, now).await?;
        for client in holders {
            let of_client =
                revoked.iter().filter(|token| token.was_live && token.client_id == client.client_id).count();
            if may_have_signed_stateless(key, now) {
                self.clients.new_generation(tx, client, now).await?;
                tx.update_client(client).await?;
                tx.changed(Change::Client(client.client_id.clone()));
            } else if of_client == 0 {
                continue;
            }
            let facts = json!({ "label": client.label, "kid": key.kid, "revoked_tokens": of_client });
            self.ledger.mail_contacts(tx, client, MailKind::KeyRevoked, facts).await?;
        }
        mark_revoked(tx, &revoked).await
    }

    /// How many live tokens depend on a key, and whose they are.
    async fn dependents(&self, tx: &mut Tx, kid: &str, live: i64, now: UnixSeconds) -> Result<String, Error> {
        let holders = tx.holders_of_key(kid, now).await?;
        let named: i64 = holders.iter().map(|(_, count)| count).sum();
        let mut whose: Vec<String> =
            holders.iter().map(|(client_id, count)| format!("{client_id} ({count})")).collect();
        if named < live {
            whose.push(format!("others ({})", live - named));
        }
        let tokens = if live == 1 { "token depends" } else { "tokens depend" };
        Ok(format!("{live} live recorded {tokens} on this key: {}", whose.join(", ")))
    }

    fn rotation_policy(&self) -> rotation::Policy {
        rotation::Policy {
            pending_seconds: self.kernel.policy.key_pending_seconds,
            jwks_max_age_seconds: self.kernel.policy.jwks_max_age_seconds,
            rotate_every_days: self.kernel.policy.key_rotate_every_days,
            signing_alg: self.kernel.policy.signing_alg,
            generates_rsa: GENERATES_RSA,
        }
    }
}

/// Orders the list: by the instant of making, then by name.
fn place_in_list(record: &KeyRecord) -> String {
    format!("{:020}:{}", record.key.created_at, record.key.kid)
}

/// Whether a stateless token that the key signed may be alive.
fn may_have_signed_stateless(key: &SigningKey, now: UnixSeconds) -> bool {
    key.use_for == UseFor::Expiring
        && match key.phase {
            Phase::Pending => key.activates_at <= now + rotation::REPLICA_MARGIN,
            Phase::Active => true,
            Phase::Retiring | Phase::Gone => {
                key.retired_at.is_none_or(|at| at + STATELESS_LIFETIME_MAX + rotation::REPLICA_MARGIN > now)
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
