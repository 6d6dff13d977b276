//! When secrets were last accepted, and when recorded tokens were last introspected. A use is noted in memory and written
//! in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::inline_id::SecretId;
use crate::storage::StorageError;
use crate::usage::{Tallied, Tally};

/// The id of a secret, or of a token, which is shorter.
type Id = SecretId;

/// Uses that are not written yet, and those written last, by the id of the secret or token.
#[derive(Debug, Default)]
pub(crate) struct LastUsed(Mutex<Uses>);

#[derive(Debug, Default)]
struct Uses {
    noted: HashMap<Id, Vec<Arc<dyn Tallied>>>,
    /// Uses that are being written or were written last. A caller that read the record before the write finds them here.
    written: HashMap<Id, UnixSeconds>,
}

impl LastUsed {
    /// Notes a use in the tally of a cached record. Takes a lock only for the first use since the last write.
    pub(crate) fn note_in<T: Tallied + 'static>(&self, record: &Arc<T>, id: Id, now: UnixSeconds) {
        if record.tally().use_at(now) {
            self.lock().noted.entry(id).or_default().push(Arc::<T>::clone(record));
        }
    }

    /// Notes a use of a record that is not cached.
    pub(crate) fn note(&self, id: Id, now: UnixSeconds) {
        let mut uses = self.lock();
        let uses = uses.noted.entry(id).or_default();
        if uses.is_empty() {
            uses.push(Arc::new(Tally::default()));
        }
        for record in uses {
            record.tally().use_at(now);
        }
    }

    /// When the secret or token with this id was last used; `None` if a record that was just read is up to date.
    pub(crate) fn pending(&self, id: &str) -> Option<UnixSeconds> {
        let (id, uses) = (Id::new(id)?, self.lock());
        let noted =
            uses.noted.get(&id).and_then(|uses| uses.iter().map(|record| record.tally().used_at()).max());
        noted.max(uses.written.get(&id).copied())
    }

    /// Calls `store` with the uses that are not written yet. If it fails, they are noted again.
    pub(crate) async fn write(
        &self,
        store: impl AsyncFnOnce(&[(Id, UnixSeconds)]) -> Result<(), StorageError>,
    ) -> Result<(), Error> {
        let mut rows: Vec<(Id, UnixSeconds)> = {
            let mut uses = self.lock();
            // A later use adds its record again, so none is lost.
            let take =
                |uses: Vec<Arc<dyn Tallied>>| uses.iter().map(|record| record.tally().take_use()).max();
            uses.written = std::mem::take(&mut uses.noted)
                .into_iter()
                .filter_map(|(id, uses)| take(uses).map(|at| (id, at)))
                .collect();
            uses.written.iter().map(|(id, at)| (*id, *at)).collect()
        };
        if rows.is_empty() {
            return Ok(());
        }
        // Rows with neighbouring ids are stored close together, so fewer pages are written in this order.
        rows.sort_unstable();
        if let Err(error) = store(&rows).await {
            for (id, at) in rows {
                self.note(id, at);
            }
            return Err(error.into());
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Uses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(uses: &LastUsed) -> Vec<(String, UnixSeconds)> {
        let mut rows = Vec::new();
        let store = async |these: &[(Id, UnixSeconds)]| {
            rows.extend(these.iter().map(|(id, at)| (id.to_string(), *at)));
            Ok(())
        };
        uses.write(store).await.unwrap();
        rows
    }

    #[tokio::test]
    async fn the_latest_use_is_shown_at_once_and_written_once() {
        let (uses, id, held) = (LastUsed::default(), Id::new("a").unwrap(), Arc::new(Tally::default()));
        for now in [7, 9, 8] {
            uses.note_in(&held, id, now);
        }
        assert_eq!(uses.pending("a"), Some(9));
        assert_eq!(written(&uses).await, [("a".to_owned(), 9)]);
        assert_eq!(uses.pending("a"), Some(9), "for a caller that read the record before the write");
        assert_eq!(written(&uses).await, []);
        assert_eq!(uses.pending("a"), None);
        uses.note_in(&held, id, 9);
        assert_eq!(written(&uses).await, [("a".to_owned(), 9)]);
    }

    #[tokio::test]
    async fn a_use_noted_in_an_entry_that_was_replaced_is_not_lost() {
        let (uses, id) = (LastUsed::default(), Id::new("a").unwrap());
        let (old, new) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
        uses.note_in(&old, id, 5);
        uses.note_in(&new, id, 6);
        uses.note_in(&old, id, 7);
        drop((old, new));
        assert_eq!(uses.pending("a"), Some(7));
        assert_eq!(written(&uses).await, [("a".to_owned(), 7)]);
    }

    #[tokio::test]
    async fn uses_that_cannot_be_stored_are_kept() {
        let (uses, id, held) = (LastUsed::default(), Id::new("a").unwrap(), Arc::new(Tally::default()));
        uses.note_in(&held, id, 5);
        let fails = async |_: &[(Id, UnixSeconds)]| Err(StorageError::Damaged(String::new()));
        assert!(uses.write(fails).await.is_err());
        assert_eq!(uses.pending("a"), Some(5));
        uses.note_in(&held, id, 6);
        uses.note(id, 4);
        assert_eq!(written(&uses).await, [("a".to_owned(), 6)]);
    }
}
