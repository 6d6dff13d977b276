//! Keeps this process's memory in step with the database: follows the change counter, invalidates the caches, and reports
//! when the counter was last confirmed.
//!
//! A background job polls every [`POLL_MILLIS`]. A request that finds the last confirmation older than [`FRESH_MILLIS`]
//! polls by itself, so a change made in another process takes effect within a second even if the background job is late.
//! After [`STALE_MILLIS`] without an answer, memory is no longer trusted.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Ledger;
use crate::kernel::Error;
use crate::model::clock::Clock;
use crate::storage::{ChangeWatch, Changes, Storage};

/// How often the counter is polled in the background.
pub const POLL_MILLIS: u64 = 400;
/// How old a confirmation may be before a request polls by itself.
const FRESH_MILLIS: i64 = 900;
/// How long a request waits for a poll of another one before it uses what is in memory.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// How old a confirmation may be before requests are refused.
const STALE_MILLIS: i64 = 5_000;

/// How far behind the database this process may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The counter was confirmed within the last seconds.
    Confirmed,
    /// It could not be confirmed for this many milliseconds, more than `STALE_MILLIS`.
    Stale(i64),
}

/// Proof that the change counter was confirmed on this request, so that what memory says of clients and keys may be
/// believed. Only [`Ledger::confirm`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Confirmed(());

/// The follower of the change counter.
#[derive(Debug)]
pub(super) struct ChangeFollower {
    watch: Mutex<ChangeWatch>,
    confirmed_at_millis: AtomicI64,
}

impl ChangeFollower {
    /// Starts at the current value of the counter.
    pub(super) async fn start(storage: &Storage, clock: &dyn Clock) -> Result<(Self, i64), Error> {
        let confirmed_at_millis = AtomicI64::new(clock.now_millis());
        let (watch, seq) = storage.watch_changes().await?;
        Ok((Self { watch: Mutex::new(watch), confirmed_at_millis }, seq))
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
        // When it was asked, not when the answer came: the answer confirms what was true then.
        let asked_at = self.kernel.clock.now_millis();
        let changes = self.kernel.storage.poll_changes(watch).await?;
        self.apply(&changes);
        for cache in &self.caches {
            cache.catch_up().await?;
        }
        self.follower.confirmed_at_millis.store(asked_at, Ordering::Release);
        Ok(())
    }

    /// How many milliseconds ago the counter was last confirmed.
    pub fn confirmed_millis_ago(&self) -> i64 {
        self.kernel
            .clock
            .now_millis()
            .saturating_sub(self.follower.confirmed_at_millis.load(Ordering::Acquire))
            .max(0)
    }

    /// Makes sure that memory is at most a second behind, polling if it must. On the hot path this is one atomic load.
    pub async fn freshness(&self) -> Freshness {
        if self.confirmed_millis_ago() <= FRESH_MILLIS {
            return Freshness::Confirmed;
        }
        // Boxed, so that the future of the usual case stays small.
        Box::pin(self.refresh(STALE_MILLIS)).await
    }

    /// Whether the counter was confirmed within the last `millis`, at least a second, polling if it must. On the hot path
    /// this is one atomic load.
    pub async fn is_confirmed_within(&self, millis: i64) -> bool {
        self.confirmed_millis_ago() <= FRESH_MILLIS
            || Box::pin(self.refresh(millis)).await == Freshness::Confirmed
    }

    /// Polls, and reports memory as stale if it was not confirmed within the last `stale_millis`.
    #[cold]
    async fn refresh(&self, stale_millis: i64) -> Freshness {
        // Another request may be polling already. Its answer may miss a change made after it asked, so it counts only if
        // it is recent enough. Waiting without limit is only worth it for memory that is too old to use.
        let waiting = self.follower.watch.lock();
        let watch = if self.confirmed_millis_ago() <= stale_millis {
            tokio::time::timeout(POLL_WAIT, waiting).await.ok()
        } else {
            Some(waiting.await)
        };
        let outcome = match watch {
            Some(mut watch) if self.confirmed_millis_ago() > FRESH_MILLIS => {
                self.poll_locked(&mut watch).await
            }
            Some(_) | None => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "the change counter could not be confirmed");
        }
        let age = self.confirmed_millis_ago();
        if age <= stale_millis { Freshness::Confirmed } else { Freshness::Stale(age) }
    }

    /// Makes sure that memory is recent enough for an answer about a token: a change counter older than a second is asked
    /// for again, and one that could not be confirmed for seconds is not believed.
    ///
    /// # Errors
    /// [`Error::Stale`] if it could not be confirmed for too long.
    pub async fn confirm(&self) -> Result<Confirmed, Error> {
        match self.freshness().await {
            Freshness::Confirmed => Ok(Confirmed(())),
            Freshness::Stale(_) => Err(Error::Stale),
        }
    }

    /// Makes sure that memory is recent enough to issue stateless tokens from, which may be `tokens.serve_stale_seconds`
    /// longer.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub async fn confirm_to_issue(&self) -> Result<(), Error> {
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
