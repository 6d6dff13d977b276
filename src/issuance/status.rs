//! The status lists as they are published (draft-ietf-oauth-status-list-21 §5.1, `docs/revocation.md`): made when somebody
//! first asks, kept in memory, and made again only when something in them changed, when half of their life is over, or
//! when their key is no longer published.
//!
//! Who asks after a revocation was acknowledged gets a list that shows it: the acknowledgement comes after the change
//! was noted here, and a list that was read before the noted change is made again first.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::status_token::{LIST_LIFETIME, Packed, SignedList};
use crate::kernel::Error as RegistryError;
use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::model::clock::UnixSeconds;
use crate::model::key::UseFor;
use crate::signing::ring::KeyRing;
use crate::tokens::STATUS_LISTS_PATH;
use crate::tokens::Tokens;

/// Why a list could not be had; it may be later.
#[derive(Debug)]
pub enum NoList {
    /// It could not be signed: there is no active key of the platform's algorithm for expiring tokens.
    NoKey,
    /// Its statuses cannot be known at present.
    Unavailable(RegistryError),
}

impl From<RegistryError> for NoList {
    fn from(error: RegistryError) -> Self {
        Self::Unavailable(error)
    }
}

/// The lists of this process. Requests read them without a lock.
pub struct StatusLists {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    tokens: Arc<Tokens>,
    ring: Arc<KeyRing>,
    /// One for each list that was ever asked for and is not ended.
    places: ArcSwap<HashMap<i64, Arc<Place>>>,
    /// Held while `places` is replaced.
    placing: Mutex<()>,
    read: AtomicU64,
    signed: AtomicU64,
}

#[derive(Debug, Default)]
struct Place {
    current: ArcSwapOption<SignedList>,
    /// Held by the one who makes the list; the others wait for theirs.
    making: tokio::sync::Mutex<()>,
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
            places: ArcSwap::default(),
            placing: Mutex::default(),
            read: AtomicU64::new(0),
            signed: AtomicU64::new(0),
        }
    }

    /// The list of that number as it is now; `None` if there is none, or no more.
    ///
    /// # Errors
    /// [`NoList`]. What is in memory is served on for the `ttl` after the database last answered.
    pub async fn get(&self, list: i64) -> Result<Option<Arc<SignedList>>, NoList> {
        self.must_be_confirmed().await?;
        let known = self.places.load().get(&list).cloned();
        let place = match known {
            Some(place) => place,
            // Only for lists that exist, so that made-up numbers take no memory.
            None if self.tokens.status_list(list).await?.is_none() => return Ok(None),
            None => self.place(list),
        };
        match &*place.current.load() {
            Some(current) if self.holds(list, current) => Ok(Some(Arc::clone(current))),
            _ => self.make(list, &place).await,
        }
    }

    /// The URIs of all lists, by number (§9.3).
    ///
    /// # Errors
    /// [`NoList::Unavailable`].
    pub async fn uris(&self) -> Result<Vec<String>, NoList> {
        Ok(self.tokens.status_lists().await?.into_iter().map(|list| self.uri(list)).collect())
    }

    /// Makes those lists again that are in memory and no longer hold, so that requests need not wait for it.
    ///
    /// # Errors
    /// The first [`NoList`]; the lists after it are left as they are.
    pub async fn keep_up(&self) -> Result<(), NoList> {
        let places = self.places.load_full();
        for (list, place) in places.iter() {
            let holds = place.current.load().as_ref().is_some_and(|current| self.holds(*list, current));
            if !holds {
                self.make(*list, place).await?;
            }
        }
        Ok(())
    }

    /// How many times a list was read from the database, and how many times one was signed.
    pub fn read_and_signed(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed), self.signed.load(Ordering::Relaxed))
    }

    async fn must_be_confirmed(&self) -> Result<(), NoList> {
        let ttl_millis = self.kernel.policy.status_list_ttl_seconds.saturating_mul(1000);
        if self.ledger.is_confirmed_within(ttl_millis).await {
            Ok(())
        } else {
            Err(NoList::Unavailable(RegistryError::Stale))
        }
    }

    /// Whether a list may still be given out.
    fn holds(&self, list: i64, current: &SignedList) -> bool {
        current.packed.as_of >= self.tokens.status_list_changed_at(list)
            && (0..LIST_LIFETIME / 2).contains(&(self.kernel.clock.now() - current.iat))
            && self.ring.published(&current.kid).is_some()
    }

    async fn make(&self, list: i64, place: &Place) -> Result<Option<Arc<SignedList>>, NoList> {
        let _making = place.making.lock().await;
        let before = place.current.load_full();
        // Somebody may have made it while this waited; if not for a change that came after, it will do.
        if let Some(before) = &before
            && self.holds(list, before)
        {
            return Ok(Some(Arc::clone(before)));
        }
        let changed_at = self.tokens.status_list_changed_at(list);
        let packed = match before {
            // Nothing changed: the same statuses are signed anew.
            Some(before) if before.packed.as_of >= changed_at => Arc::clone(&before.packed),
            _ => {
                let Some(stored) = self.tokens.status_list(list).await? else {
                    self.forget(list);
                    return Ok(None);
                };
                self.read.fetch_add(1, Ordering::Relaxed);
                Arc::new(Packed::new(&stored).map_err(|error| not_made(list, &error))?)
            }
        };
        let made = Arc::new(self.sign(list, packed, self.kernel.clock.now())?);
        place.current.store(Some(Arc::clone(&made)));
        Ok(Some(made))
    }

    fn sign(&self, list: i64, packed: Arc<Packed>, now: UnixSeconds) -> Result<SignedList, NoList> {
        let policy = &self.kernel.policy;
        let key = self.ring.for_signing(policy.signing_alg, UseFor::Expiring, now).ok_or(NoList::NoKey)?;
        let (uri, ttl) = (self.uri(list), policy.status_list_ttl_seconds);
        let tag = |bytes: &[u8]| self.kernel.subkeys.etag(bytes);
        let made = SignedList::new(packed, &uri, ttl, &key, now, tag);
        self.signed.fetch_add(1, Ordering::Relaxed);
        made.map_err(|error| not_made(list, &error))
    }

    fn uri(&self, list: i64) -> String {
        format!("{}{STATUS_LISTS_PATH}{list}", self.kernel.policy.audiences.issuer)
    }

    fn place(&self, list: i64) -> Arc<Place> {
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = HashMap::clone(&self.places.load());
        let place = Arc::clone(places.entry(list).or_default());
        self.places.store(Arc::new(places));
        place
    }

    fn forget(&self, list: i64) {
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = HashMap::clone(&self.places.load());
        places.remove(&list);
        self.places.store(Arc::new(places));
    }
}

fn not_made(list: i64, error: &std::io::Error) -> NoList {
    tracing::error!(%error, list, "a status list could not be signed");
    NoList::NoKey
}

impl fmt::Debug for StatusLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.places.load();
        f.debug_struct("StatusLists").field("lists", &lists.keys()).finish_non_exhaustive()
    }
}
