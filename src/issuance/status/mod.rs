//! The status lists as they are published (draft-ietf-oauth-status-list-21 §5.1, `docs/revocation.md`). For the endpoints
//! that serve them and the job that refreshes them.
//!
//! A list is signed at the first request for it, kept in memory, and signed again only when something in it changed, when
//! half of its lifetime is over, when the clock is before its `iat`, or when its key is no longer published. After a process
//! has acknowledged a revocation, every list that it serves shows the revocation: the process notes the change first, and does
//! not serve a list that was read before a noted change. Other processes note the change when they read the change counter.

mod token;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::kernel::{Error, Kernel};
use crate::ledger::Ledger;
use crate::model::clock::UnixSeconds;
use crate::model::key::UseFor;
use crate::model::status::status_list_uri;
use crate::signing::ring::KeyRing;
use crate::tokens::Tokens;

pub use token::SignedList;
use token::{CompressedList, LIST_LIFETIME};

/// Why a list cannot be served now.
#[derive(Debug)]
pub enum StatusListError {
    /// No active key of the platform's algorithm signs expiring tokens.
    NoKey,
    /// It could not be signed. The log says why.
    NotSigned,
    /// Its statuses cannot be read.
    Unavailable(Error),
}

impl From<Error> for StatusListError {
    fn from(error: Error) -> Self {
        Self::Unavailable(error)
    }
}

/// The signed lists of this process. Requests read them without a lock.
pub struct StatusLists {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    tokens: Arc<Tokens>,
    ring: Arc<KeyRing>,
    /// An entry for each list that was requested and still exists, and for each number that is being looked up.
    entries: ArcSwap<HashMap<i64, Arc<Entry>>>,
    /// Held while `entries` is replaced.
    inserting: Mutex<()>,
    read: AtomicU64,
    signed: AtomicU64,
}

#[derive(Debug, Default)]
struct Entry {
    current: ArcSwapOption<SignedList>,
    /// Held by the request that signs the list; the others wait for it.
    signing: tokio::sync::Mutex<()>,
}

impl StatusLists {
    /// The lists, signed by keys of `ring`.
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        tokens: Arc<Tokens>,
        ring: Arc<KeyRing>,
    ) -> Self {
        Self {
            kernel,
            ledger,
            tokens,
            ring,
            entries: ArcSwap::default(),
            inserting: Mutex::default(),
            read: AtomicU64::new(0),
            signed: AtomicU64::new(0),
        }
    }

    /// The current list with this number; `None` if it does not exist or was removed.
    ///
    /// # Errors
    /// [`StatusListError`]. While the database does not answer, lists in memory are served until their `ttl` has passed since
    /// its last answer.
    pub async fn get(&self, list: i64) -> Result<Option<Arc<SignedList>>, StatusListError> {
        self.must_be_confirmed().await?;
        let known = self.entries.load().get(&list).cloned();
        let entry = known.unwrap_or_else(|| self.entry(list));
        match &*entry.current.load() {
            Some(current) if self.is_current(list, current) => Ok(Some(Arc::clone(current))),
            _ => {
                let renewed = self.renew(list, &entry).await;
                if renewed.is_err() && entry.current.load().is_none() {
                    self.forget(list);
                }
                renewed
            }
        }
    }

    /// The URIs of all lists, by number (§9.3 of the draft).
    ///
    /// # Errors
    /// [`StatusListError::Unavailable`].
    pub async fn uris(&self) -> Result<Vec<String>, StatusListError> {
        Ok(self.tokens.status_lists().await?.into_iter().map(|list| self.uri(list)).collect())
    }

    /// Signs again the lists in memory that are out of date, so that few requests wait for a signature.
    ///
    /// # Errors
    /// The first [`StatusListError`]; the lists after it are left as they are.
    pub async fn refresh(&self) -> Result<(), StatusListError> {
        let entries = self.entries.load_full();
        for (list, entry) in entries.iter() {
            let is_current =
                entry.current.load().as_ref().is_some_and(|current| self.is_current(*list, current));
            if !is_current {
                self.renew(*list, entry).await?;
            }
        }
        Ok(())
    }

    /// How many times a list was read from the database to be signed, and how many times a list was signed.
    pub fn read_and_signed(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed), self.signed.load(Ordering::Relaxed))
    }

    async fn must_be_confirmed(&self) -> Result<(), StatusListError> {
        let ttl_millis = self.kernel.policy.status_list_ttl_seconds.saturating_mul(1000);
        if self.ledger.is_confirmed_within(ttl_millis).await {
            Ok(())
        } else {
            Err(StatusListError::Unavailable(Error::Stale))
        }
    }

    /// Whether a signed list may still be served.
    fn is_current(&self, list: i64, current: &SignedList) -> bool {
        current.compressed.as_of >= self.tokens.status_list_changed_at(list)
            && (0..LIST_LIFETIME / 2).contains(&(self.kernel.clock.now() - current.iat))
            && self.ring.published(&current.kid).is_some()
    }

    async fn renew(&self, list: i64, entry: &Entry) -> Result<Option<Arc<SignedList>>, StatusListError> {
        let _signing = entry.signing.lock().await;
        let before = entry.current.load_full();
        // Another request may have signed the list while this one waited.
        if let Some(before) = &before
            && self.is_current(list, before)
        {
            return Ok(Some(Arc::clone(before)));
        }
        let changed_at = self.tokens.status_list_changed_at(list);
        let compressed = match before {
            // Nothing changed: the same statuses are signed again.
            Some(before) if before.compressed.as_of >= changed_at => Arc::clone(&before.compressed),
            _ => {
                let Some(stored) = self.tokens.status_list(list).await? else {
                    self.forget(list);
                    return Ok(None);
                };
                self.read.fetch_add(1, Ordering::Relaxed);
                Arc::new(CompressedList::new(&stored).map_err(|error| cannot_sign(list, &error))?)
            }
        };
        let made = Arc::new(self.sign(list, compressed, self.kernel.clock.now())?);
        entry.current.store(Some(Arc::clone(&made)));
        Ok(Some(made))
    }

    fn uri(&self, list: i64) -> String {
        status_list_uri(&self.kernel.policy.audiences.issuer, list)
    }

    fn sign(
        &self,
        list: i64,
        compressed: Arc<CompressedList>,
        now: UnixSeconds,
    ) -> Result<SignedList, StatusListError> {
        let policy = &self.kernel.policy;
        let key =
            self.ring.for_signing(policy.signing_alg, UseFor::Expiring, now).ok_or(StatusListError::NoKey)?;
        let (uri, ttl) = (self.uri(list), policy.status_list_ttl_seconds);
        let tag = |bytes: &[u8]| self.kernel.subkeys.etag(bytes);
        let signed = SignedList::new(compressed, &uri, ttl, &key, now, tag)
            .map_err(|error| cannot_sign(list, &error))?;
        self.signed.fetch_add(1, Ordering::Relaxed);
        Ok(signed)
    }

    fn entry(&self, list: i64) -> Arc<Entry> {
        let _inserting = self.inserting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = HashMap::clone(&self.entries.load());
        let entry = Arc::clone(entries.entry(list).or_default());
        self.entries.store(Arc::new(entries));
        entry
    }

    fn forget(&self, list: i64) {
        let _inserting = self.inserting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = HashMap::clone(&self.entries.load());
        entries.remove(&list);
        self.entries.store(Arc::new(entries));
    }
}

fn cannot_sign(list: i64, error: &std::io::Error) -> StatusListError {
    tracing::error!(failure = "signing", %error, list, "a status list could not be signed");
    StatusListError::NotSigned
}

impl fmt::Debug for StatusLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.entries.load();
        f.debug_struct("StatusLists").field("lists", &lists.keys()).finish_non_exhaustive()
    }
}
