//! How long an attempt may take, and when a delivery is tried again: ten attempts over a little more than three days.

use std::time::Duration;

/// How long one attempt may take in all.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// How long no other process may claim a delivery: longer than an attempt plus twice the clock difference that is allowed.
pub const LEASE_SECONDS: i64 = 120;

/// The seconds from one attempt to the next: the first at once, then after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h.
const DELAYS: [i64; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The longest `Retry-After` that is followed, in seconds.
const RETRY_AFTER_MAX: i64 = 86_400;

/// The seconds from the failure of attempt number `attempt` to the next attempt; `None` if it was the last. `chance` is a
/// random number. It lengthens the delay by up to a fifth, so that deliveries that failed together are not all tried again
/// together. The other side may ask for a longer delay by `retry_after`, which `chance` lengthens by up to a minute.
pub fn delay(attempt: i64, retry_after: Option<i64>, chance: u32) -> Option<i64> {
    let regular = *DELAYS.get(usize::try_from(attempt).ok()?)?;
    let spread = regular / 5 * i64::from(chance % 1_001) / 1_000;
    let asked = retry_after.unwrap_or(0).clamp(0, RETRY_AFTER_MAX);
    Some((regular + spread).max(asked + asked.min(60) * i64::from(chance % 1_001) / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_attempt_is_the_last() {
        let without_chance: Vec<_> = (1..=10).map(|attempt| delay(attempt, None, 0)).collect();
        assert_eq!(without_chance[..9], DELAYS[1..].iter().map(|seconds| Some(*seconds)).collect::<Vec<_>>());
        assert_eq!(without_chance[9], None);
        assert_eq!(delay(0, None, u32::MAX), Some(0));
        assert_eq!((delay(-1, None, 0), delay(i64::MAX, None, 0)), (None, None));
    }

    #[test]
    fn chance_lengthens_a_delay_by_a_fifth_at_most() {
        for (attempt, regular) in (0..).zip(DELAYS) {
            for chance in [0, 1, 500, 999, 1_000, 1_001, u32::MAX] {
                let seconds = delay(attempt, None, chance).unwrap();
                assert!(
                    (regular..=regular + regular / 5).contains(&seconds),
                    "{attempt} {chance}: {seconds}"
                );
            }
        }
        assert_eq!(delay(2, None, 1_000), Some(360));
    }

    #[test]
    fn the_other_side_may_ask_for_a_longer_delay_up_to_a_day_and_not_for_a_shorter_one() {
        assert_eq!(delay(1, Some(0), 0), Some(5));
        assert_eq!(delay(1, Some(-9), 0), Some(5));
        assert_eq!(delay(1, Some(120), 0), Some(120));
        assert_eq!(delay(1, Some(120), 1_000), Some(180));
        assert_eq!(delay(2, Some(120), 0), Some(300));
        assert_eq!(delay(1, Some(i64::MAX), 0), Some(86_400));
        assert_eq!(delay(10, Some(1), 0), None);
    }
}
