//! The cache of the issuer's status lists (Token Status List, draft-21 §8). A list that is missing, too old or soon too
//! old is fetched, by one caller at a time; otherwise it is read without a lock.
//!
//! A list is used for its `ttl`, counted from the start of the fetch and less the time it spent in caches on the way, but
//! not past its `exp`, and not after its key has left the key set. So a revocation takes effect within `ttl`. With
//! `status_fail_open_seconds` a list that cannot be fetched is used for longer.

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

/// Limits of the cache.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The greatest number of lists.
    pub(crate) lists: usize,
    /// How long past its `ttl` a list is used while a newer one cannot be fetched, seconds.
    pub(crate) fail_open: i64,
    /// The shortest time between two failed fetches of a list that is still usable, seconds.
    pub(crate) min_refetch: i64,
    /// The time limit of a fetch.
    pub(crate) timeout: Duration,
}

/// Where the status of a token is: the number of the list, and the index in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    list: u64,
    idx: u64,
}

/// The cache of the lists.
pub(crate) struct Lists {
    issuer: String,
    /// The URI of a list without its number.
    prefix: String,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    entries: ArcSwap<HashMap<u64, Arc<Entry>>>,
    outage: Outage,
}

/// A list that a token has referred to, fetched or not.
struct Entry {
    uri: String,
    held: ArcSwapOption<Held>,
    /// When a token last referred to it, Unix seconds.
    used_at: AtomicI64,
    /// Whether the last fetch failed.
    is_failing: AtomicBool,
    /// Locked during a fetch.
    flight: Mutex<Flight>,
}

/// A list that was fetched, or confirmed by a 304.
struct Held {
    list: Arc<StatusList>,
    etag: Option<String>,
    /// The start of the fetch, less the time in caches on the way, Unix seconds.
    fetched_at: i64,
}

/// What is remembered between fetches.
struct Flight {
    /// When the last failed fetch ended (or began, if it has not ended), and its error.
    failed: Option<(i64, Unavailable)>,
}

/// A list is fetched again `ttl` / `AHEAD` before it ends.
const AHEAD: i64 = 4;

/// The same for [`Lists::refresh`]: earlier, so that no request has to fetch.
const WELL_AHEAD: i64 = 2;

/// How long after the first fetch of a changed list the second one follows, if the first failed or gave a list that was signed
/// before the change.
const SECOND_FETCH: Duration = Duration::from_secs(2);

/// [`Lists::refresh`] skips a list that no token has referred to for this long, seconds.
const FORGOTTEN_AFTER: i64 = 3600;

impl Held {
    /// Until when it is usable, if it is used for `more` seconds past its `ttl`.
    fn ends(&self, more: i64) -> i64 {
        self.fetched_at.saturating_add(self.list.ttl).saturating_add(more).min(self.list.exp)
    }

    /// Whether it is usable. If the clock was set back, its age is unknown, so it is not usable.
    fn is_usable(&self, now: i64, more: i64, keys: &KeySet) -> bool {
        (self.fetched_at..self.ends(more)).contains(&now) && keys.has(&self.list.key)
    }

    /// Whether it is time to fetch it again. A list that has ended is always due.
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

    /// Where the status of a token is, from its claims. Only the issuer's own lists are ever fetched, even though the
    /// issuer signed the claims.
    pub(crate) fn place(&self, claims: &AccessTokenClaims) -> Result<Place, VerifyError> {
        let place = &claims.status.as_ref().ok_or(VerifyError::StatusMissing)?.status_list;
        let list = self
            .number(&place.uri)
            .ok_or(VerifyError::InvalidClaims("its status list is not one of the issuer's"))?;
        Ok(Place { list, idx: place.idx })
    }

    /// The number of a list of the issuer.
    fn number(&self, uri: &str) -> Option<u64> {
        // Only the canonical number, so that a list is not cached twice.
        let digits = uri.strip_prefix(&self.prefix)?;
        digits.parse::<u64>().ok().filter(|number| number.to_string() == digits)
    }

    /// Fetches a list that had changed by `changed_at`, and once more if that fails or gives a list that was signed before
    /// `changed_at`. Does nothing for a list that no token has referred to.
    pub(crate) async fn changed(&self, uri: &str, changed_at: i64, jwks: &Jwks) -> Result<(), Unavailable> {
        let entry = self.number(uri).and_then(|number| self.entries.load().get(&number).cloned());
        let Some(entry) = entry else { return Ok(()) };
        let first = self.fetch_changed(&entry, jwks).await;
        let is_new =
            |entry: &Entry| entry.held.load().as_ref().is_some_and(|held| held.list.iat >= changed_at);
        if first.is_ok() && is_new(&entry) {
            return first;
        }
        tokio::time::sleep(SECOND_FETCH).await;
        self.fetch_changed(&entry, jwks).await
    }

    async fn fetch_changed(&self, entry: &Entry, jwks: &Jwks) -> Result<(), Unavailable> {
        let mut flight = entry.flight.lock().await;
        let started = self.clock.unix_seconds();
        let keys = jwks.cached()?;
        let held = entry.held.load_full().filter(|held| keys.keys.has(&held.list.key));
        self.outage.may_fetch(started)?;
        self.fetch_into(entry, &mut flight, held, jwks, started).await
    }

    /// Whether the status is valid, after a fetch if one is due.
    pub(crate) async fn check(&self, place: Place, jwks: &Jwks) -> Result<(), VerifyError> {
        let entry = self.entry(place.list);
        let (now, keys) = (self.clock.unix_seconds(), jwks.cached().map_err(VerifyError::KeysUnavailable)?);
        let held = self.usable(&entry, &keys.keys);
        let mut failure = Unavailable::TooOld;
        match held {
            Some(held) if !held.is_due(now, AHEAD) => return judge(&held.list, place),
            // Due, or failing open: the first caller to notice fetches, the others use the list they have. If the
            // fetch fails, the first caller uses it too.
            Some(held) if now < held.ends(0) || entry.is_failing.load(Ordering::Relaxed) => {
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

    /// Whether the status is valid in the cached list, without a fetch.
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

    /// Fetches the lists in use that are past half of their `ttl`.
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

    /// The cached list, if it is usable.
    fn usable(&self, entry: &Entry, keys: &KeySet) -> Option<Arc<Held>> {
        let now = self.clock.unix_seconds();
        entry.held.load_full().filter(|held| held.is_usable(now, self.limits.fail_open, keys))
    }

    /// The entry of a list, which is added if it is new. If there are too many, the least recently used is dropped.
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

    /// Fetches if the list is due. If the last fetch failed too recently, or [`Outage`] allows no fetch, the result is the last
    /// failure. Another caller may have fetched while this one waited for the lock: then both share the result of that fetch.
    /// A failure keeps the cached list.
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
        let is_usable = usable(self.limits.fail_open).is_some();
        let pause = if is_usable { self.limits.min_refetch } else { COLD_RETRY_SECONDS };
        if let Some((at, why)) = &flight.failed
            && (0..pause).contains(&started.saturating_sub(*at))
        {
            return Err(why.clone());
        }
        self.outage.may_fetch(started)?;
        self.fetch_into(entry, flight, held, jwks, started).await
    }

    /// Fetches, and keeps the list or the failure.
    async fn fetch_into(
        &self,
        entry: &Entry,
        flight: &mut Flight,
        held: Option<Arc<Held>>,
        jwks: &Jwks,
        started: i64,
    ) -> Result<(), Unavailable> {
        // Set before the await, so that a fetch whose caller is cancelled also counts against the rate limit.
        flight.failed = Some((started, Unavailable::NotFetched));
        let fetch = self.fetch_list(entry, held, jwks, started);
        let outcome =
            tokio::time::timeout(self.limits.timeout, fetch).await.unwrap_or(Err(Unavailable::TimedOut));
        // And again afterwards, so that callers that waited for a slow fetch still get its failure.
        let now = self.clock.unix_seconds();
        self.outage.record(now, outcome.as_ref().err());
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
        let refused = |why| Unavailable::InvalidAnswer { url: url.to_owned(), why };
        // A 304 cannot extend the `exp` of a list.
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
        // Past its `exp`, or past its `ttl` because the fetch or a cache on the way took too long.
        if self.clock.unix_seconds() >= held.ends(0) {
            return Err(refused("it has expired, or its ttl was over on arrival"));
        }
        Ok(held)
    }
}

/// The status of a token as a result.
fn judge(list: &StatusList, place: Place) -> Result<(), VerifyError> {
    match list.slots.get(place.idx) {
        Some(0) => Ok(()),
        Some(1) => Err(VerifyError::Revoked),
        Some(2) => Err(VerifyError::Suspended),
        Some(other) => Err(VerifyError::UnknownStatus(other)),
        None => Err(VerifyError::InvalidClaims("its index is beyond the end of its status list")),
    }
}
