//! Forms that are sent twice at the same time take turns: the second waits for the first and finds what it created.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

/// How long the second form waits.
const WAIT: Duration = Duration::from_secs(10);

/// The forms whose work is running in this process, by their nonce.
#[derive(Debug)]
pub(super) struct Turns {
    running: Mutex<HashMap<String, Arc<AsyncMutex<()>>>>,
    wait: Duration,
}

impl Default for Turns {
    fn default() -> Self {
        Self { running: Mutex::default(), wait: WAIT }
    }
}

/// The right to work on a form; when it is dropped, the next request that waits gets it.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    nonce: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn of a form. `None` if the turn before it takes too long.
    pub(super) async fn take(self: &Arc<Self>, nonce: &str) -> Option<Turn> {
        let lock = {
            let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(nonce.to_owned()).or_default())
        };
        // The turn is made before the wait, so that its `drop` tidies up even if the request is cancelled meanwhile.
        let mut turn = Turn { turns: Arc::clone(self), nonce: nonce.to_owned(), guard: None };
        turn.guard = Some(timeout(self.wait, lock.lock_owned()).await.ok()?);
        Some(turn)
    }

    /// Whether the work of a form is running.
    pub(super) fn is_running(&self, nonce: &str) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(nonce)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut all = self.turns.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map holds the lock: nobody waits for it.
        if all.get(&self.nonce).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            all.remove(&self.nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let turns = Arc::new(Turns::default());
        let first = turns.take("a").await.unwrap();
        assert!(turns.is_running("a") && !turns.is_running("b"));
        let mut second = Box::pin(turns.take("a"));
        assert!((&mut second).now_or_never().is_none());
        drop(turns.take("b").await.unwrap());
        drop(first);
        drop(second.await.unwrap());
        assert!(turns.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_second_gets_no_turn_if_the_first_hangs() {
        let turns = Arc::new(Turns { wait: Duration::ZERO, ..Turns::default() });
        let first = turns.take("a").await.unwrap();
        assert!(turns.take("a").await.is_none());
        assert!(turns.is_running("a"), "the first is still running");
        drop(first);
        assert!(turns.running.lock().unwrap().is_empty());
        drop(turns.take("a").await.unwrap());
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaves_nothing_behind() {
        let turns = Arc::new(Turns::default());
        let first = turns.take("a").await.unwrap();
        {
            let mut second = Box::pin(turns.take("a"));
            assert!((&mut second).now_or_never().is_none());
        }
        drop(first);
        assert!(turns.running.lock().unwrap().is_empty());
    }
}
