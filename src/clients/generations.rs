//! Generations: the stateless tokens of one generation of a client share a status slot. The slot is updated here when the
//! client, its workspace or the generation changes (docs/revocation.md).

use super::Clients;
use crate::kernel::Error;
use crate::model::client::ApiClient;
use crate::model::clock::UnixSeconds;
use crate::model::reach::Reach;
use crate::model::slot_lease::ListKind;
use crate::model::status::{Mark, Slot};
use crate::model::token::STATELESS_LIFETIME_MAX;
use crate::storage::{Change, Revoked, Tx};

/// How many clients get a slot in one transaction.
const AT_ONCE: u32 = 1_000;

/// How many clients one transaction suspends or resumes.
const UPDATED_AT_ONCE: usize = 20;

impl Clients {
    /// Gives a slot to every client that has none because it was created before slots existed.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn ensure_slots(&self) -> Result<(), Error> {
        loop {
            let without = self.kernel.storage.clients_without_slot(AT_ONCE).await?;
            if without.is_empty() {
                return Ok(());
            }
            let mut tx = self.kernel.storage.begin().await?;
            let now = self.kernel.clock.now();
            let mut clients = Vec::with_capacity(without.len());
            for client_id in without {
                clients.extend(tx.lock_client(&Reach::Platform, &client_id).await?);
            }
            for mut client in clients.into_iter().filter(|client| client.slot.is_none()) {
                self.assign_slot(&mut tx, &mut client, now).await?;
                tx.update_client(&client).await?;
                tx.changed(Change::Client(client.client_id));
            }
            self.ledger.commit(tx).await?;
        }
    }

    /// A slot for a client's first generation, or for its next one.
    async fn slot_for_generation(&self, tx: &mut Tx, now: UnixSeconds) -> Result<Slot, Error> {
        // A lease has at least one slot, so this is not repeated.
        loop {
            let mut lease = tx.lease_slots(ListKind::Generations, 1, self.kernel.random.fill()?, now).await?;
            if let Some(slot) = lease.next() {
                return Ok(slot);
            }
        }
    }

    /// Assigns a slot to the generation of a client.
    pub(crate) async fn assign_slot(
        &self,
        tx: &mut Tx,
        client: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        client.slot = Some(self.slot_for_generation(tx, now).await?);
        Ok(())
    }

    /// Opens a new generation of a locked client, which revokes all its stateless tokens. The caller writes the client.
    pub(crate) async fn new_generation(
        &self,
        tx: &mut Tx,
        client: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        self.end_generation(tx, client, now).await?;
        client.generation += 1;
        tx.generation_began(&client.client_id, now).await?;
        self.assign_slot(tx, client, now).await?;
        if client.slots_suspended_at.is_some() {
            tx.mark_slots(client.slot.as_slice(), Mark::Suspend).await?;
        }
        Ok(())
    }

    /// Marks the slot of a client's generation as revoked, and keeps the list of that slot until the last token of the
    /// generation has expired.
    pub(crate) async fn end_generation(
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

    /// Revokes all tokens of a locked client: opens a new generation, and revokes every recorded token. Returns how many
    /// recorded tokens were live. The caller writes the client.
    pub(crate) async fn revoke_all_tokens(
        &self,
        tx: &mut Tx,
        client: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<usize, Error> {
        self.new_generation(tx, client, now).await?;
        let revoked = tx.revoke_tokens_of_client(&client.client_id, now).await?;
        mark_revoked(tx, &revoked).await
    }

    /// Suspends the slots of a locked client if it is disabled, has expired or its workspace is suspended, and otherwise
    /// resumes them. Returns whether the slots changed; then the caller writes the client.
    pub(crate) async fn update_slots(
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
        let mut slots = tx.live_slots_of_client(&client.client_id, now).await?;
        slots.extend(client.slot);
        let mark = if suspend { Mark::Suspend } else { Mark::Resume };
        tx.mark_slots(&slots, mark).await?;
        client.slots_suspended_at = suspend.then_some(now);
        Ok(true)
    }

    /// Suspends or resumes the slots of every client of a workspace, as [`Clients::update_slots`] does for one. A few clients
    /// share a transaction, so that nobody waits long for its locks. If this is interrupted,
    /// [`Clients::update_outdated_slots`] does the rest.
    ///
    /// # Errors
    /// [`Error::Storage`]; the clients that were updated before the error stay updated.
    pub(crate) async fn update_slots_of_workspace(&self, workspace_id: &str) -> Result<(), Error> {
        let clients = self.kernel.storage.client_ids_of_workspace(workspace_id).await?;
        for some in clients.chunks(UPDATED_AT_ONCE) {
            let mut tx = self.kernel.storage.begin().await?;
            let Some(workspace) = tx.share_workspace(&Reach::Platform, workspace_id).await? else {
                return Ok(tx.rollback().await?);
            };
            let mut locked = Vec::with_capacity(some.len());
            for client_id in some {
                // A client that was deleted meanwhile is left out: its tokens are revoked.
                locked.extend(tx.lock_client(&Reach::Platform, client_id).await?);
            }
            let now = self.kernel.clock.now();
            for mut client in locked {
                if self.update_slots(&mut tx, &mut client, workspace.suspended_at.is_some(), now).await? {
                    tx.update_client(&client).await?;
                }
            }
            self.ledger.commit(tx).await?;
        }
        Ok(())
    }

    /// Calls [`Clients::update_slots_of_workspace`] for each workspace that has clients with outdated slots because an earlier
    /// call was interrupted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn update_outdated_slots(&self) -> Result<(), Error> {
        let now = self.kernel.clock.now();
        for workspace_id in self.kernel.storage.workspaces_with_outdated_slots(now).await? {
            self.update_slots_of_workspace(&workspace_id).await?;
        }
        Ok(())
    }

    /// Suspends the slots of a client whose `expires_at` has passed.
    pub(crate) async fn suspend_expired(&self, client_id: &str, now: UnixSeconds) -> Result<(), Error> {
        let mut tx = self.kernel.storage.begin().await?;
        // A client that another transaction has locked is left for the next call.
        if let Some(mut client) = tx.lock_client_unless_held(client_id).await?
            // Its `expires_at` may have been moved meanwhile.
            && !client.is_active(now)
            && self.update_slots(&mut tx, &mut client, false, now).await?
        {
            tx.update_client(&client).await?;
        }
        self.ledger.commit(tx).await
    }
}

/// Marks the slots of tokens that were just revoked. Returns how many of the tokens were live.
pub(crate) async fn mark_revoked(tx: &mut Tx, revoked: &[Revoked]) -> Result<usize, Error> {
    let slots: Vec<Slot> = revoked.iter().filter_map(|token| token.slot).collect();
    tx.mark_slots(&slots, Mark::Revoke).await?;
    Ok(revoked.iter().filter(|token| token.was_live).count())
}
