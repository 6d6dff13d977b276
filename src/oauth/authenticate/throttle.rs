//! Limits failed authentication (RFC 6749 §2.3.1). Only failures count, and only failures are refused: a client with the
//! right secret is served, however often others fail with its id.
//!
//! Secrets have 256 random bits, so they cannot be guessed anyway. The limit keeps a broken client or a scanner from filling
//! the log. The number of buckets is fixed, so two pairs of client id and network may share a bucket, and then its limit.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::tally::Tally;
use crate::kernel::Ticks;
use crate::model::clock::Clock;

/// How many failures are allowed at once for a client id from one network. After that, one more is allowed each second.
const FAILURES: NonZeroU32 = match NonZeroU32::new(60) {
    Some(failures) => failures,
    None => NonZeroU32::MIN,
};
const BUCKETS: u64 = 1 << 16;

/// Counts failures by client id and source network, and malformed credentials by source.
pub struct Throttle {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, Ticks, NoOpMiddleware<Nanos>>,
    ticks: Ticks,
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    /// Throttled failures by bucket.
    throttled: Tally,
    /// Malformed credentials by source.
    malformed: Tally,
}

/// A failure beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Throttled {
    /// For `Retry-After`.
    pub(super) seconds: u32,
    /// If a log line is due: how many failures it counts. At most one line is due per bucket and second.
    pub(super) line: Option<u32>,
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

impl Throttle {
    /// A throttle without failures.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let ticks = Ticks::new(Arc::clone(&clock));
        let limiter =
            RateLimiter::new(Quota::per_minute(FAILURES), DashMapStateStore::default(), ticks.clone());
        Self {
            limiter,
            ticks,
            clock,
            hasher: RandomState::new(),
            throttled: Tally::default(),
            malformed: Tally::default(),
        }
    }

    /// Counts a failure. [`Throttled`] after too many for this client id from this network. For one client id, all unknown
    /// sources count as one network.
    pub(super) fn failed(&self, client_id: &str, source: Option<IpAddr>) -> Option<Throttled> {
        let bucket = self.bucket(client_id, source);
        let until = self.limiter.check_key(&bucket).err()?.earliest_possible();
        let seconds = self.ticks.seconds_until(until);
        Some(Throttled { seconds, line: self.throttled.count(bucket, self.clock.now()) })
    }

    /// Counts malformed credentials, which are not limited. If a log line is due, returns how many it counts. At most one line
    /// is due per source and second.
    pub(super) fn malformed(&self, source: Option<IpAddr>) -> Option<u32> {
        let source = self.hasher.hash_one(source.map(|source| source.to_canonical()));
        self.malformed.count(source, self.clock.now())
    }

    fn bucket(&self, client_id: &str, source: Option<IpAddr>) -> u64 {
        let mut hash = self.hasher.build_hasher();
        client_id.hash(&mut hash);
        source.map(network).hash(&mut hash);
        hash.finish() % BUCKETS
    }
}

/// The network that counts as one attacker: IPv4 /24, IPv6 /56.
fn network(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        // The upper 56 bits, set apart from any IPv4 network.
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 72).unwrap_or(0) | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `t24` checks that row of docs/conformance.md.
    use super::*;
    use crate::model::clock::ManualClock;

    #[test]
    fn t24_each_client_and_network_has_a_limit_that_refills() {
        let clock = Arc::new(ManualClock::at(1_790_000_000));
        let throttle = Throttle::new(clock.clone());
        let at = |address: &str| Some(address.parse().unwrap());
        let (here, neighbour) = (at("203.0.113.7"), at("::ffff:203.0.113.9"));
        let elsewhere = at("198.51.100.1");
        for _ in 0..FAILURES.get() {
            assert_eq!(throttle.failed("cl_a", here), None);
        }
        let throttled = throttle.failed("cl_a", neighbour).unwrap();
        assert!((1..=60).contains(&throttled.seconds));
        // One line per bucket and second.
        assert_eq!(throttled.line, Some(1));
        assert_eq!(throttle.failed("cl_a", here).unwrap().line, None);
        clock.advance_millis(999);
        assert_eq!(throttle.failed("cl_a", here).unwrap().line, None);
        assert_eq!(throttle.failed("cl_b", here), None);
        assert_eq!(throttle.failed("cl_a", elsewhere), None);
        assert_eq!(throttle.failed("cl_a", None), None);
        clock.advance(60);
        assert_eq!(throttle.failed("cl_a", here), None);
    }

    #[test]
    fn t24_a_clock_that_is_set_changes_no_limit() {
        let clock = Arc::new(ManualClock::at(1_790_000_000));
        let throttle = Throttle::new(clock.clone());
        for _ in 0..FAILURES.get() {
            assert_eq!(throttle.failed("cl_a", None), None);
        }
        for leap in [-3_600, 7_200] {
            clock.leap(leap);
            assert!(throttle.failed("cl_a", None).is_some_and(|t| (1..=60).contains(&t.seconds)), "{leap}");
        }
        clock.advance(60);
        assert_eq!(throttle.failed("cl_a", None), None);
    }

    #[test]
    fn t24_a_network_is_24_bits_of_ipv4_or_56_of_ipv6() {
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("203.0.113.7"), of("203.0.113.200"));
        assert_ne!(of("203.0.113.7"), of("203.0.112.7"));
        assert_eq!(of("2001:db8:1:2300::1"), of("2001:db8:1:23ff:ffff::2"));
        assert_ne!(of("2001:db8:1:2300::1"), of("2001:db8:1:2400::1"));
        assert_ne!(of("2001:db8:1:2300::1"), of("2001:db9:1:2300::1"));
        // The upper bits of this IPv6 address are 203.0.113, but it is another network.
        assert_ne!(of("203.0.113.7"), of("0:0:cb00:71ff::1"));
    }

    #[test]
    fn t24_the_number_of_buckets_is_bounded_and_clients_rarely_share_one() {
        let throttle = Throttle::new(Arc::new(ManualClock::at(1_790_000_000)));
        let buckets = (0..1_000)
            .map(|number| throttle.bucket(&format!("cl_{number}"), Some(IpAddr::from([203, 0, 113, 7]))));
        let buckets: std::collections::BTreeSet<u64> = buckets.collect();
        assert!(buckets.iter().all(|bucket| *bucket < BUCKETS));
        assert!(buckets.len() > 900, "{}", buckets.len());
    }
}
