//! Gives a number, in bounded steps, to each event that has no place in the tree yet: first to those from before there was a
//! tree, then to the new ones that came meanwhile, which wait behind them.

use crate::kernel::Error;
use crate::ledger::Ledger;
use crate::ledger::tree::leaf_hash;
use crate::model::audit::Recorded;
use crate::model::audit_entry::{Entry, entry_text};
use crate::storage::Numbered;

/// How many events are numbered in one transaction. While it runs, no other can add events to the tree.
const STEP: u32 = 1_000;
/// How long a lease lasts, in seconds: meanwhile no other process numbers events.
const LEASE_SECONDS: i64 = 180;
/// How many steps are made before the lease is renewed.
const STEPS_OF_A_LEASE: usize = 20;

impl Ledger {
    /// Numbers the events that wait, and signs a checkpoint if the tree has grown. Only one process does this at a time.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn keep_audit_tree(&self) -> Result<(), Error> {
        if self.lease_upkeep().await? && self.number_waiting().await? {
            self.sign_checkpoint().await?;
        }
        self.reload_audit_keys().await
    }

    /// Signs a last checkpoint, and lets another process take over at once. For an orderly stop.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub(crate) async fn leave_audit_tree(&self) -> Result<(), Error> {
        self.sign_checkpoint().await?;
        Ok(self.kernel.storage.release_audit_upkeep(&self.process).await?)
    }

    async fn lease_upkeep(&self) -> Result<bool, Error> {
        let now = self.kernel.clock.now();
        Ok(self.kernel.storage.lease_audit_upkeep(&self.process, now, now + LEASE_SECONDS).await?)
    }

    /// Numbers all events that wait. `false` if another process took over.
    async fn number_waiting(&self) -> Result<bool, Error> {
        let (mut after, mut steps) = (String::new(), 0);
        loop {
            let last = self.number_some(&after).await?;
            match last {
                Some(last) => after = last,
                None if after.is_empty() => return Ok(true),
                // Again from the beginning: other processes may have added events whose ids sort before.
                None => after.clear(),
            }
            steps += 1;
            if steps % STEPS_OF_A_LEASE == 0 {
                tracing::info!(up_to = after, "numbering events of the audit trail that have no number yet");
                if !self.lease_upkeep().await? {
                    return Ok(false);
                }
            }
        }
    }

    /// Makes one step, and returns the id of the last event that it numbered. If no event waits, it opens the tree: from then
    /// on new events get their number at once.
    async fn number_some(&self, after: &str) -> Result<Option<String>, Error> {
        let storage = &self.kernel.storage;
        if after.is_empty()
            && storage.count_waiting_events(1).await? == 0
            && storage.audit_trees().await?.last().is_some_and(|tree| tree.opened_at.is_some())
        {
            return Ok(None);
        }
        let mut tx = storage.begin().await?;
        let tree = tx.lock_audit_tree().await?;
        let waiting = tx.waiting_events(after, STEP).await?;
        let last = waiting.last().map(|event| event.event_id.clone());
        if last.is_some() {
            let numbered =
                waiting.into_iter().map(|event| self.entered(event)).collect::<Result<Vec<_>, _>>()?;
            tx.number_events(tree.log, tree.size, &numbered).await?;
        } else if after.is_empty() {
            tx.open_audit_tree(tree.log, self.kernel.clock.now()).await?;
        }
        tx.commit().await?;
        Ok(last)
    }

    /// The entry with which an event is numbered. An event that was recorded with an entry keeps it.
    fn entered(&self, waiting: Recorded) -> Result<Numbered, Error> {
        let text = match waiting.entry {
            Some(text) => text,
            None => entry_text(&waiting.event, self.kernel.random.fill()?, true),
        };
        let entry = Entry { leaf: leaf_hash(text.as_bytes()), text };
        Ok(Numbered { event_id: waiting.event.event_id, entry })
    }
}
