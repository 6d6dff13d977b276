//! When secrets were last accepted, and when recorded tokens were last introspected. A use is noted in memory and written
//! in the background.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::storage::StorageError;

/// Uses that are not written yet, by what was used.
#[derive(Debug, Default)]
pub(crate) struct LastUsed(Mutex<HashMap<Arc<str>, Vec<LastUse>>>);

/// The last use of one thing, shared by the code that notes it and by [`LastUsed`] while it is not written; 0 if there is
/// nothing to write.
///
/// Something that is read from the database again gets a second one, while uses of the first are still noted. So there
/// may be several for one id, and the latest counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct LastUse(Arc<AtomicI64>);

impl LastUse {
    /// Whether this is the first use since the last writing.
    fn note(&self, now: UnixSeconds) -> bool {
        // Most uses are of the second that is noted already.
        self.at() < now && self.0.fetch_max(now, Ordering::Relaxed) == 0
    }

    fn at(&self) -> UnixSeconds {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self) -> UnixSeconds {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl LastUsed {
    /// Notes a use of what holds its own `last_use`. Takes a lock only for the first use since the last writing.
    pub(crate) fn note_in(&self, last_use: &LastUse, id: &Arc<str>, now: UnixSeconds) {
        if last_use.note(now) {
            self.lock().entry(Arc::clone(id)).or_default().push(last_use.clone());
        }
    }

    /// Notes a use of what nothing is held of in memory.
    pub(crate) fn note(&self, id: &Arc<str>, now: UnixSeconds) {
        let mut uses = self.lock();
        let uses = uses.entry(Arc::clone(id)).or_default();
        if uses.is_empty() {
            uses.push(LastUse::default());
        }
        for last_use in uses {
            last_use.note(now);
        }
    }

    /// When it was last used, if that is not written yet.
    pub(crate) fn pending(&self, id: &str) -> Option<UnixSeconds> {
        self.lock().get(id).and_then(|uses| uses.iter().map(LastUse::at).max())
    }

    /// Hands what is noted to `store`; what it cannot store is noted again.
    pub(crate) async fn write(
        &self,
        store: impl AsyncFnOnce(&[(String, UnixSeconds)]) -> Result<(), StorageError>,
    ) -> Result<(), Error> {
        let uses = std::mem::take(&mut *self.lock());
        if uses.is_empty() {
            return Ok(());
        }
        // A use that is noted from here on enters its thing anew, so none is lost between the two.
        let rows: Vec<(Arc<str>, UnixSeconds)> = uses
            .into_iter()
            .filter_map(|(id, uses)| uses.iter().map(LastUse::take).max().map(|at| (id, at)))
            .collect();
        let texts: Vec<(String, UnixSeconds)> = rows.iter().map(|(id, at)| (id.to_string(), *at)).collect();
        if let Err(error) = store(&texts).await {
            for (id, at) in &rows {
                self.note(id, *at);
            }
            return Err(error.into());
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Vec<LastUse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(uses: &LastUsed) -> Vec<(String, UnixSeconds)> {
        let mut rows = Vec::new();
        let store = async |these: &[(String, UnixSeconds)]| {
            rows.extend_from_slice(these);
            Ok(())
        };
        uses.write(store).await.unwrap();
        rows
    }

    #[tokio::test]
    async fn the_latest_use_is_shown_at_once_and_written_once() {
        let (uses, id, held) = (LastUsed::default(), Arc::from("a"), LastUse::default());
        for now in [7, 9, 8] {
            uses.note_in(&held, &id, now);
        }
        assert_eq!(uses.pending("a"), Some(9));
        assert_eq!(written(&uses).await, [("a".to_owned(), 9)]);
        assert_eq!(uses.pending("a"), None);
        assert_eq!(written(&uses).await, []);
        uses.note_in(&held, &id, 9);
        assert_eq!(written(&uses).await, [("a".to_owned(), 9)]);
    }

    #[tokio::test]
    async fn a_use_noted_in_an_entry_that_was_replaced_is_not_lost() {
        let (uses, id) = (LastUsed::default(), Arc::from("a"));
        let (old, new) = (LastUse::default(), LastUse::default());
        uses.note_in(&old, &id, 5);
        uses.note_in(&new, &id, 6);
        uses.note_in(&old, &id, 7);
        drop((old, new));
        assert_eq!(uses.pending("a"), Some(7));
        assert_eq!(written(&uses).await, [("a".to_owned(), 7)]);
    }

    #[tokio::test]
    async fn what_cannot_be_stored_is_noted_again() {
        let (uses, id, held) = (LastUsed::default(), Arc::from("a"), LastUse::default());
        uses.note_in(&held, &id, 5);
        let fails = async |_: &[(String, UnixSeconds)]| Err(StorageError::Damaged(String::new()));
        assert!(uses.write(fails).await.is_err());
        assert_eq!(uses.pending("a"), Some(5));
        uses.note_in(&held, &id, 6);
        uses.note(&id, 4);
        assert_eq!(written(&uses).await, [("a".to_owned(), 6)]);
    }
}
