//! Counts events by a key, so that a flood of them writes at most one log line a second for each key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::clock::UnixSeconds;

/// How many keys are remembered. Events of further keys in the same second are not logged.
const KEYS: usize = 4096;

/// The events of each key since its last line.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<HashMap<u64, Since>>);

#[derive(Debug)]
struct Since {
    /// The second of the last line.
    line: UnixSeconds,
    /// Events since then.
    events: u32,
}

impl Tally {
    /// Counts an event at `now`. `Some(n)` if a line is due, for the `n` events since the last line. The count of a key that
    /// was dropped to make room for others is lost.
    pub(super) fn count(&self, key: u64, now: UnixSeconds) -> Option<u32> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = keys.get_mut(&key) {
            since.events = since.events.saturating_add(1);
            if since.line == now {
                return None;
            }
            since.line = now;
            return Some(std::mem::take(&mut since.events));
        }
        if keys.len() >= KEYS {
            keys.retain(|_, since| since.line == now);
        }
        if keys.len() >= KEYS {
            return None;
        }
        keys.insert(key, Since { line: now, events: 0 });
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_counts_the_events_since_the_last_line() {
        let tally = Tally::default();
        let counts: Vec<_> = [(1, 10), (1, 10), (2, 10), (1, 10), (1, 11), (1, 11), (2, 15), (1, 15)]
            .map(|(key, now)| tally.count(key, now))
            .to_vec();
        assert_eq!(counts, [Some(1), None, Some(1), None, Some(3), None, Some(1), Some(2)]);
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let tally = Tally::default();
        for key in 0..10_000 {
            assert_eq!(tally.count(key, 10).is_some(), key < 4096, "{key}");
        }
        assert_eq!(tally.count(10_000, 11), Some(1));
        assert!(tally.0.lock().unwrap().len() <= KEYS);
    }
}
