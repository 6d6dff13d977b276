//! The credentials in memory, and which changes invalidate an entry.
//!
//! An entry is read together with the value of the change counter, and stored only if no later change that affects it has
//! been seen: what was read during such a change is discarded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache as QuickCache;

use super::Credentials;
use crate::ledger::Cache;
use crate::storage::Change;

/// How many entries are kept in memory.
const CAPACITY: usize = 200_000;
/// How many recent changes are kept to check reads against. A read from before the last forgotten change is not stored.
const REMEMBERED_CHANGES: usize = 4096;

/// The cache of clients.
#[derive(Debug)]
pub(crate) struct CredentialCache {
    entries: QuickCache<Key, Option<Arc<Credentials>>>,
    invalidations: Mutex<Invalidations>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A `client_id`. All have this length ([`crate::model::ids::is_client_id`]), so the cache stores the key inline and compares
/// it without following a pointer.
type Key = [u8; 25];

fn key(client_id: &str) -> Option<&Key> {
    client_id.as_bytes().try_into().ok()
}

#[derive(Debug)]
struct Invalidations {
    /// Reads from before this value of the counter cannot be checked.
    floor: i64,
    recent: VecDeque<(i64, Change)>,
}

impl Default for CredentialCache {
    fn default() -> Self {
        Self {
            entries: QuickCache::new(CAPACITY),
            invalidations: Mutex::new(Invalidations { floor: 0, recent: VecDeque::new() }),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }
}

impl CredentialCache {
    /// The entry in memory: `None` if the client is not in memory, `Some(None)` for a client that is known not to exist.
    #[expect(clippy::option_option, reason = "not in memory and known not to exist are two things")]
    pub(super) fn get(&self, client_id: &str) -> Option<Option<Arc<Credentials>>> {
        let found = self.entries.get(key(client_id)?);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// How many lookups found the client in memory, and how many did not.
    pub(super) fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// How many entries there are, including those for ids that no client has.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Stores what was read when the counter had the value `seq`, unless it may have changed since. Stores and
    /// invalidations take the same lock, so that a change between the check and the store cannot be missed.
    pub(super) fn fill(&self, client_id: &str, entry: Option<Arc<Credentials>>, seq: i64) {
        let Some(key) = key(client_id) else { return };
        let invalidations = self.invalidations.lock().unwrap_or_else(PoisonError::into_inner);
        let outdated = seq < invalidations.floor
            || invalidations
                .recent
                .iter()
                .any(|(at, change)| *at > seq && concerns(change, Some(client_id), entry.as_deref()));
        if !outdated {
            self.entries.insert(*key, entry);
        }
    }
}

impl Cache for CredentialCache {
    fn invalidate(&self, seq: i64, change: &Change) {
        if matches!(change, Change::SigningKeys | Change::StatusList(_)) {
            return;
        }
        let mut invalidations = self.invalidations.lock().unwrap_or_else(PoisonError::into_inner);
        if invalidations.recent.len() >= REMEMBERED_CHANGES
            && let Some((oldest, _)) = invalidations.recent.pop_front()
        {
            invalidations.floor = invalidations.floor.max(oldest);
        }
        invalidations.recent.push_back((seq, change.clone()));
        match change {
            Change::Client(id) => {
                if let Some(key) = key(id) {
                    self.entries.remove(key);
                }
            }
            Change::SigningKeys | Change::StatusList(_) => {}
            other => self.entries.retain(|_, entry| !concerns(other, None, entry.as_deref())),
        }
    }

    fn invalidate_all(&self, seq: i64) {
        let mut invalidations = self.invalidations.lock().unwrap_or_else(PoisonError::into_inner);
        invalidations.floor = seq;
        invalidations.recent.clear();
        self.entries.clear();
    }
}

fn concerns(change: &Change, client_id: Option<&str>, entry: Option<&Credentials>) -> bool {
    match change {
        Change::Client(id) => client_id == Some(id),
        Change::Workspace(id) => entry.is_some_and(|entry| *entry.workspace_id == **id),
        Change::Product(code) => entry.is_some_and(|entry| entry.offer.part(code).is_some()),
        Change::SigningKeys | Change::StatusList(_) => false,
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
