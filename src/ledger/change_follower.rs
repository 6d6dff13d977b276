//! Keeps this process's memory in step with the database: follows the change counter, invalidates the caches, and reports
//! when the counter was last confirmed.
//!
//! A background job polls every [`POLL_MILLIS`]. A request that finds the last confirmation older than [`FRESH_MILLIS`]
//! polls itself. So while the database answers, a change made in another process takes effect within a second even if the
//! background job is late. After [`STALE_MILLIS`] without an answer, the caches are no longer trusted, except by
//! [`Ledger::confirm_to_issue`] and [`Ledger::is_confirmed_within`], which have other limits. A poll may take
//! at most [`POLL_LIMIT`]. When it fails, the requests that wait for it do not poll again, so that they do not queue up while
//! the database hangs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Ledger;
use crate::kernel::Error;
use crate::model::clock::Clock;
use crate::storage::{ChangeWatch, Changes, Storage, StorageError};

/// How often the counter is polled in the background.
pub const POLL_MILLIS: u64 = 400;
/// How long a poll may take.
const POLL_LIMIT: Duration = Duration::from_millis(1_500);
/// How old a confirmation may be before a request polls by itself.
const FRESH_MILLIS: i64 = 900;
/// How long a request waits for the poll of another request before it uses what is in memory, if that may still be used.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// How old a confirmation may be before requests are refused.
const STALE_MILLIS: i64 = 5_000;

/// How far behind the database this process may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The counter was confirmed recently enough.
    Confirmed,
    /// The counter could not be confirmed for this many milliseconds, which is too long.
    Stale(i64),
}

/// Proof that the change counter was confirmed recently enough for this request, so that the cached clients and keys can be
/// trusted. Only [`Ledger::confirm`] creates one.
#[derive(Debug, Clone, Copy)]
pub struct Confirmed(());

/// The follower of the change counter.
#[derive(Debug)]
pub(super) struct ChangeFollower {
    watch: Mutex<ChangeWatch>,
    /// When the counter was last confirmed, by the wall clock, which also goes on while the machine is suspended.
    confirmed_at_millis: AtomicI64,
    /// The same moment in monotonic time, which is never set back.
    confirmed_at_monotonic: AtomicI64,
    /// How many polls failed.
    failed_polls: AtomicU64,
    /// Whether the last poll failed.
    last_poll_failed: AtomicBool,
}

impl ChangeFollower {
    /// Starts at the current value of the counter.
    pub(super) async fn start(storage: &Storage, clock: &dyn Clock) -> Result<(Self, i64), Error> {
        let (now, monotonic) = clock.both_millis();
        let (watch, seq) = storage.watch_changes().await?;
        let follow = Self {
            watch: Mutex::new(watch),
            confirmed_at_millis: AtomicI64::new(now),
            confirmed_at_monotonic: AtomicI64::new(monotonic),
            failed_polls: AtomicU64::new(0),
            last_poll_failed: AtomicBool::new(false),
        };
        Ok((follow, seq))
    }

    pub(super) fn last_poll_failed(&self) -> bool {
        self.last_poll_failed.load(Ordering::Acquire)
    }

    fn failed_polls(&self) -> u64 {
        self.failed_polls.load(Ordering::Acquire)
    }
}

impl Ledger {
    /// Asks the database what changed and invalidates the caches.
    ///
    /// # Errors
    /// [`Error::Storage`] if the database does not answer; the last confirmation then stays as it was.
    pub async fn poll(&self) -> Result<(), Error> {
        let mut watch = self.follower.watch.lock().await;
        self.poll_locked(&mut watch).await
    }

    async fn poll_locked(&self, watch: &mut ChangeWatch) -> Result<(), Error> {
        let outcome = match tokio::time::timeout(POLL_LIMIT, self.ask(watch)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Storage(StorageError::Stalled("polling the change counter".to_owned()))),
        };
        self.follower.last_poll_failed.store(outcome.is_err(), Ordering::Release);
        if outcome.is_err() {
            self.follower.failed_polls.fetch_add(1, Ordering::AcqRel);
        }
        outcome
    }

    /// The first poll, at start, which has no time limit.
    pub(super) async fn first_poll(&self) -> Result<(), Error> {
        let mut watch = self.follower.watch.lock().await;
        self.ask(&mut watch).await
    }

    async fn ask(&self, watch: &mut ChangeWatch) -> Result<(), Error> {
        let clock = self.kernel.clock.as_ref();
        self.clocks.look(clock);
        // The time of the question, not of the answer: the answer may miss what changed after the question.
        let (asked_at, asked_at_monotonic) = clock.both_millis();
        let changes = self.kernel.storage.poll_changes(watch).await?;
        self.clocks.compare(clock, watch.database_millis(), asked_at);
        self.apply(&changes);
        for cache in &self.caches {
            cache.catch_up().await?;
        }
        self.follower.confirmed_at_millis.store(asked_at, Ordering::Release);
        self.follower.confirmed_at_monotonic.store(asked_at_monotonic, Ordering::Release);
        Ok(())
    }

    /// How many milliseconds ago the counter was last confirmed, by the wall clock or by monotonic time, whichever is longer:
    /// the wall clock may have been set back, and monotonic time may not go on while the machine is suspended.
    pub fn confirmed_millis_ago(&self) -> i64 {
        let (now, monotonic) = self.kernel.clock.both_millis();
        let by_wall = now.saturating_sub(self.follower.confirmed_at_millis.load(Ordering::Acquire));
        let by_monotonic =
            monotonic.saturating_sub(self.follower.confirmed_at_monotonic.load(Ordering::Acquire));
        by_wall.max(by_monotonic).max(0)
    }

    /// How fresh the caches are, without polling.
    pub(super) fn freshness_as_known(&self) -> Freshness {
        let age = self.confirmed_millis_ago();
        if age <= STALE_MILLIS { Freshness::Confirmed } else { Freshness::Stale(age) }
    }

    /// How fresh memory is. If the last confirmation is older than about a second, this polls first. Otherwise, on the hot
    /// path, it only reads two clocks and two atomics.
    pub async fn freshness(&self) -> Freshness {
        if self.confirmed_millis_ago() <= FRESH_MILLIS {
            return Freshness::Confirmed;
        }
        // Boxed, so that the future of the usual case stays small.
        Box::pin(self.refresh(STALE_MILLIS)).await
    }

    /// Whether the counter was confirmed within the last `millis`, which is at least a second. Polls if it must. On the hot
    /// path this only reads two clocks and two atomics.
    pub async fn is_confirmed_within(&self, millis: i64) -> bool {
        self.confirmed_millis_ago() <= FRESH_MILLIS
            || Box::pin(self.refresh(millis)).await == Freshness::Confirmed
    }

    /// Polls, unless another request has just done so, and reports memory as stale if it was not confirmed within the last
    /// `stale_millis`.
    #[cold]
    async fn refresh(&self, stale_millis: i64) -> Freshness {
        // Another request may be polling already. Its answer may miss a change made after it asked, so it counts only if
        // it is recent enough. Waiting without limit is only worth it for memory that is too old to use.
        let failed_before = self.follower.failed_polls();
        let waiting = self.follower.watch.lock();
        let watch = if self.confirmed_millis_ago() <= stale_millis {
            tokio::time::timeout(POLL_WAIT, waiting).await.ok()
        } else {
            Some(waiting.await)
        };
        let outcome = match watch {
            // The poll of another request failed: if each waiting request polled too, they would fail one after the other.
            Some(_) if self.follower.failed_polls() != failed_before => Ok(()),
            Some(mut watch) if self.confirmed_millis_ago() > FRESH_MILLIS => {
                self.poll_locked(&mut watch).await
            }
            Some(_) | None => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::warn!(failure = error.kind(), %error, "the change counter could not be confirmed");
        }
        let age = self.confirmed_millis_ago();
        if age <= stale_millis { Freshness::Confirmed } else { Freshness::Stale(age) }
    }

    /// Makes sure that memory is recent enough for an answer about a token. If the change counter was confirmed more than a
    /// second ago, the database is asked again.
    ///
    /// # Errors
    /// [`Error::Stale`] if the counter could not be confirmed for more than five seconds.
    pub async fn confirm(&self) -> Result<Confirmed, Error> {
        match self.freshness().await {
            Freshness::Confirmed => Ok(Confirmed(())),
            Freshness::Stale(_) => Err(Error::Stale),
        }
    }

    /// Makes sure that memory is recent enough to issue stateless tokens. For this it may be older than for
    /// [`Ledger::confirm`], by `tokens.serve_stale_seconds`.
    ///
    /// # Errors
    /// [`Error::Stale`]; [`Error::Clock`] while the clock is too far from that of the database.
    pub async fn confirm_to_issue(&self) -> Result<(), Error> {
        self.clock_must_agree()?;
        match self.freshness().await {
            Freshness::Confirmed => Ok(()),
            Freshness::Stale(age)
                if age <= STALE_MILLIS + self.kernel.policy.serve_stale_seconds.saturating_mul(1000) =>
            {
                Ok(())
            }
            Freshness::Stale(_) => Err(Error::Stale),
        }
    }

    /// Invalidates what this process holds in memory of the changed records.
    pub(super) fn apply(&self, changes: &Changes) {
        for cache in &self.caches {
            match changes {
                Changes::These { changes, .. } => {
                    for (seq, change) in changes {
                        cache.invalidate(*seq, change);
                    }
                }
                Changes::Everything { seq } => cache.invalidate_all(*seq),
            }
        }
    }
}
