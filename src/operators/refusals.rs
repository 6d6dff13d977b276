//! Audits refused sign-ins, but so few that an attacker cannot fill the audit trail: at most one entry for each account and
//! network in ten minutes, which says how many refusals it counts, and at most sixty entries a minute in all. Counts are in
//! memory, so each process has its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::{Operators, Source};
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::{Action, Actor};
use crate::model::operator::{Way, network};
use crate::model::reach::Reach;

/// For how long after an entry no other is written for the same account and network, in seconds.
const WINDOW: i64 = 600;
/// The most entries that are written in a minute.
const ENTRIES_A_MINUTE: u32 = 60;
/// How many pairs of account and network are remembered.
const KEYS_MAX: usize = 4096;

/// The actor of each entry, since it is not known who tried to sign in; also the target if there is no such account.
const UNKNOWN: &str = "unknown";

/// For each account and network, how many sign-ins were refused since the last entry.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_key: HashMap<(String, String), Since>,
    /// The minute of the last refusal, in monotonic time.
    minute: i64,
    /// How many entries were written in that minute.
    written: u32,
}

#[derive(Debug)]
struct Since {
    /// When the last entry was written, in monotonic seconds; if none was written yet, [`WINDOW`] before the first refusal.
    began: i64,
    /// Refusals that no entry counts yet.
    uncounted: u32,
}

impl Refusals {
    /// Counts a refusal at `now`, in monotonic seconds. If an entry is due, returns how many refusals it counts.
    fn count(&self, account: &str, network: &str, now: i64) -> Option<u32> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.minute != now.div_euclid(60) {
            (state.minute, state.written) = (now.div_euclid(60), 0);
        }
        let may_write = state.written < ENTRIES_A_MINUTE;
        if state.by_key.len() >= KEYS_MAX {
            state.by_key.retain(|_, since| now - since.began < WINDOW);
        }
        let is_full = state.by_key.len() >= KEYS_MAX;
        let key = (account.to_owned(), network.to_owned());
        let counted = match state.by_key.get_mut(&key) {
            Some(since) => {
                since.uncounted = since.uncounted.saturating_add(1);
                if now - since.began < WINDOW || !may_write {
                    return None;
                }
                since.began = now;
                std::mem::take(&mut since.uncounted)
            }
            None if is_full => return None,
            None if !may_write => {
                state.by_key.insert(key, Since { began: now - WINDOW, uncounted: 1 });
                return None;
            }
            None => {
                state.by_key.insert(key, Since { began: now, uncounted: 0 });
                1
            }
        };
        state.written += 1;
        Some(counted)
    }
}

impl Operators {
    /// Writes the audit event of a refused sign-in, if one is due. `operator_id` is the account it was for, if there is
    /// one; `reason` is for the audit trail only, never for the person who was refused.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn sign_in_refused(
        &self,
        operator_id: Option<&str>,
        way: Way,
        reason: &'static str,
        source: &Source,
    ) -> Result<(), Error> {
        let network = source.ip.map(network).unwrap_or_default();
        let account = operator_id.unwrap_or(UNKNOWN);
        // Monotonic, so that a clock that is set back does not keep entries away.
        let now = self.kernel.clock.monotonic_millis().div_euclid(1000);
        let Some(count) = self.refusals.count(account, &network, now) else {
            return Ok(());
        };
        let actor = Actor { name: UNKNOWN.to_owned(), ..source.actor(account) };
        let caller = Caller { reach: Reach::Platform, permissions: Vec::new(), actor, client_id: None };
        let detail = json!({"way": way.as_str(), "reason": reason, "network": network, "count": count});
        let mut tx = self.kernel.storage.begin().await?;
        self.ledger
            .audit(&mut tx, &caller, Action::SignInRefused, Subject::platform(account), detail)
            .await?;
        self.ledger.commit(tx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_and_network_get_one_entry_in_ten_minutes() {
        let refusals = Refusals::default();
        let counts: Vec<_> = [("a", 0), ("a", 1), ("b", 1), ("a", 599), ("a", 600), ("a", 601), ("b", 2_000)]
            .map(|(account, now)| refusals.count(account, "10.0.0.0/24", now))
            .to_vec();
        assert_eq!(counts, [Some(1), None, Some(1), None, Some(3), None, Some(1)]);
    }

    #[test]
    fn a_flood_writes_sixty_entries_a_minute_counts_the_rest_and_takes_bounded_memory() {
        let refusals = Refusals::default();
        let written = (0..1_000).filter(|number| refusals.count(&number.to_string(), "", 30).is_some());
        assert_eq!(written.count(), 60);
        // Account 61 was refused in the first minute too, but without an entry.
        assert_eq!(refusals.count("61", "", 61), Some(2));
        for number in 0..10_000 {
            refusals.count(&number.to_string(), "", 62);
        }
        assert!(refusals.0.lock().unwrap().by_key.len() <= KEYS_MAX);
    }
}
