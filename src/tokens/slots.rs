//! Status slots: which slot a token gets, and what stands in it when its client, its workspace or its generation
//! changes (`docs/revocation.md`).
//!
//! All stateless tokens of a client share the slot of its generation, so killing them is one mark; every recorded token
//! has its own. Marks are part of the transaction of the change they tell of.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Tokens;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::status::{Holds, Lease, Slot};

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

impl Tokens {
    /// A slot for a recorded token: of those this process has leased, or of newly leased ones. `holds` is not
    /// [`Holds::Generations`], which are dealt out one by one with the client they belong to.
    pub async fn slot_for_token(&self, holds: Holds<'_>) -> Result<Slot, Error> {
        let now = self.kernel.clock.now();
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
            let mut tx = self.kernel.storage.begin().await?;
            let lease = tx.lease_slots(holds, count, self.kernel.random.fill()?, now).await?;
            tx.commit().await?;
            self.leases.put(holds, lease, count, now);
        }
    }
}
