//! The issuer's status lists, fetched and kept (Token Status List, draft-21 §8): whoever finds a list missing, too
//! old or nearly so fetches it, one at a time for each list; everyone else reads what is held, without a lock.
//!
//! A list is used for its `ttl`, counted from the start of the fetch and less what a cache on the way had it, never
//! past its `exp`, and never once its key has left the key set. So a revocation is in force here within `ttl`.

use arc_swap::{ArcSwap, ArcSwapOption};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

use crate::claims::AccessTokenClaims;
use crate::clock::Clock;
use crate::fetch::{Fetch, Request, Unavailable, get};
use crate::jwks::{COLD_RETRY_SECONDS, Jwks};
use crate::outage::Outage;
use crate::status_list::{self, StatusList};
use crate::{KeySet, VerifyError};

/// Bounds of the lists.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// How many are held.
    pub(crate) lists: usize,
    /// For how long past its `ttl` a list is used while it cannot be fetched again, seconds.
    pub(crate) fail_open: i64,
    /// The least time between two failing fetches of a list that can still be used, seconds.
    pub(crate) min_refetch: i64,
    /// The longest a fetch may take.
    pub(crate) timeout: Duration,
}

/// A token's slot: the number of its list, and the index in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    list: u64,
    idx: u64,
}

/// The lists.
pub(crate) struct Lists {
    issuer: String,
    /// What the URI of each list begins with.
    prefix: String,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    entries: ArcSwap<HashMap<u64, Arc<Entry>>>,
    outage: Outage,
}

/// What there is to a list that a token has named.
struct Entry {
    uri: String,
    held: ArcSwapOption<Held>,
    /// When a token last named it.
    used_at: AtomicI64,
    /// Whether the last fetch failed.
    is_failing: AtomicBool,
    /// Held by the one who fetches.
    flight: Mutex<Flight>,
}

/// A list as it was fetched, or confirmed by a 304.
struct Held {
    list: Arc<StatusList>,
    etag: Option<String>,
    /// The start of the fetch, less the time a cache on the way had it.
    fetched_at: i64,
}

/// What the fetcher remembers between fetches.
struct Flight {
    /// When the last fetch that failed was last known to be under way, and why it failed.
    failed: Option<(i64, Unavailable)>,
}

/// How near its end a list is fetched again: at `ttl` / this before it.
const AHEAD: i64 = 4;

/// The same for [`Lists::refresh`], which is to be earlier than any caller who needs the list.
const WELL_AHEAD: i64 = 2;

/// A list that no token has named for so long is not refreshed on a timer, seconds.
const FORGOTTEN_AFTER: i64 = 3600;

impl Held {
    /// When its time is up, were it `more` seconds longer.
    fn ends(&self, more: i64) -> i64 {
        self.fetched_at.saturating_add(self.list.ttl).saturating_add(more).min(self.list.exp)
    }

    /// Whether it may be used. A clock that was set back makes its age unknown: no.
    fn is_usable(&self, now: i64, more: i64, keys: &KeySet) -> bool {
        (self.fetched_at..self.ends(more)).contains(&now) && keys.has(&self.list.key)
    }

    fn is_due(&self, now: i64, ahead: i64) -> bool {
        now >= self.ends(0).saturating_sub(self.list.ttl / ahead)
    }
}

impl Lists {
    pub(crate) fn new(issuer: &str, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self {
            issuer: issuer.to_owned(),
            prefix: format!("{}/oauth2/status-lists/", issuer.trim_end_matches('/')),
            fetch,
            clock,
            limits,
            entries: ArcSwap::default(),
            outage: Outage::default(),
        }
    }

    /// The slot that a token's claims name. A list anywhere else than where the issuer has its lists is not asked
    /// for, whoever signed the token.
    pub(crate) fn place(&self, claims: &AccessTokenClaims) -> Result<Place, VerifyError> {
        let place = &claims.status.as_ref().ok_or(VerifyError::StatusMissing)?.status_list;
        let number = place.uri.strip_prefix(&self.prefix).and_then(|digits| {
            // One spelling only, so that one list is not two.
            digits.parse::<u64>().ok().filter(|number| number.to_string() == digits)
        });
        let list = number.ok_or(VerifyError::InvalidClaims("its status list is not one of the issuer's"))?;
        Ok(Place { list, idx: place.idx })
    }

    /// Whether the slot is valid, after a fetch if one is called for.
    pub(crate) async fn check(&self, place: Place, jwks: &Jwks) -> Result<(), VerifyError> {
        let entry = self.entry(place.list);
        let (now, keys) = (self.clock.unix_seconds(), jwks.cached().map_err(VerifyError::KeysUnavailable)?);
        let held = self.usable(&entry, &keys.keys);
        let is_fresh = held.as_ref().is_some_and(|held| now < held.ends(0));
        let mut failure = Unavailable::TooOld;
        match held {
            Some(held) if is_fresh && !held.is_due(now, AHEAD) => return judge(&held.list, place),
            // Due, or failing open: the first to notice fetches, the others go on with what they have. So does the
            // first if its fetch fails.
            Some(_) if is_fresh || entry.is_failing.load(Ordering::Relaxed) => {
                if let Ok(mut flight) = entry.flight.try_lock() {
                    let _ = self.refetch(&entry, &mut flight, jwks, AHEAD).await;
                }
            }
            _ => {
                let mut flight = entry.flight.lock().await;
                if let Err(why) = self.refetch(&entry, &mut flight, jwks, AHEAD).await {
                    failure = why;
                }
            }
        }
        let keys = jwks.cached().map_err(VerifyError::KeysUnavailable)?;
        match self.usable(&entry, &keys.keys) {
            Some(held) => judge(&held.list, place),
            None => Err(VerifyError::StatusUnavailable(failure)),
        }
    }

    /// Whether the slot is valid by the list at hand, without asking anyone.
    pub(crate) fn check_cached(&self, place: Place, jwks: &Jwks) -> Result<(), VerifyError> {
        let unavailable = |why| Err(VerifyError::StatusUnavailable(why));
        let keys = jwks.cached().map_err(VerifyError::KeysUnavailable)?;
        let entries = self.entries.load();
        let Some(entry) = entries.get(&place.list).filter(|entry| entry.held.load().is_some()) else {
            return unavailable(Unavailable::NotFetched);
        };
        match self.usable(entry, &keys.keys) {
            Some(held) => judge(&held.list, place),
            None => unavailable(Unavailable::TooOld),
        }
    }

    /// Fetches the lists in use that are past the first half of their time.
    pub(crate) async fn refresh(&self, jwks: &Jwks) -> Result<(), Unavailable> {
        let entries = self.entries.load_full();
        let mut outcome = Ok(());
        for entry in entries.values() {
            let idle = self.clock.unix_seconds().saturating_sub(entry.used_at.load(Ordering::Relaxed));
            if idle < FORGOTTEN_AFTER {
                let mut flight = entry.flight.lock().await;
                outcome = outcome.and(self.refetch(entry, &mut flight, jwks, WELL_AHEAD).await);
            }
        }
        outcome
    }

    /// The list at hand, while it may be used.
    fn usable(&self, entry: &Entry, keys: &KeySet) -> Option<Arc<Held>> {
        let now = self.clock.unix_seconds();
        entry.held.load_full().filter(|held| held.is_usable(now, self.limits.fail_open, keys))
    }

    /// The entry of a list, made if it is new. When there are too many, the one that no token has named for longest
    /// makes room.
    fn entry(&self, number: u64) -> Arc<Entry> {
        let now = self.clock.unix_seconds();
        if let Some(entry) = self.entries.load().get(&number) {
            if entry.used_at.load(Ordering::Relaxed) != now {
                entry.used_at.store(now, Ordering::Relaxed);
            }
            return Arc::clone(entry);
        }
        let new = Arc::new(Entry {
            uri: format!("{}{number}", self.prefix),
            held: ArcSwapOption::empty(),
            used_at: AtomicI64::new(now),
            is_failing: AtomicBool::new(false),
            flight: Mutex::new(Flight { failed: None }),
        });
        self.entries.rcu(|entries| {
            let mut entries = HashMap::clone(entries);
            while entries.len() >= self.limits.lists && !entries.contains_key(&number) {
                let used_at = |entry: &Arc<Entry>| entry.used_at.load(Ordering::Relaxed);
                let oldest =
                    entries.iter().min_by_key(|(_, entry)| used_at(entry)).map(|(oldest, _)| *oldest);
                oldest.map(|oldest| entries.remove(&oldest));
            }
            entries.entry(number).or_insert_with(|| Arc::clone(&new));
            entries
        });
        self.entries.load().get(&number).map_or(new, Arc::clone)
    }

    /// Fetches, unless the list is not due (someone else was faster) or the last fetch failed too recently: then its
    /// failure stands, which is how those who waited for the flight share it. A failure keeps the list there is.
    async fn refetch(
        &self,
        entry: &Entry,
        flight: &mut Flight,
        jwks: &Jwks,
        ahead: i64,
    ) -> Result<(), Unavailable> {
        let started = self.clock.unix_seconds();
        let keys = jwks.cached()?;
        let held = entry.held.load_full().filter(|held| keys.keys.has(&held.list.key));
        let usable = |more| held.as_ref().filter(|held| held.is_usable(started, more, &keys.keys));
        if usable(0).is_some_and(|held| !held.is_due(started, ahead)) {
            return Ok(());
        }
        let open = usable(self.limits.fail_open).is_some();
        let pause = if open { self.limits.min_refetch } else { COLD_RETRY_SECONDS };
        if let Some((at, why)) = &flight.failed
            && (0..pause).contains(&started.saturating_sub(*at))
        {
            return Err(why.clone());
        }
        self.outage.may_ask(started)?;
        // Set before the await: a caller that goes away in the middle still counts against the limit.
        flight.failed = Some((started, Unavailable::NotFetched));
        let fetch = self.fetch_list(entry, held, jwks, started);
        let outcome =
            tokio::time::timeout(self.limits.timeout, fetch).await.unwrap_or(Err(Unavailable::TimedOut));
        // And again at the end: after a slow fetch its failure must still stand for those who waited.
        let now = self.clock.unix_seconds();
        self.outage.came_of_it(now, outcome.as_ref().err());
        match outcome {
            Ok(held) => {
                entry.held.store(Some(Arc::new(held)));
                flight.failed = None;
                entry.is_failing.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(why) => {
                flight.failed = Some((now, why.clone()));
                entry.is_failing.store(true, Ordering::Relaxed);
                Err(why)
            }
        }
    }

    async fn fetch_list(
        &self,
        entry: &Entry,
        held: Option<Arc<Held>>,
        jwks: &Jwks,
        started: i64,
    ) -> Result<Held, Unavailable> {
        let url = &*entry.uri;
        let refused = |why| Unavailable::Refused { url: url.to_owned(), why };
        // An ended list is not worth confirming.
        let held = held.filter(|held| started < held.list.exp);
        let if_none_match = held.as_ref().and_then(|held| held.etag.as_deref());
        let request = Request { accept: "application/statuslist+jwt", if_none_match, ..Request::new(url) };
        let answer = get(&*self.fetch, request).await?;
        let (list, etag) = match (answer.status, &held) {
            (200, _) => {
                let signed = status_list::open(&answer.body).map_err(refused)?;
                let keys = jwks.for_kid(&signed.kid).await?;
                let list = status_list::read(&signed, &keys.keys, &self.issuer, url).map_err(refused)?;
                (Arc::new(list), answer.etag.clone())
            }
            (304, Some(held)) if if_none_match.is_some() => (Arc::clone(&held.list), held.etag.clone()),
            (status, _) => return Err(Unavailable::Status { url: url.to_owned(), status }),
        };
        let held = Held { list, etag, fetched_at: started.saturating_sub(answer.age()) };
        // Beyond `exp`, or fetched so slowly or from so old a cache that its time is up.
        if self.clock.unix_seconds() >= held.ends(0) {
            return Err(refused("it has expired, or its ttl was over when it came"));
        }
        Ok(held)
    }
}

fn judge(list: &StatusList, place: Place) -> Result<(), VerifyError> {
    match list.slots.get(place.idx) {
        Some(0) => Ok(()),
        Some(1) => Err(VerifyError::Revoked),
        Some(2) => Err(VerifyError::Suspended),
        Some(other) => Err(VerifyError::UnknownStatus(other)),
        None => Err(VerifyError::InvalidClaims("its slot is beyond the end of its status list")),
    }
}
