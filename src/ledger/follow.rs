//! Keeps this process's memory true to the database: follows the change counter, lets changes fall on the caches, and
//! says when the counter was last confirmed.
//!
//! Background work polls every [`POLL_MILLIS`]. A request that finds the last confirmation older than
//! [`FRESH_MILLIS`] polls by itself, so a change made elsewhere is in force within a second even if the background
//! work is late. Past [`STALE_MILLIS`] without an answer, what is in memory is no longer trusted.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Ledger;
use crate::kernel::Error;
use crate::model::clock::Clock;
use crate::storage::{ChangeWatch, Changes, Storage};

/// How often the counter is polled in the background.
pub const POLL_MILLIS: u64 = 400;
/// How old a confirmation may be before a request asks by itself.
const FRESH_MILLIS: i64 = 900;
/// How long a request waits for somebody else's question before it goes on with what is in memory.
const PATIENCE: Duration = Duration::from_secs(1);
/// How old a confirmation may be before answers are refused.
const STALE_MILLIS: i64 = 5_000;

/// How far behind the database this process may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The counter was confirmed within the last seconds.
    Confirmed,
    /// It could not be confirmed for this many milliseconds, more than `STALE_MILLIS`.
    Stale(i64),
}

/// The follower of the change counter.
#[derive(Debug)]
pub(super) struct Follow {
    watch: Mutex<ChangeWatch>,
    confirmed_at_millis: AtomicI64,
}

impl Follow {
    /// Starts following from the counter's present value.
    pub(super) async fn start(storage: &Storage, clock: &dyn Clock) -> Result<(Self, i64), Error> {
        let confirmed_at_millis = AtomicI64::new(clock.now_millis());
        let (watch, seq) = storage.watch_changes().await?;
        Ok((Self { watch: Mutex::new(watch), confirmed_at_millis }, seq))
    }
}

impl Ledger {
    /// Asks the database what changed and lets it fall on the caches.
    ///
    /// # Errors
    /// [`Error::Storage`] if the database does not answer; the last confirmation then stays as it was.
    pub async fn poll(&self) -> Result<(), Error> {
        let mut watch = self.follow.watch.lock().await;
        self.poll_holding(&mut watch).await
    }

    async fn poll_holding(&self, watch: &mut ChangeWatch) -> Result<(), Error> {
        // The instant of asking, not of the answer: what was true then is what is confirmed.
        let asked_at = self.kernel.clock.now_millis();
        let changes = self.kernel.storage.poll_changes(watch).await?;
        self.apply(&changes);
        for memory in &self.memories {
            memory.catch_up().await?;
        }
        self.follow.confirmed_at_millis.store(asked_at, Ordering::Release);
        Ok(())
    }

    /// How many milliseconds ago the counter was last confirmed.
    pub fn confirmed_millis_ago(&self) -> i64 {
        self.kernel
            .clock
            .now_millis()
            .saturating_sub(self.follow.confirmed_at_millis.load(Ordering::Acquire))
            .max(0)
    }

    /// Makes sure that memory is at most a second behind, asking the database if need be. On the hot path this is one
    /// atomic load.
    pub async fn freshness(&self) -> Freshness {
        if self.confirmed_millis_ago() <= FRESH_MILLIS {
            return Freshness::Confirmed;
        }
        // Boxed, so that the usual way through a request is not as large as this one.
        Box::pin(self.refresh(STALE_MILLIS)).await
    }

    /// Whether the counter was confirmed within the last `millis`, at least a second, asking the database if need be.
    /// On the hot path this is one atomic load.
    pub async fn is_confirmed_within(&self, millis: i64) -> bool {
        self.confirmed_millis_ago() <= FRESH_MILLIS
            || Box::pin(self.refresh(millis)).await == Freshness::Confirmed
    }

    /// Asks the database, and finds memory stale if it was not confirmed within the last `stale_millis`.
    #[cold]
    async fn refresh(&self, stale_millis: i64) -> Freshness {
        // Somebody may be asking already. What they asked before a change does not tell of it, so their answer will do
        // only if it is recent enough; and only memory that is too old to go on with is worth waiting long for.
        let waiting = self.follow.watch.lock();
        let watch = if self.confirmed_millis_ago() <= stale_millis {
            tokio::time::timeout(PATIENCE, waiting).await.ok()
        } else {
            Some(waiting.await)
        };
        let outcome = match watch {
            Some(mut watch) if self.confirmed_millis_ago() > FRESH_MILLIS => {
                self.poll_holding(&mut watch).await
            }
            Some(_) | None => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "the change counter could not be confirmed");
        }
        let age = self.confirmed_millis_ago();
        if age <= stale_millis { Freshness::Confirmed } else { Freshness::Stale(age) }
    }

    /// Refuses when memory is too old to be trusted.
    pub async fn must_be_fresh(&self) -> Result<(), Error> {
        match self.freshness().await {
            Freshness::Confirmed => Ok(()),
            Freshness::Stale(_) => Err(Error::Stale),
        }
    }

    /// Refuses when memory is too old to issue stateless tokens from (`tokens.serve_stale_seconds` beyond the usual).
    pub async fn must_be_fresh_to_issue(&self) -> Result<(), Error> {
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

    /// Invalidates what this process holds in memory of what `changes` touched.
    pub(super) fn apply(&self, changes: &Changes) {
        for memory in &self.memories {
            match changes {
                Changes::These { changes, .. } => {
                    for (seq, change) in changes {
                        memory.invalidate(*seq, change);
                    }
                }
                Changes::Everything { seq } => memory.invalidate_all(*seq),
            }
        }
    }
}
