//! Time as an input: the service reads a [`Clock`] that is passed in, so that tests can set the time.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// An instant in seconds since 1970-01-01T00:00:00Z, the form in which instants are stored and signed.
pub type UnixSeconds = i64;

/// The last instant RFC 3339 can write (9999-12-31T23:59:59Z), in Unix seconds.
pub const YEAR_9999: UnixSeconds = 253_402_300_799;

/// A source of the current time.
pub trait Clock: Send + Sync + Debug {
    /// Milliseconds since the Unix epoch.
    fn now_millis(&self) -> i64;

    /// Milliseconds since some moment in the life of this process. Unlike [`Clock::now_millis`] it never goes back and is
    /// never set, so durations are measured by it.
    fn monotonic_millis(&self) -> i64;

    /// [`Clock::now_millis`] and [`Clock::monotonic_millis`], read together.
    fn both_millis(&self) -> (i64, i64) {
        (self.now_millis(), self.monotonic_millis())
    }

    /// By how many milliseconds this clock is ahead of another one (negative: behind). The other clock showed `theirs` at
    /// some moment after this clock showed `asked_at`, so the time that the answer took does not count as a difference.
    fn ahead_of(&self, theirs: i64, asked_at: i64) -> i64 {
        if theirs < asked_at { asked_at - theirs } else { (self.now_millis() - theirs).min(0) }
    }

    /// Whole seconds since the Unix epoch, rounded down, so that `iat` is never ahead of the clock.
    fn now(&self) -> UnixSeconds {
        self.now_millis().div_euclid(1000)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The moment at which monotonic time begins in this process.
#[expect(clippy::disallowed_methods, reason = "this is the one place where the machine's clock is read")]
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the machine's clock is read")]
    fn now_millis(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(_) => 0,
        }
    }

    fn monotonic_millis(&self) -> i64 {
        i64::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// Measures how long something takes, for the metrics. No decision depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a duration is measured here, and no decision depends on it"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that moves only when it is moved. For tests, benches and simulations.
#[derive(Debug)]
pub struct ManualClock {
    /// Monotonic time, in milliseconds.
    passed: AtomicI64,
    /// The difference between what the clock shows and `passed`, in milliseconds.
    offset: AtomicI64,
    /// By how many milliseconds this clock is ahead of the clock of the database.
    ahead: AtomicI64,
}

impl ManualClock {
    /// A clock at `now` (Unix seconds).
    pub fn at(now: UnixSeconds) -> Self {
        Self {
            passed: AtomicI64::new(0),
            offset: AtomicI64::new(now.saturating_mul(1000)),
            ahead: AtomicI64::new(0),
        }
    }

    /// Lets `seconds` pass.
    pub fn advance(&self, seconds: i64) {
        self.advance_millis(seconds.saturating_mul(1000));
    }

    /// Lets `millis` pass.
    pub fn advance_millis(&self, millis: i64) {
        self.passed.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the clock forward by `seconds` (back if negative), while no time passes.
    pub fn leap(&self, seconds: i64) {
        self.offset.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
    }

    /// From now on the clock of the database counts as `seconds` behind this one (ahead if negative). Without this call the
    /// two count as equal, although the database shows the real time and this clock what a test set.
    pub fn be_ahead_of_database(&self, seconds: i64) {
        self.ahead.store(seconds.saturating_mul(1000), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_millis(&self) -> i64 {
        self.both_millis().0
    }

    fn monotonic_millis(&self) -> i64 {
        self.both_millis().1
    }

    fn both_millis(&self) -> (i64, i64) {
        let monotonic = self.passed.load(Ordering::SeqCst);
        (monotonic + self.offset.load(Ordering::SeqCst), monotonic)
    }

    fn ahead_of(&self, _theirs: i64, _asked_at: i64) -> i64 {
        self.ahead.load(Ordering::SeqCst)
    }
}

/// Writes an instant as RFC 3339 in UTC (`2026-11-23T08:00:00Z`). An instant before 1970 or after the year 9999 is written as
/// the nearest one in between.
pub fn to_rfc3339(at: UnixSeconds) -> String {
    OffsetDateTime::from_unix_timestamp(at.clamp(0, YEAR_9999))
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// Reads an RFC 3339 instant of any offset; fractions of a second are cut off. `None` for any other text.
pub fn from_rfc3339(text: &str) -> Option<UnixSeconds> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// Reads an HTTP date in the preferred format (RFC 9110 §5.6.7, `Sun, 06 Nov 1994 08:49:37 GMT`), or another date of RFC 2822.
/// `None` for any other text.
pub fn from_http_date(text: &str) -> Option<UnixSeconds> {
    OffsetDateTime::parse(text, &Rfc2822).ok().map(OffsetDateTime::unix_timestamp)
}

/// `#[serde(with = "…")]` for an instant on the wire.
pub mod rfc3339 {
    use serde::Serializer;

    /// Serialises Unix seconds as RFC 3339.
    pub fn serialize<S: Serializer>(at: &super::UnixSeconds, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_rfc3339(*at))
    }

    /// `#[serde(with = "…")]` for an instant that may be absent (`null`).
    pub mod option {
        use serde::Serializer;

        /// Serialises optional Unix seconds as RFC 3339 or `null`.
        pub fn serialize<S: Serializer>(
            at: &Option<crate::model::clock::UnixSeconds>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, serializer),
                None => serializer.serialize_none(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_and_read_and_fractions_of_a_second_are_cut_off() {
        assert_eq!(to_rfc3339(1_790_000_000), "2026-09-21T14:13:20Z");
        assert_eq!(from_rfc3339("2026-09-21T14:13:20.999Z"), Some(1_790_000_000));
        assert_eq!(from_rfc3339("2026-09-21T19:43:20+05:30"), Some(1_790_000_000));
        assert_eq!(from_rfc3339("yesterday"), None);
        assert_eq!(from_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(from_http_date("120"), None);
        assert_eq!(to_rfc3339(YEAR_9999), "9999-12-31T23:59:59Z");
    }
}
