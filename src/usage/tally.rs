//! Tallies: how many tokens a client got and how often a secret was used, noted in memory. A tally is part of the cached
//! record, which a token request reads anyway, so that it adds to a number and takes no lock.
//!
//! When a record is read from the database again, the new record gets a new tally, while requests may still add to the old one.
//! So there may be several tallies for one id: their counts are added up, and the latest of their uses is taken.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::model::clock::UnixSeconds;
use crate::model::usage::HOUR;

/// The number of an hour since 1970; 0 for none.
pub(super) type Hour = u32;

/// After this many seconds a source that stays the same is noted again. Most clients call from one address, and to note it
/// each time that counts are stored would write more rows than the counts.
const SEEN_SECONDS: i64 = 300;

/// The hour of an instant.
pub(super) fn hour_of(at: UnixSeconds) -> Hour {
    Hour::try_from(at.div_euclid(HOUR)).unwrap_or_default()
}

/// When an hour begins.
pub(super) fn start_of(hour: Hour) -> UnixSeconds {
    i64::from(hour) * HOUR
}

/// A record in memory with a tally.
pub(crate) trait Tallied: fmt::Debug + Send + Sync {
    /// The tally of the record.
    fn tally(&self) -> &Tally;
}

/// What was noted of the tokens of a client and the uses of a secret since the last store. A client shares its tally with its
/// first secret, so that a request finds everything in one place in memory.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tokens: Count,
    uses: Count,
    /// The `mark` of the last source; 0 for none.
    source: AtomicU64,
    /// When that source was last noted.
    seen_at: AtomicI64,
    /// The last use that is not written yet; 0 for none.
    used_at: AtomicI64,
}

impl Tallied for Tally {
    fn tally(&self) -> &Tally {
        self
    }
}

impl Tally {
    /// The tokens that a client got.
    pub(super) fn tokens(&self) -> &Count {
        &self.tokens
    }

    /// The uses of a secret.
    pub(super) fn uses(&self) -> &Count {
        &self.uses
    }

    /// Whether the last source noted was this one, less than [`SEEN_SECONDS`] ago.
    pub(super) fn was_seen_from(&self, source: IpAddr, now: UnixSeconds) -> bool {
        self.source.load(Ordering::Relaxed) == mark(source)
            && (0..SEEN_SECONDS).contains(&now.saturating_sub(self.seen_at.load(Ordering::Relaxed)))
    }

    /// Notes a source.
    pub(super) fn seen_from(&self, source: IpAddr, now: UnixSeconds) {
        self.source.store(mark(source), Ordering::Relaxed);
        self.seen_at.store(now, Ordering::Relaxed);
    }

    /// Notes a use. Returns whether it is the first since the last write.
    pub(crate) fn use_at(&self, now: UnixSeconds) -> bool {
        // Most uses are in the same second as the last one.
        self.used_at() < now && self.used_at.fetch_max(now, Ordering::Relaxed) == 0
    }

    /// The last use that is not written yet; 0 for none.
    pub(crate) fn used_at(&self) -> UnixSeconds {
        self.used_at.load(Ordering::Relaxed)
    }

    /// Takes the last use, to write it; 0 for none.
    pub(crate) fn take_use(&self) -> UnixSeconds {
        self.used_at.swap(0, Ordering::Relaxed)
    }
}

/// How often something happened in an hour: the hour in the upper 32 bits, and how often in the lower 32 bits. A count whose
/// hour is 0 is not in `Pending`, so nothing stores it.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds one. False if the count is not of `hour`: then the caller has to hand it over to `Pending`.
    pub(super) fn add(&self, hour: Hour) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) >> 32 == u64::from(hour)
    }

    /// Whether the count has no hour yet. If so, it gets `hour`, for what it has counted and for what follows.
    pub(super) fn begin(&self, hour: Hour) -> bool {
        let begun = |count: u64| (count >> 32 == 0).then_some(u64::from(hour) << 32 | count);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, begun).is_ok()
    }

    /// Takes what it has counted, and in which hour. From now on it counts in `hour`.
    pub(super) fn turn(&self, hour: Hour) -> (Hour, i64) {
        parts(self.0.swap(u64::from(hour) << 32, Ordering::Relaxed))
    }

    /// What it has counted since it was last stored, and in which hour.
    pub(super) fn counted(&self) -> (Hour, i64) {
        parts(self.0.load(Ordering::Relaxed))
    }
}

fn parts(count: u64) -> (Hour, i64) {
    let counted = i64::try_from(count & u64::from(u32::MAX)).unwrap_or_default();
    (Hour::try_from(count >> 32).unwrap_or_default(), counted)
}

/// A number that identifies a source. It is never 0, and no two IPv4 addresses share one. If two IPv6 addresses do, a change
/// from one to the other is only noted late.
fn mark(source: IpAddr) -> u64 {
    match source {
        IpAddr::V4(v4) => 1 << 32 | u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let (high, low) = (bits >> 64, bits & u128::from(u64::MAX));
            let mixed = u64::try_from(high).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ u64::try_from(low).unwrap_or(0)) | 1 << 63
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_belongs_to_one_hour() {
        let tally = Tally::default();
        let count = tally.tokens();
        assert!(!count.add(7), "a new count has no hour");
        assert!(count.begin(7) && !count.begin(7));
        assert!(count.add(7) && tally.tokens().add(7));
        assert!(!count.add(8), "another hour");
        assert_eq!(tally.uses().counted(), (0, 0), "uses have a count of their own");
        assert_eq!(count.turn(0), (7, 4));
        assert_eq!(count.turn(0), (0, 0));
    }

    #[test]
    fn a_source_is_recognised_for_five_minutes() {
        let tally = Tally::default();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        for text in ["203.0.113.7", "0.0.0.0", "::", "2001:db8::1", "2001:db8::2"] {
            assert!(!tally.was_seen_from(at(text), 1_000), "{text}");
            tally.seen_from(at(text), 1_000);
            assert!(tally.was_seen_from(at(text), 1_299), "{text}");
            assert!(!tally.was_seen_from(at(text), 1_300), "{text}: it is noted again after five minutes");
            assert!(!tally.was_seen_from(at(text), 999), "{text}: the clock was set back");
        }
    }
}
