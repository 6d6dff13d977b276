//! Decides which hosts may get another request now. A host that is slow or down delays no other host, and a host that comes
//! back is not flooded.

use std::collections::HashMap;

/// How many requests at once this process makes, in all.
pub(super) const AT_ONCE: usize = 32;
/// How many of these requests go to one host.
const AT_ONCE_EACH: usize = 2;
/// How many of these requests go to failing hosts, which are those whose last request failed. The rest is for hosts that
/// answer.
const AT_ONCE_FAILING: usize = AT_ONCE / 2;
/// How many requests a host gets in a second, on average.
const A_SECOND: i64 = 20;
/// How many requests a host may get beyond that average after it had none for a while.
const BURST: i64 = 50;
/// For how many milliseconds without a request a host counts as failing: the longest time between two attempts
/// ([`super::schedule`]).
const FAILING_MAX: i64 = 86_400_000 * 6 / 5;

/// One host.
#[derive(Debug, Clone, Copy)]
struct Host {
    in_flight: usize,
    is_failing: bool,
    /// How many requests it may get now, in thousandths of a request.
    allowance: i64,
    /// When the allowance was last refilled, in monotonic milliseconds.
    refilled_at: i64,
    /// When its last request began or ended.
    used_at: i64,
}

impl Host {
    fn new(now: i64) -> Self {
        Self { in_flight: 0, is_failing: false, allowance: BURST * 1_000, refilled_at: now, used_at: now }
    }

    fn refill(&mut self, now: i64) {
        let passed = (now - self.refilled_at).max(0);
        self.allowance = self.allowance.saturating_add(passed.saturating_mul(A_SECOND)).min(BURST * 1_000);
        self.refilled_at = now;
    }

    /// Whether the host is like one that was never seen, and can be forgotten. A host whose last request failed is forgotten
    /// only after [`FAILING_MAX`] without another one.
    fn is_idle(&self, now: i64) -> bool {
        let is_failing = self.is_failing && now - self.used_at <= FAILING_MAX;
        self.in_flight == 0 && !is_failing && self.allowance >= BURST * 1_000
    }
}

/// The hosts that are not idle ([`Host::is_idle`]).
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: HashMap<String, Host>,
}

impl Hosts {
    /// Whether `host` may get a request at `now`, in monotonic milliseconds.
    pub(super) fn may(&mut self, host: &str, now: i64) -> bool {
        let all: usize = self.hosts.values().map(|host| host.in_flight).sum();
        if all >= AT_ONCE {
            return false;
        }
        let failing: usize =
            self.hosts.values().filter(|host| host.is_failing).map(|host| host.in_flight).sum();
        match self.hosts.get_mut(host) {
            Some(host) => {
                host.refill(now);
                host.in_flight < AT_ONCE_EACH
                    && host.allowance >= 1_000
                    && (!host.is_failing || failing < AT_ONCE_FAILING)
            }
            None => true,
        }
    }

    /// A request to `host` begins.
    pub(super) fn begin(&mut self, host: &str, now: i64) {
        let host = self.hosts.entry(host.to_owned()).or_insert_with(|| Host::new(now));
        host.refill(now);
        host.in_flight += 1;
        host.used_at = now;
        host.allowance -= 1_000;
    }

    /// A request to `host` ended; `failed` if the host may be to blame.
    pub(super) fn end(&mut self, host: &str, failed: bool, now: i64) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.in_flight = host.in_flight.saturating_sub(1);
            host.is_failing = failed;
            host.used_at = now;
        }
        self.hosts.retain(|_, host| {
            host.refill(now);
            !host.is_idle(now)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_two_at_once_and_others_are_not_held_up() {
        let mut hosts = Hosts::default();
        for _ in 0..2 {
            assert!(hosts.may("a", 0));
            hosts.begin("a", 0);
        }
        assert!(!hosts.may("a", 0) && hosts.may("b", 0));
        hosts.end("a", false, 0);
        assert!(hosts.may("a", 0));
    }

    #[test]
    fn hosts_that_fail_get_half_of_the_places_at_most() {
        let mut hosts = Hosts::default();
        for number in 0..40 {
            let host = format!("dead {number}");
            hosts.begin(&host, 0);
            hosts.end(&host, true, 0);
        }
        let mut begun = 0;
        for number in 0..40 {
            let host = format!("dead {number}");
            while hosts.may(&host, 0) {
                hosts.begin(&host, 0);
                begun += 1;
            }
        }
        assert_eq!(begun, AT_ONCE_FAILING);
        for number in 0..AT_ONCE - AT_ONCE_FAILING {
            let host = format!("alive {number}");
            assert!(hosts.may(&host, 0));
            hosts.begin(&host, 0);
        }
        assert!(!hosts.may("one more", 0));
    }

    #[test]
    fn a_host_gets_a_burst_and_then_twenty_requests_a_second() {
        let mut hosts = Hosts::default();
        let mut sent = |from: i64, to: i64| {
            let mut sent = 0;
            for now in from..to {
                while hosts.may("a", now) {
                    hosts.begin("a", now);
                    hosts.end("a", false, now);
                    sent += 1;
                }
            }
            sent
        };
        assert_eq!(sent(0, 1), BURST);
        assert_eq!(sent(1, 10_001), 10 * A_SECOND);
    }

    #[test]
    fn hosts_that_are_idle_are_forgotten() {
        let mut hosts = Hosts::default();
        hosts.begin("a", 0);
        hosts.end("a", false, 0);
        hosts.begin("b", 0);
        hosts.end("b", true, 0);
        // A minute later the allowance of host a is full again.
        hosts.begin("c", 60_000);
        hosts.end("c", false, 60_000);
        let mut left: Vec<_> = hosts.hosts.keys().cloned().collect();
        left.sort();
        assert_eq!(left, ["b", "c"], "host a is like one that was never used");
        // The webhook of host b is gone, so no request succeeds there.
        for (now, is_left) in [(FAILING_MAX, true), (FAILING_MAX + 1, false)] {
            hosts.begin("c", now);
            hosts.end("c", false, now);
            assert_eq!(hosts.hosts.contains_key("b"), is_left, "{now}");
        }
    }
}
