//! Gathers tokens that are to be recorded at the same time into one durable commit.
//!
//! While one group is on its way to the disk the next one gathers, so the busier the service, the more tokens share a
//! commit; a token that comes alone waits for nobody. Nobody is told of a token before its group is durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::Tokens;
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::model::client::ActiveTokens;
use crate::model::token::RecordedToken;
use crate::storage::{IssueGuard, Revoked, Standing, Tx};

/// The most tokens that share a commit, so that those behind them do not wait too long.
const GROUP_MAX: usize = 256;

/// A token on its way into the records, and where to tell what became of it.
struct Waiting {
    token: RecordedToken,
    active_tokens: ActiveTokens,
    guard: IssueGuard,
    told: oneshot::Sender<Result<Standing, Error>>,
}

impl Waiting {
    fn replaces_none(&self) -> bool {
        self.active_tokens == ActiveTokens::Many && !self.guard.replaces
    }
}

/// Where tokens queue, once somebody gathers them.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    queue: Mutex<Option<mpsc::UnboundedSender<Waiting>>>,
    waiting: AtomicU64,
    tokens: AtomicU64,
    commits: AtomicU64,
}

impl Recorder {
    /// Queues a token; `None` if nobody gathers.
    pub(super) fn queue(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Option<oneshot::Receiver<Result<Standing, Error>>> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, outcome) = oneshot::channel();
        let waiting = Waiting { token: token.clone(), active_tokens, guard: guard.clone(), told };
        let queue = queue.as_ref()?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if queue.send(waiting).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(outcome)
    }

    /// Whether somebody gathers tokens, as in a process that serves.
    pub(super) fn is_gathering(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What became of a queued token.
    pub(super) async fn outcome_of(
        &self,
        outcome: oneshot::Receiver<Result<Standing, Error>>,
    ) -> Result<Standing, Error> {
        let closing = |_| Error::SharedTransaction("the service is closing".to_owned());
        outcome.await.map_err(closing)?
    }
}

impl Tokens {
    /// Records queued tokens for as long as it is polled. Run it once, in the background; without it each token is a
    /// commit of its own.
    pub async fn record_in_groups(&self) {
        let (sender, mut queue) = mpsc::unbounded_channel();
        *self.recorder.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let mut group = Vec::with_capacity(GROUP_MAX);
        while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
            // In the order in which clients are locked everywhere. Of one client, the order of asking stays.
            group.sort_by(|a, b| a.token.client_id.cmp(&b.token.client_id));
            let outcomes = self.record_group(&group).await;
            for (waiting, outcome) in group.drain(..).zip(outcomes) {
                // Whoever asked may be gone; the token is on record all the same.
                let _ = waiting.told.send(outcome);
                self.recorder.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// One transaction for the whole group. A token that may not be born does not keep the others from it. Returns as
    /// many outcomes as there are tokens.
    async fn record_group(&self, group: &[Waiting]) -> Vec<Result<Standing, Error>> {
        match self.record_together(group).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            // A group holds the rows of many clients, and so may stand in the way of work that holds some of them too.
            // The engine has undone it; a token by itself stands in nobody's way.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                let mut outcomes = Vec::with_capacity(group.len());
                for Waiting { token, active_tokens, guard, .. } in group {
                    let outcome = self.record_alone(token, *active_tokens, guard).await;
                    self.count_commit(usize::from(matches!(outcome, Ok(Standing::Good))));
                    outcomes.push(outcome);
                }
                outcomes
            }
            Err(error) => group.iter().map(|_| Err(Error::SharedTransaction(error.to_string()))).collect(),
        }
    }

    async fn record_together(&self, group: &[Waiting]) -> Result<Vec<Standing>, Error> {
        let outcomes = if self.record_all(group).await? {
            vec![Standing::Good; group.len()]
        } else {
            self.record_each(group).await?
        };
        self.count_commit(outcomes.iter().filter(|standing| **standing == Standing::Good).count());
        Ok(outcomes)
    }

    fn count_commit(&self, born: usize) {
        if born > 0 {
            self.recorder.tokens.fetch_add(u64::try_from(born).unwrap_or_default(), Ordering::Relaxed);
            self.recorder.commits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records all of them with as few statements as can be, or none. Returns whether they were recorded.
    async fn record_all(&self, group: &[Waiting]) -> Result<bool, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let mut replaced = Vec::new();
        for run in group.chunk_by(|a, b| a.replaces_none() && b.replaces_none()) {
            let are_good = match run {
                [one] => self.record_waiting(&mut tx, one, &mut replaced).await? == Standing::Good,
                many => {
                    let many: Vec<_> = many.iter().map(|waiting| (&waiting.token, &waiting.guard)).collect();
                    tx.record_tokens(&many).await?
                }
            };
            if !are_good {
                tx.rollback().await?;
                return Ok(false);
            }
        }
        mark_revoked(&mut tx, &replaced).await?;
        self.ledger.commit(tx).await?;
        Ok(true)
    }

    /// Records those that may be born, one by one, which also says what stands in the way of the others.
    async fn record_each(&self, group: &[Waiting]) -> Result<Vec<Standing>, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let (mut outcomes, mut replaced) = (Vec::with_capacity(group.len()), Vec::new());
        for waiting in group {
            outcomes.push(self.record_waiting(&mut tx, waiting, &mut replaced).await?);
        }
        mark_revoked(&mut tx, &replaced).await?;
        self.ledger.commit(tx).await?;
        Ok(outcomes)
    }

    async fn record_waiting(
        &self,
        tx: &mut Tx,
        waiting: &Waiting,
        replaced: &mut Vec<Revoked>,
    ) -> Result<Standing, Error> {
        let Waiting { token, active_tokens, guard, .. } = waiting;
        self.record_in(tx, token, *active_tokens, guard, replaced).await
    }

    /// How many tokens wait for their group to be durable.
    pub fn tokens_being_recorded(&self) -> u64 {
        self.recorder.waiting.load(Ordering::Relaxed)
    }

    /// How many tokens were recorded in groups since the start, and in how many commits.
    pub fn recorded_tokens_and_commits(&self) -> (u64, u64) {
        let recorder = &self.recorder;
        (recorder.tokens.load(Ordering::Relaxed), recorder.commits.load(Ordering::Relaxed))
    }
}
