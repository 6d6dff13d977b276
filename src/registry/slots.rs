//! Status slots: which slot a token gets, and what stands in it when its client, its workspace or its generation
//! changes (`design.md` §5).
//!
//! All stateless tokens of a client share the slot of its generation, so killing them is one mark; every recorded token
//! has its own. Marks are part of the transaction of the change they tell of.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Error, Registry};
use crate::keys::rotation::STATELESS_LIFETIME_MAX;
use crate::model::client::ApiClient;
use crate::model::clock::UnixSeconds;
use crate::model::status::{Holds, Lease, Mark, Slot};
use crate::storage::{Revoked, Tx};

/// How many slots this process takes at once for recorded tokens: at first, and at most. Those it does not use are lost.
const LEASED_AT_FIRST: u32 = 64;
const LEASED_AT_MOST: u32 = 1_024;

/// For how long it uses them, in seconds. Lists end only after that.
pub(super) const LEASE_SECONDS: i64 = 3_600;

/// A lease, how many slots it had, and until when they are used.
#[derive(Debug)]
struct AtHand {
    lease: Lease,
    count: u32,
    until: UnixSeconds,
}

/// Slots for recorded tokens that this process has leased and not used yet.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// By key for never-expiring tokens; `None` for those that expire.
    at_hand: Mutex<HashMap<Option<Box<str>>, AtHand>>,
    /// Held by the one who leases more.
    leasing: tokio::sync::Mutex<()>,
}

impl Leases {
    fn take(&self, holds: Holds<'_>, now: UnixSeconds) -> Option<Slot> {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let one = at_hand.get_mut(&holds.kid().map(Box::from))?;
        if one.until <= now { None } else { one.lease.next() }
    }

    /// How many to lease next: twice as many as were used up within their time, few for who needs few.
    fn wanted(&self, holds: Holds<'_>, now: UnixSeconds) -> u32 {
        let at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let used_up = at_hand.get(&holds.kid().map(Box::from)).filter(|one| one.until > now);
        used_up.map_or(LEASED_AT_FIRST, |one| one.count.saturating_mul(2).min(LEASED_AT_MOST))
    }

    fn put(&self, holds: Holds<'_>, lease: Lease, count: u32, now: UnixSeconds) {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys come and go; what is left of their leases goes with time.
        at_hand.retain(|_, one| one.until > now);
        let until = now + LEASE_SECONDS;
        at_hand.insert(holds.kid().map(Box::from), AtHand { lease, count, until });
    }
}

impl Registry {
    /// A slot for a recorded token: of those this process has leased, or of newly leased ones. `holds` is not
    /// [`Holds::Generations`], which are dealt out one by one with the client they belong to.
    pub async fn slot_for_token(&self, holds: Holds<'_>) -> Result<Slot, Error> {
        let now = self.clock.now();
        if let Some(slot) = self.leases.take(holds, now) {
            return Ok(slot);
        }
        let _leasing = self.leases.leasing.lock().await;
        loop {
            // Somebody may have leased while this waited.
            if let Some(slot) = self.leases.take(holds, now) {
                return Ok(slot);
            }
            // A command that makes one token wastes no slots.
            let count = if self.recorder.is_gathering() { self.leases.wanted(holds, now) } else { 1 };
            let mut tx = self.storage.begin().await?;
            let lease = tx.lease_slots(holds, count, self.random.fill()?, now).await?;
            tx.commit().await?;
            self.leases.put(holds, lease, count, now);
        }
    }

    /// The slot of a client's first generation, or of its next one.
    async fn slot_for_generation(&self, tx: &mut Tx, now: UnixSeconds) -> Result<Slot, Error> {
        loop {
            let mut lease = tx.lease_slots(Holds::Generations, 1, self.random.fill()?, now).await?;
            if let Some(slot) = lease.next() {
                return Ok(slot);
            }
        }
    }

    /// Gives a client that has no slot yet the slot of its generation.
    pub(super) async fn first_slot(
        &self,
        tx: &mut Tx,
        client: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        client.slot = Some(self.slot_for_generation(tx, now).await?);
        Ok(())
    }

    /// Opens a new generation of a locked client: all its stateless tokens die. The caller writes the client.
    pub(super) async fn new_generation(
        &self,
        tx: &mut Tx,
        client: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        self.end_generation(tx, client, now).await?;
        client.generation += 1;
        self.first_slot(tx, client, now).await?;
        if client.slots_suspended_at.is_some() {
            tx.mark_slots(client.slot.as_slice(), Mark::Suspend).await?;
        }
        Ok(())
    }

    /// Marks the slot of a client's generation as revoked. Nothing points at it afterwards, but tokens that name it
    /// still travel.
    pub(super) async fn end_generation(
        &self,
        tx: &mut Tx,
        client: &ApiClient,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        if let Some(slot) = client.slot {
            tx.mark_slots(&[slot], Mark::Revoke).await?;
            tx.status_list_outlives(slot.list, now + STATELESS_LIFETIME_MAX).await?;
        }
        Ok(())
    }

    /// Revokes all tokens of a locked client: a new generation, and every recorded one. Returns how many recorded ones
    /// had been alive. The caller writes the client.
    pub(super) async fn revoke_all_tokens(
        &self,
        tx: &mut Tx,
        client: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<usize, Error> {
        self.new_generation(tx, client, now).await?;
        let revoked = tx.revoke_tokens_of_client(&client.client_id, now).await?;
        self.mark_revoked(tx, &revoked).await
    }

    /// Marks the slots of tokens that were just revoked. Returns how many of them had been alive.
    pub(super) async fn mark_revoked(&self, tx: &mut Tx, revoked: &[Revoked]) -> Result<usize, Error> {
        let slots: Vec<Slot> = revoked.iter().filter_map(|token| token.slot).collect();
        tx.mark_slots(&slots, Mark::Revoke).await?;
        Ok(revoked.iter().filter(|token| token.was_live).count())
    }

    /// Makes the slots of a locked client say whether it may act: suspended while it is disabled, has ended or its
    /// workspace is suspended, and back when none of these holds. Returns whether anything was to be done; then the
    /// caller writes the client.
    pub(super) async fn suit_slots(
        &self,
        tx: &mut Tx,
        client: &mut ApiClient,
        workspace_suspended: bool,
        now: UnixSeconds,
    ) -> Result<bool, Error> {
        let suspend = workspace_suspended || !client.is_active(now);
        if suspend == client.slots_suspended_at.is_some() {
            return Ok(false);
        }
        let recorded = tx.live_tokens_of_client(&client.client_id, now).await?;
        let slots: Vec<Slot> = recorded.iter().filter_map(|token| token.slot).chain(client.slot).collect();
        let mark = if suspend { Mark::Suspend } else { Mark::Resume };
        tx.mark_slots(&slots, mark).await?;
        client.slots_suspended_at = suspend.then_some(now);
        Ok(true)
    }
}
