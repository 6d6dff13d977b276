//! Limits sign-in attempts per account and network. Counts are in memory, so each process has its own.
//!
//! Failed attempts of others do not lock operators out of networks that they have signed in from before: there the right
//! password passes even after too many attempts. From other networks, further attempts are refused, right or wrong. An address
//! without an operator is treated like any other.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::kernel::Ticks;
use crate::model::clock::Clock;

/// How many buckets each limit has. Accounts that share a bucket share its limit.
const BUCKETS: u64 = 1 << 16;

/// Attempts for an account from one network: ten at once, then ten a minute.
const FROM_A_NETWORK: Quota = Quota::per_minute(at_once(10));
/// Attempts for an account from all networks together: a hundred at once, then a hundred an hour.
const FROM_ANYWHERE: Quota = Quota::per_hour(at_once(100));
/// Codes of an authenticator app after the right password: five at once, then one a minute. At that pace the million codes,
/// three of which are right at any time, take months to guess.
const CODES: Quota = Quota::per_minute(at_once(1)).allow_burst(at_once(5));

const fn at_once(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

type Limiter = RateLimiter<u64, DashMapStateStore<u64>, Ticks, NoOpMiddleware<Nanos>>;

/// Counts attempts.
pub(super) struct Throttle {
    from_a_network: Limiter,
    from_anywhere: Limiter,
    codes: Limiter,
    ticks: Ticks,
    hasher: RandomState,
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

impl Throttle {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let ticks = Ticks::new(clock);
        let limiter = |quota| Limiter::new(quota, DashMapStateStore::default(), ticks.clone());
        Self {
            from_a_network: limiter(FROM_A_NETWORK),
            from_anywhere: limiter(FROM_ANYWHERE),
            codes: limiter(CODES),
            hasher: RandomState::new(),
            ticks,
        }
    }

    /// Counts an attempt for an account from a network. After too many, returns how many seconds to wait.
    pub(super) fn attempt(&self, account: &str, network: &str) -> Option<u32> {
        let here = self.wait(&self.from_a_network, &(account, network));
        let anywhere = self.wait(&self.from_anywhere, &account);
        here.max(anywhere)
    }

    /// Counts an attempt with a code for an operator. After too many, returns how many seconds to wait.
    pub(super) fn code(&self, operator_id: &str) -> Option<u32> {
        self.wait(&self.codes, &operator_id)
    }

    fn wait(&self, limiter: &Limiter, key: &impl std::hash::Hash) -> Option<u32> {
        let bucket = self.hasher.hash_one(key) % BUCKETS;
        let until = limiter.check_key(&bucket).err()?.earliest_possible();
        Some(self.ticks.seconds_until(until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::ManualClock;

    #[test]
    fn each_account_and_network_has_a_limit_that_refills() {
        let clock = Arc::new(ManualClock::at(1_790_000_000));
        let throttle = Throttle::new(clock.clone());
        for _ in 0..10 {
            assert_eq!(throttle.attempt("a", "203.0.113.0/24"), None);
        }
        assert!(throttle.attempt("a", "203.0.113.0/24").is_some_and(|seconds| (1..=60).contains(&seconds)));
        assert_eq!(throttle.attempt("a", "198.51.100.0/24"), None);
        assert_eq!(throttle.attempt("b", "203.0.113.0/24"), None);
        clock.advance(60);
        assert_eq!(throttle.attempt("a", "203.0.113.0/24"), None);
    }

    #[test]
    fn a_clock_that_is_set_changes_no_limit() {
        let clock = Arc::new(ManualClock::at(1_790_000_000));
        let throttle = Throttle::new(clock.clone());
        for _ in 0..5 {
            assert_eq!(throttle.code("op"), None);
        }
        for leap in [-3_600, 7_200] {
            clock.leap(leap);
            // One code a minute, and a second more because the wait is rounded up.
            assert!(throttle.code("op").is_some_and(|seconds| (1..=61).contains(&seconds)), "{leap}");
        }
        clock.advance(60);
        assert_eq!(throttle.code("op"), None);
    }

    #[test]
    fn an_account_is_slowed_for_all_networks_together() {
        let throttle = Throttle::new(Arc::new(ManualClock::at(1_790_000_000)));
        let slowed =
            (0..120).filter(|number| throttle.attempt("a", &format!("10.0.{number}.0/24")).is_some());
        assert_eq!(slowed.count(), 20);
    }

    #[test]
    fn in_a_day_only_one_code_a_minute_can_be_tried() {
        let clock = Arc::new(ManualClock::at(1_790_000_000));
        let throttle = Throttle::new(clock.clone());
        let mut tried = 0;
        for _ in 0..24 * 60 {
            tried += usize::from(throttle.code("op").is_none()) + usize::from(throttle.code("op").is_none());
            clock.advance(60);
        }
        // One a minute, and four more at the beginning: five at once.
        assert!(tried < 24 * 60 + 10, "{tried} in a day");
    }
}
