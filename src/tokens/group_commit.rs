//! Group commit: tokens that are recorded at the same time share one durable transaction. For `issuance`.
//!
//! While one group is written to disk the next one queues, so the busier the service, the more tokens share a commit; a
//! single token does not wait. No token is returned before its group is durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::Tokens;
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::model::client::ActiveTokens;
use crate::model::token::RecordedToken;
use crate::storage::{IssueCheck, IssueGuard, Revoked, Tx};

/// The most tokens that share a commit, so that those behind them do not wait too long.
const GROUP_MAX: usize = 256;

/// A token that waits to be recorded, and where its outcome is sent.
struct Pending {
    token: RecordedToken,
    active_tokens: ActiveTokens,
    guard: IssueGuard,
    outcome: oneshot::Sender<Result<IssueCheck, Error>>,
}

impl Pending {
    fn replaces_none(&self) -> bool {
        self.active_tokens == ActiveTokens::Many && !self.guard.replaces
    }
}

/// The queue of tokens to record, while [`Tokens::record_in_groups`] runs.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    queue: Mutex<Option<mpsc::UnboundedSender<Pending>>>,
    waiting: AtomicU64,
    tokens: AtomicU64,
    commits: AtomicU64,
}

impl Recorder {
    /// Queues a token; `None` if no task records groups.
    fn queue(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Option<oneshot::Receiver<Result<IssueCheck, Error>>> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, receiver) = oneshot::channel();
        let pending = Pending { token: token.clone(), active_tokens, guard: guard.clone(), outcome };
        let queue = queue.as_ref()?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if queue.send(pending).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(receiver)
    }

    /// Whether a task records groups, as in a process that serves.
    pub(super) fn is_running(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Tokens {
    /// Records a token. The row is durable when this returns [`IssueCheck::Allowed`], and missing when it returns anything
    /// else. If the token replaces others (`guard.replaces`), these are revoked in the same transaction.
    ///
    /// # Errors
    /// [`Error::Storage`]; then nothing is recorded.
    pub async fn record_token(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Result<IssueCheck, Error> {
        match self.recorder.queue(token, active_tokens, guard) {
            Some(outcome) => outcome
                .await
                .map_err(|_| Error::SharedTransaction("the service is shutting down".to_owned()))?,
            // No groups: at the command line, and when the service is shutting down.
            None => self.record_alone(token, active_tokens, guard).await,
        }
    }

    /// Records queued tokens in groups for as long as it is polled. Run it once, in the background; without it each token
    /// is recorded in a transaction of its own.
    pub async fn record_in_groups(&self) {
        let (sender, mut queue) = mpsc::unbounded_channel();
        *self.recorder.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let mut group = Vec::with_capacity(GROUP_MAX);
        while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
            // Where cores are few, requests that can go on now go first, so that their tokens still join this group: a
            // group has a cost of its own, whatever its size.
            std::thread::yield_now();
            while group.len() < GROUP_MAX
                && let Ok(pending) = queue.try_recv()
            {
                group.push(pending);
            }
            // In the order in which clients are locked everywhere. The tokens of one client stay in the order of their requests.
            group.sort_by(|a, b| a.token.client_id.cmp(&b.token.client_id));
            let outcomes = self.record_group(&group).await;
            for (pending, outcome) in group.drain(..).zip(outcomes) {
                // The request may have been cancelled; the token is recorded all the same.
                let _ = pending.outcome.send(outcome);
                self.recorder.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Records a group in one transaction. A token that is not allowed does not keep the others from being recorded.
    /// Returns one outcome for each token, in order.
    async fn record_group(&self, group: &[Pending]) -> Vec<Result<IssueCheck, Error>> {
        match self.record_together(group).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            // A group locks the rows of many clients, so it can deadlock with work that locks some of them too. The
            // engine has rolled it back; a single token cannot deadlock.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                let mut outcomes = Vec::with_capacity(group.len());
                for Pending { token, active_tokens, guard, .. } in group {
                    let outcome = self.record_alone(token, *active_tokens, guard).await;
                    self.count_commit(usize::from(matches!(outcome, Ok(IssueCheck::Allowed))));
                    outcomes.push(outcome);
                }
                outcomes
            }
            Err(error) => group.iter().map(|_| Err(Error::SharedTransaction(error.to_string()))).collect(),
        }
    }

    async fn record_together(&self, group: &[Pending]) -> Result<Vec<IssueCheck>, Error> {
        let outcomes = if self.record_all(group).await? {
            vec![IssueCheck::Allowed; group.len()]
        } else {
            self.record_each(group).await?
        };
        self.count_commit(outcomes.iter().filter(|check| **check == IssueCheck::Allowed).count());
        Ok(outcomes)
    }

    fn count_commit(&self, recorded: usize) {
        if recorded > 0 {
            self.recorder.tokens.fetch_add(u64::try_from(recorded).unwrap_or_default(), Ordering::Relaxed);
            self.recorder.commits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records all of them with as few statements as possible, or none. Returns whether they were recorded.
    async fn record_all(&self, group: &[Pending]) -> Result<bool, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let mut replaced = Vec::new();
        for run in group.chunk_by(|a, b| a.replaces_none() && b.replaces_none()) {
            let are_good = match run {
                [one] => self.record_pending(&mut tx, one, &mut replaced).await? == IssueCheck::Allowed,
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

    /// Records those that are allowed, one by one, which also says why the others are not.
    async fn record_each(&self, group: &[Pending]) -> Result<Vec<IssueCheck>, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let (mut outcomes, mut replaced) = (Vec::with_capacity(group.len()), Vec::new());
        for pending in group {
            outcomes.push(self.record_pending(&mut tx, pending, &mut replaced).await?);
        }
        mark_revoked(&mut tx, &replaced).await?;
        self.ledger.commit(tx).await?;
        Ok(outcomes)
    }

    async fn record_pending(
        &self,
        tx: &mut Tx,
        pending: &Pending,
        replaced: &mut Vec<Revoked>,
    ) -> Result<IssueCheck, Error> {
        let Pending { token, active_tokens, guard, .. } = pending;
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
