//! Whether this process's clock can be trusted (`docs/revocation.md`): how far it is from that of the database, and whether
//! it was set.
//!
//! With a wrong clock, tokens would be issued that others refuse; if it is far ahead, data that is still needed would be
//! deleted, and keys that should sign would be retired. So beyond [`SKEW_MAX_MILLIS`] no token is issued. Also, beyond that and
//! for [`LEAP_WAIT_MILLIS`] after a leap (the clock was set), no job deletes anything, and no key is created or retired.
//!
//! About once a minute a serving process writes its time to the database as the last instant, unless its clock is doubtful.
//! A process that starts compares its clock with the last instant.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Ledger;
use crate::kernel::Error;
use crate::model::clock::{Clock, UnixSeconds};

/// How far the clock may be from that of the database, in milliseconds.
pub const SKEW_MAX_MILLIS: i64 = 30_000;
/// By how much the clock may move against monotonic time between two checks.
const LEAP_MILLIS: i64 = 10_000;
/// By how much the clock may be past the last instant in the database at start.
const LEAP_AT_START_SECONDS: i64 = 3_600;
/// How long jobs wait after a leap, in milliseconds of monotonic time.
const LEAP_WAIT_MILLIS: i64 = 600_000;
/// The value of [`Clocks::wait_ends`] before any leap.
const NEVER: i64 = i64::MIN;

/// What is known of the clock of this process.
#[derive(Debug)]
pub(super) struct Clocks {
    /// By how many milliseconds it is ahead of that of the database.
    ahead_millis: AtomicI64,
    /// Wall and monotonic time at the last check.
    last: Mutex<(i64, i64)>,
    /// When the wait after a leap ends, in monotonic time.
    wait_ends: AtomicI64,
}

impl Clocks {
    /// `last_instant` is the last instant that was written to the database; `None` if none was written yet.
    pub(super) fn start(clock: &dyn Clock, last_instant: Option<UnixSeconds>) -> Self {
        let clocks = Self {
            ahead_millis: AtomicI64::new(0),
            last: Mutex::new(clock.both_millis()),
            wait_ends: AtomicI64::new(NEVER),
        };
        if let Some(gap) =
            last_instant.map(|last| clock.now() - last).filter(|gap| *gap > LEAP_AT_START_SECONDS)
        {
            tracing::warn!(
                gap_seconds = gap,
                "the clock is more than an hour past the last time this database was served: if the service was not stopped \
                 for so long, the clock is wrong. For ten minutes nothing is deleted and no signing key is made"
            );
            clocks.wait_from(clock.monotonic_millis());
        }
        clocks
    }

    /// Checks whether the clock was set since the last check. Returns the wall time that it saw, in milliseconds.
    pub(super) fn look(&self, clock: &dyn Clock) -> i64 {
        // Locked to the end: the next check must see the wait that this one starts.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.both_millis();
        let before = std::mem::replace(&mut *last, now);
        let moved = (now.0 - before.0) - (now.1 - before.1);
        if moved.abs() > LEAP_MILLIS {
            tracing::error!(
                moved_seconds = moved / 1000,
                "the clock of this machine was set: for ten minutes nothing is deleted and no signing key is made"
            );
            self.wait_from(now.1);
        }
        now.0
    }

    fn wait_from(&self, monotonic_millis: i64) {
        self.wait_ends.store(monotonic_millis + LEAP_WAIT_MILLIS, Ordering::Release);
    }

    /// Records how far the clock is from that of the database, which showed `database_millis` when it was asked at `asked_at`.
    /// `None` on SQLite, whose clock is that of this machine.
    pub(super) fn compare(&self, clock: &dyn Clock, database_millis: Option<i64>, asked_at: i64) {
        let ahead = database_millis.map_or(0, |theirs| clock.ahead_of(theirs, asked_at));
        let before = self.ahead_millis.swap(ahead, Ordering::AcqRel);
        match (before.abs() > SKEW_MAX_MILLIS, ahead.abs() > SKEW_MAX_MILLIS) {
            (false, true) => tracing::error!(
                ahead_seconds = ahead / 1000,
                "the clock of this machine differs from that of the database by more than 30 seconds: until they agree, no \
                 token is issued, nothing is deleted and no signing key is made. Check the time synchronisation (NTP) of both \
                 machines"
            ),
            (true, false) => {
                tracing::info!("the clock of this machine agrees with that of the database again");
            }
            _ => {}
        }
    }

    /// Whether the wait after a leap is over, or there was none.
    fn is_settled(&self, clock: &dyn Clock) -> bool {
        self.wait_ends.load(Ordering::Acquire) <= clock.monotonic_millis()
    }
}

impl Ledger {
    /// By how many milliseconds the clock of this process is ahead of that of the database (behind: negative).
    pub fn clock_skew_millis(&self) -> i64 {
        self.clocks.ahead_millis.load(Ordering::Acquire)
    }

    /// Checks that the clock is close enough to that of the database to issue tokens.
    ///
    /// # Errors
    /// [`Error::Clock`].
    pub(crate) fn clock_must_agree(&self) -> Result<(), Error> {
        if self.clock_skew_millis().abs() <= SKEW_MAX_MILLIS {
            return Ok(());
        }
        Err(Error::Clock(
            "the clock of this machine differs from that of the database by more than 30 seconds: set both right, and \
             try again",
        ))
    }

    /// The present time, for work that cannot be undone: deleting, and creating and retiring keys. Callers use this time and
    /// do not read the clock again: it may leap after the check.
    ///
    /// # Errors
    /// [`Error::Clock`] while the clock cannot be trusted.
    pub(crate) fn trusted_now(&self) -> Result<UnixSeconds, Error> {
        let clock = self.kernel.clock.as_ref();
        let millis = self.clocks.look(clock);
        self.clock_must_agree()?;
        if self.clocks.is_settled(clock) {
            return Ok(millis.div_euclid(1_000));
        }
        Err(Error::Clock(
            "the clock of this machine was set, or the service was not running for more than an hour: try again ten \
             minutes after that, and check the clock",
        ))
    }

    /// The time to write to the database as the last instant. `None` while the clock is doubtful, so that a start after a leap
    /// still notices the leap.
    pub(super) fn instant_to_keep(&self) -> Option<UnixSeconds> {
        self.trusted_now().ok()
    }
}
