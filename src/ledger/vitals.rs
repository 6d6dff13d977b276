//! Whether this process can write, whether it follows the database, and whether the database has the schema that it needs;
//! also what the metrics show of the database. Jobs find this out; probes and the metrics are answered from memory.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::{Freshness, Ledger};
use crate::kernel::Error;
use crate::model::clock::Clock;
use crate::model::delivery::Channel;
use crate::model::histogram::Counted;

/// How often a process checks that it can write, in milliseconds. If it has committed nothing since the last check, it commits
/// a heartbeat.
pub const BEAT_MILLIS: u64 = 5_000;
/// How long this process may wait to write before it is not ready, in milliseconds: another process may be making a long
/// change.
const WAIT_MAX_MILLIS: i64 = 15_000;
/// How old the last instant ([`super::clocks`]) may be, in milliseconds, before a heartbeat is committed only to write it
/// again; also how old what was counted for the metrics may be.
const INSTANT_MILLIS: i64 = 60_000;
/// A day in seconds.
const DAY: i64 = 86_400;
/// In place of a time: nothing waits.
const NOT: i64 = i64::MAX;

/// What is known of the database.
#[derive(Debug)]
pub(super) struct Vitals {
    schema_is_current: AtomicBool,
    /// Since when this process has waited to write, in monotonic milliseconds.
    waiting_since: AtomicI64,
    /// How many commits had succeeded at the last beat.
    committed: AtomicU64,
    /// When the last instant was written, in monotonic milliseconds.
    instant_kept_at: AtomicI64,
    /// When what the metrics show was counted last, in monotonic milliseconds.
    counted_at: AtomicI64,
    /// How many secrets expire within a week and within thirty days.
    secrets_expiring: (AtomicI64, AtomicI64),
    /// When the database was last backed up, in Unix seconds; 0 if that is not known.
    last_backup: AtomicI64,
    /// Of each channel: since when the oldest delivery waits (or that none does), and how many are given up.
    backlogs: [(AtomicI64, AtomicI64); 2],
}

impl Vitals {
    pub(super) fn start(clock: &dyn Clock) -> Self {
        Self {
            schema_is_current: AtomicBool::new(true),
            waiting_since: AtomicI64::new(NOT),
            committed: AtomicU64::new(0),
            instant_kept_at: AtomicI64::new(clock.monotonic_millis() - INSTANT_MILLIS),
            counted_at: AtomicI64::new(clock.monotonic_millis() - INSTANT_MILLIS),
            secrets_expiring: (AtomicI64::new(0), AtomicI64::new(0)),
            last_backup: AtomicI64::new(0),
            backlogs: Channel::ALL.map(|_| (AtomicI64::new(NOT), AtomicI64::new(0))),
        }
    }
}

/// Why requests cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    /// The database was asked what changed, and did not answer.
    Unanswered,
    /// The change counter was not confirmed for too long.
    Stale,
    /// The last commit failed.
    NotWritten,
    /// This process has waited too long to write: another one was writing, or no connection was free.
    WriterTaken,
}

impl Ledger {
    /// Looks at the schema, and commits a heartbeat if no other commit succeeded since the last call, or if the last commit
    /// failed. About once a minute, commits one in any case, to write the last instant, and counts what the metrics show.
    ///
    /// # Errors
    /// [`Error::Storage`] if the database does not answer or does not take the commit.
    pub async fn beat(&self) -> Result<(), Error> {
        let (storage, clock) = (&self.kernel.storage, self.kernel.clock.as_ref());
        self.vitals.schema_is_current.store(storage.schema_is_current().await?, Ordering::Release);
        let began = clock.monotonic_millis();
        let committed = storage.writes().committed();
        let is_quiet = committed == self.vitals.committed.load(Ordering::Acquire);
        let instant_is_old = began - self.vitals.instant_kept_at.load(Ordering::Acquire) >= INSTANT_MILLIS;
        if began - self.vitals.counted_at.load(Ordering::Acquire) >= INSTANT_MILLIS {
            self.count_for_metrics().await?;
            self.vitals.counted_at.store(began, Ordering::Release);
        }
        if is_quiet || instant_is_old || storage.writes().last_failed() {
            let instant = self.instant_to_keep();
            match storage.beat(instant).await {
                Err(error) if error.is_stall() => {
                    self.vitals.waiting_since.fetch_min(began, Ordering::AcqRel);
                    return Err(error.into());
                }
                outcome => {
                    self.vitals.waiting_since.store(NOT, Ordering::Release);
                    outcome?;
                }
            }
            if instant.is_some() {
                self.vitals.instant_kept_at.store(began, Ordering::Release);
            }
        } else {
            self.vitals.waiting_since.store(NOT, Ordering::Release);
        }
        self.vitals.committed.store(storage.writes().committed(), Ordering::Release);
        Ok(())
    }

    /// Reads from the database what the metrics show, because a request for the metrics must not use the database.
    async fn count_for_metrics(&self) -> Result<(), Error> {
        let (storage, now) = (&self.kernel.storage, self.kernel.clock.now());
        let (week, month) = storage.secrets_expiring(now, now + 7 * DAY, now + 30 * DAY).await?;
        self.vitals.secrets_expiring.0.store(week, Ordering::Release);
        self.vitals.secrets_expiring.1.store(month, Ordering::Release);
        self.vitals.last_backup.store(storage.last_backup().unwrap_or(0), Ordering::Release);
        for (channel, (oldest, given_up)) in Channel::ALL.into_iter().zip(&self.vitals.backlogs) {
            let (since, count) = storage.backlog_of(channel).await?;
            oldest.store(since.unwrap_or(NOT), Ordering::Release);
            given_up.store(count, Ordering::Release);
        }
        Ok(())
    }

    /// Of each channel: for how many seconds the oldest delivery waits (0: none does), and how many are given up. Counted
    /// about once a minute.
    pub fn backlogs(&self) -> [(Channel, i64, i64); 2] {
        let now = self.kernel.clock.now();
        let [mails, webhooks] = &self.vitals.backlogs;
        [(Channel::Mail, mails), (Channel::Webhook, webhooks)].map(|(channel, (oldest, given_up))| {
            let since = oldest.load(Ordering::Acquire);
            let age = if since == NOT { 0 } else { now.saturating_sub(since).max(0) };
            (channel, age, given_up.load(Ordering::Acquire))
        })
    }

    /// How many client secrets expire within 7 and within 30 days, counted about once a minute.
    pub fn secrets_expiring(&self) -> (i64, i64) {
        let (week, month) = &self.vitals.secrets_expiring;
        (week.load(Ordering::Acquire), month.load(Ordering::Acquire))
    }

    /// When this SQLite database was last backed up by `mintmark backup`, in Unix seconds; 0 if that is not known.
    pub fn last_backup(&self) -> i64 {
        self.vitals.last_backup.load(Ordering::Acquire)
    }

    /// How long the database took, by operation.
    pub fn database_timings(&self) -> [(&'static str, Counted); 3] {
        self.kernel.storage.timings().all().map(|(operation, times)| (operation, times.counted()))
    }

    /// How many connections to the database are in use, and how many are idle.
    pub fn connections(&self) -> (i64, i64) {
        self.kernel.storage.connections()
    }

    /// Writes the present time as the last instant, unless the clock is doubtful; this is the last write of a serving process.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn write_last_instant(&self) -> Result<(), Error> {
        Ok(self.kernel.storage.beat(self.instant_to_keep()).await?)
    }

    /// Why requests cannot be served now, by the last checks; `None` if they can. Does not use the database.
    pub fn not_ready(&self) -> Option<NotReady> {
        let waited = self.kernel.clock.monotonic_millis() - self.vitals.waiting_since.load(Ordering::Acquire);
        if self.follower.last_poll_failed() {
            Some(NotReady::Unanswered)
        } else if matches!(self.freshness_as_known(), Freshness::Stale(_)) {
            Some(NotReady::Stale)
        } else if self.kernel.storage.writes().last_failed() {
            Some(NotReady::NotWritten)
        } else if waited >= WAIT_MAX_MILLIS {
            Some(NotReady::WriterTaken)
        } else {
            None
        }
    }

    /// Whether the database had the schema of this program at the last check.
    pub fn schema_was_current(&self) -> bool {
        self.vitals.schema_is_current.load(Ordering::Acquire)
    }

    /// How many commits failed.
    pub fn failed_writes(&self) -> u64 {
        self.kernel.storage.writes().failed()
    }
}
