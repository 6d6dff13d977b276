//! The cache of the issuer's keys: discovery (RFC 8414 §3), a snapshot that is read without a lock, and one fetch at a
//! time when the snapshot is due, too old, or does not have the requested key.
//!
//! At its `max-age` a set is replaced as a whole, so a key that the issuer withdrew is gone by then. If the fetch fails,
//! the old set is used until it is older than `max_stale_seconds`. Ages count from the start of the fetch.

use arc_swap::ArcSwapOption;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::endpoint::{check_issuer, metadata_urls, scheme_of};
use crate::fetch::{Fetch, Fetched, Request, Unavailable, get};
use crate::json;
use crate::keys::KeySet;

/// The `max-age` of an answer that states none, seconds. The same as Mintmark's default.
const DEFAULT_MAX_AGE: i64 = 300;

/// The time between two fetches while there is nothing usable in the cache, seconds.
pub(crate) const COLD_RETRY_SECONDS: i64 = 1;

/// Limits of the cache.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The greatest age of a set, seconds.
    pub(crate) max_stale: i64,
    /// The shortest time between two fetches while the cached set is usable, seconds.
    pub(crate) min_refetch: i64,
    /// The time limit of a fetch (metadata and set together).
    pub(crate) timeout: Duration,
}

/// The cache of the key set.
pub(crate) struct Jwks {
    issuer: String,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    snapshot: ArcSwapOption<Snapshot>,
    /// Locked during a fetch.
    flight: Mutex<Flight>,
}

/// One fetched set.
pub(crate) struct Snapshot {
    pub(crate) keys: KeySet,
    /// The start of the fetch, less the time in caches on the way, Unix seconds.
    fetched_at: i64,
    /// From when it is due, Unix seconds.
    fresh_until: i64,
}

/// What is remembered between fetches.
struct Flight {
    /// The discovered `jwks_uri`, and when it was discovered.
    jwks_uri: Option<(String, i64)>,
    /// When the last fetch ended, or began if it has not ended.
    attempted_at: Option<i64>,
    outcome: Result<(), Unavailable>,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Jwks {
    pub(crate) fn new(issuer: String, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let flight = Flight { jwks_uri: None, attempted_at: None, outcome: Err(Unavailable::NotFetched) };
        Self { issuer, fetch, clock, limits, snapshot: ArcSwapOption::empty(), flight: Mutex::new(flight) }
    }

    /// The cached set, without a fetch.
    pub(crate) fn cached(&self) -> Result<Arc<Snapshot>, Unavailable> {
        let snapshot = self.snapshot.load_full().ok_or(Unavailable::NotFetched)?;
        let age = self.clock.unix_seconds().saturating_sub(snapshot.fetched_at);
        if age > self.limits.max_stale { Err(Unavailable::TooOld) } else { Ok(snapshot) }
    }

    /// A set to look up `kid` in, after a fetch if one is due.
    pub(crate) async fn for_kid(&self, kid: &str) -> Result<Arc<Snapshot>, Unavailable> {
        if let Some(snapshot) = self.cached().ok().filter(|snapshot| snapshot.keys.get(kid).is_some()) {
            if self.is_fresh(&snapshot) {
                return Ok(snapshot);
            }
            // Due: the first caller to notice fetches, the others use the cached set. If the fetch fails, the first caller
            // uses the cached set too: an unreachable issuer fails no request with a known key before `max_stale`.
            if let Ok(mut flight) = self.flight.try_lock() {
                let _ = self.refetch(&mut flight).await;
            }
            return self.cached();
        }
        self.refresh().await?;
        self.cached()
    }

    /// Fetches now, if the rate limit allows.
    pub(crate) async fn refresh(&self) -> Result<(), Unavailable> {
        let mut flight = self.flight.lock().await;
        self.refetch(&mut flight).await
    }

    fn is_fresh(&self, snapshot: &Snapshot) -> bool {
        // If the clock was set back, the age is unknown, and the set counts as due.
        (snapshot.fetched_at..snapshot.fresh_until).contains(&self.clock.unix_seconds())
    }

    /// Fetches, unless the last fetch is too recent; then the result is that of the last fetch. In this way callers
    /// that waited for the lock share one fetch. A failure keeps the cached set.
    async fn refetch(&self, flight: &mut Flight) -> Result<(), Unavailable> {
        let started = self.clock.unix_seconds();
        let pause = if self.cached().is_ok() { self.limits.min_refetch } else { COLD_RETRY_SECONDS };
        if flight.attempted_at.is_some_and(|at| (0..pause).contains(&started.saturating_sub(at))) {
            return flight.outcome.clone();
        }
        // Set before the await, so that a fetch whose caller is cancelled also counts against the rate limit.
        flight.attempted_at = Some(started);
        flight.outcome = Err(Unavailable::NotFetched);
        let fetched = tokio::time::timeout(self.limits.timeout, self.fetch_set(flight, started)).await;
        // And again afterwards, so that callers that waited for a slow fetch still get its result.
        flight.attempted_at = Some(self.clock.unix_seconds());
        flight.outcome = fetched
            .unwrap_or(Err(Unavailable::TimedOut))
            .map(|snapshot| self.snapshot.store(Some(Arc::new(snapshot))));
        flight.outcome.clone()
    }

    async fn fetch_set(&self, flight: &mut Flight, started: i64) -> Result<Snapshot, Unavailable> {
        // The URI is put back only after success: if the key set has moved, the next fetch reads the metadata again.
        let known =
            flight.jwks_uri.take().filter(|(_, at)| started.saturating_sub(*at) < self.limits.max_stale);
        let (jwks_uri, discovered_at) = match known {
            Some(known) => known,
            None => (self.discover().await?, started),
        };
        let answer = self.get(&jwks_uri).await?;
        if answer.status != 200 {
            return Err(Unavailable::Status { url: jwks_uri, status: answer.status });
        }
        let keys = KeySet::parse(&answer.body)
            .map_err(|error| Unavailable::InvalidAnswer { url: jwks_uri.clone(), why: error.as_str() })?;
        flight.jwks_uri = Some((jwks_uri, discovered_at));
        let age = answer.age();
        let max_age = answer.cache_control.as_deref().map_or(DEFAULT_MAX_AGE, max_age);
        let fresh_for = max_age.saturating_sub(age).clamp(self.limits.min_refetch, self.limits.max_stale);
        Ok(Snapshot {
            keys,
            fetched_at: started.saturating_sub(age),
            fresh_until: started.saturating_add(fresh_for),
        })
    }

    /// The `jwks_uri` in the issuer's metadata.
    async fn discover(&self) -> Result<String, Unavailable> {
        let [inserted, appended] = metadata_urls(&self.issuer);
        let (url, answer) = match self.get(&inserted).await? {
            answer if (400..500).contains(&answer.status) => {
                let answer = self.get(&appended).await?;
                (appended, answer)
            }
            answer => (inserted, answer),
        };
        if answer.status != 200 {
            return Err(Unavailable::Status { url, status: answer.status });
        }
        let refused = |why| Unavailable::InvalidAnswer { url: url.clone(), why };
        let metadata: Metadata =
            json::strict(&answer.body).map_err(|_| refused("it is not metadata with issuer and jwks_uri"))?;
        if metadata.issuer != self.issuer {
            return Err(refused("its issuer differs from the configured one"));
        }
        // The keys must be fetched over a connection as safe as the metadata's.
        let scheme =
            scheme_of(&metadata.jwks_uri).map_err(|_| refused("its jwks_uri is not a valid https URL"))?;
        if Ok(scheme) != check_issuer(&self.issuer) {
            return Err(refused("the scheme of its jwks_uri differs from that of the issuer"));
        }
        Ok(metadata.jwks_uri)
    }

    async fn get(&self, url: &str) -> Result<Fetched, Unavailable> {
        get(&*self.fetch, Request::new(url)).await
    }
}

/// The seconds for which a `Cache-Control` header allows an answer to be used (RFC 9111 §5.2.2).
fn max_age(cache_control: &str) -> i64 {
    let mut shortest = None;
    for directive in cache_control.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => 0,
            // A value that is not a number counts as 0 (RFC 9111 §4.2.1).
            "max-age" => value.trim().trim_matches('"').parse::<u32>().map_or(0, i64::from),
            _ => continue,
        };
        shortest = Some(shortest.map_or(seconds, |shortest: i64| shortest.min(seconds)));
    }
    shortest.unwrap_or(DEFAULT_MAX_AGE)
}
