//! Status slots for recorded tokens: each token has a slot, taken from those that this process leases in advance
//! (`docs/revocation.md`). The stateless tokens of a client share the slot of its generation.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Tokens;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::slot_lease::{Lease, ListKind};
use crate::model::status::Slot;

/// How many slots this process leases the first time, and after a lease that it did not use up in time. Slots that it does not
/// use are lost.
const LEASED_AT_FIRST: u32 = 64;
/// How many slots this process leases at once, at most.
const LEASED_AT_MOST: u32 = 8_192;

/// For how long this process uses leased slots, in seconds. A status list is kept for longer ([`super::clean_up`]).
pub(super) const LEASE_SECONDS: i64 = 3_600;

/// A lease, how many slots it had, and until when they are used.
#[derive(Debug)]
struct LeasedSlots {
    lease: Lease,
    count: u32,
    until: UnixSeconds,
}

/// Slots for recorded tokens that this process has leased and not used yet.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// For never-expiring tokens, by the `kid` of their key; for tokens that expire, under the empty string.
    by_key: Mutex<HashMap<Box<str>, LeasedSlots>>,
    /// Locked by the request that leases more slots.
    leasing: tokio::sync::Mutex<()>,
}

impl Leases {
    fn take(&self, kind: ListKind<'_>, now: UnixSeconds) -> Option<Slot> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let one = by_key.get_mut(kind.kid().unwrap_or_default())?;
        if one.until <= now { None } else { one.lease.next() }
    }

    /// How many slots to lease next: twice as many as before if those were used up before their time ended, else
    /// [`LEASED_AT_FIRST`].
    fn wanted(&self, kind: ListKind<'_>, now: UnixSeconds) -> u32 {
        let by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let used_up = by_key.get(kind.kid().unwrap_or_default()).filter(|one| one.until > now);
        used_up.map_or(LEASED_AT_FIRST, |one| one.count.saturating_mul(2).min(LEASED_AT_MOST))
    }

    fn put(&self, kind: ListKind<'_>, lease: Lease, count: u32, now: UnixSeconds) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        // Leases of deleted keys are dropped when their time is over.
        by_key.retain(|_, one| one.until > now);
        let until = now + LEASE_SECONDS;
        by_key.insert(kind.kid().unwrap_or_default().into(), LeasedSlots { lease, count, until });
    }
}

impl Tokens {
    /// A slot for a recorded token, from those that this process has leased or from newly leased ones. `kind` is not
    /// [`ListKind::Generations`], whose slots are leased one by one with the change of their client.
    ///
    /// # Errors
    /// [`Error::Crypto`], [`Error::Storage`].
    pub async fn slot_for_token(&self, kind: ListKind<'_>) -> Result<Slot, Error> {
        let now = self.kernel.clock.now();
        match self.leases.take(kind, now) {
            Some(slot) => Ok(slot),
            // Boxed, so that the usual future is small.
            None => Box::pin(self.lease_slots(kind, now)).await,
        }
    }

    async fn lease_slots(&self, kind: ListKind<'_>, now: UnixSeconds) -> Result<Slot, Error> {
        let _leasing = self.leases.leasing.lock().await;
        loop {
            // Another request may have leased slots while this one waited.
            if let Some(slot) = self.leases.take(kind, now) {
                return Ok(slot);
            }
            // A command issues only one token, so it leases one slot.
            let count = if self.recorder.is_running() { self.leases.wanted(kind, now) } else { 1 };
            let mut tx = self.kernel.storage.begin().await?;
            let lease = tx.lease_slots(kind, count, self.kernel.random.fill()?, now).await?;
            tx.commit().await?;
            self.leases.put(kind, lease, count, now);
        }
    }
}
