//! The results of commits: how many became durable, how many failed, and whether the last one failed. They are kept in
//! memory, so that reading them needs no query.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::storage::StorageError;

/// The commits of this process.
#[derive(Debug, Default)]
pub struct Writes {
    committed: AtomicU64,
    failed: AtomicU64,
    last_failed: AtomicBool,
}

impl Writes {
    /// How many commits that are known to have written something became durable.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// How many commits failed. Commits that got no answer in time, or that conflicted with another change, do not count.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether a commit has failed (as [`Writes::failed`] counts) since the last one that [`Writes::committed`] counts.
    pub fn last_failed(&self) -> bool {
        self.last_failed.load(Ordering::Acquire)
    }

    /// Records the result of a commit. A commit that `wrote` nothing succeeds even on a full disk, so only its failure counts.
    pub(in crate::storage) fn note<T>(
        &self,
        outcome: Result<T, StorageError>,
        wrote: bool,
    ) -> Result<T, StorageError> {
        match &outcome {
            Ok(_) if wrote => {
                self.committed.fetch_add(1, Ordering::Relaxed);
                self.last_failed.store(false, Ordering::Release);
            }
            Ok(_) => {}
            // Another process is writing, or another change was first: there is no problem with the database.
            Err(error) if error.is_stall() || matches!(error, StorageError::Conflict(_)) => {}
            Err(_) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                self.last_failed.store(true, Ordering::Release);
            }
        }
        outcome
    }

    /// As [`Writes::note`], if it is not known whether anything was changed: only a failure is counted.
    pub(in crate::storage) fn note_failure<T>(
        &self,
        outcome: Result<T, sqlx::Error>,
    ) -> Result<T, StorageError> {
        self.note(outcome.map_err(StorageError::from), false)
    }
}
