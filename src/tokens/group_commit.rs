//! Group commit: tokens that are recorded at the same time share one durable transaction. For `issuance`.
//!
//! While one group is written to disk the next one queues, so the busier the service, the more tokens share a commit; a
//! single token does not wait. No token is returned before its group is durable. A group does not wait for locked rows: tokens
//! that it could not record are recorded separately ([`super::by_client`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use tokio::sync::{mpsc, oneshot};

use super::Tokens;
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::model::client::ActiveTokens;
use crate::model::token::RecordedToken;
use crate::storage::{IssueCheck, IssueGuard, Revoked, Tx};

/// The most tokens that share a commit, so that those behind them do not wait too long.
pub(super) const GROUP_MAX: usize = 256;

/// How often others that can run now are let go first before a group is recorded, at most.
const GATHERINGS: u32 = 8;

/// After how many of these in a row that added nothing the group is complete.
const ADDED_NOTHING: u32 = 2;

/// A token that waits to be recorded, and where its outcome is sent.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) token: RecordedToken,
    pub(super) active_tokens: ActiveTokens,
    pub(super) guard: IssueGuard,
    outcome: oneshot::Sender<Answer>,
    /// The thread that serves the request.
    thread: ThreadId,
}

/// What became of a token, for its request.
#[derive(Debug)]
struct Answer {
    outcome: Result<IssueCheck, Error>,
    others: Others,
}

/// What became of other tokens whose requests are served by the same thread. To wake a thread is a system call, so only
/// one of its requests is woken for all of them, and wakes the others where it costs little: when this is dropped, which
/// also happens if that request was cancelled.
#[derive(Debug, Default)]
struct Others(Vec<(oneshot::Sender<Answer>, Result<IssueCheck, Error>)>);

impl Drop for Others {
    fn drop(&mut self) {
        for (request, outcome) in self.0.drain(..) {
            // It may have been cancelled; its token is recorded all the same.
            drop(request.send(Answer { outcome, others: Self::default() }));
        }
    }
}

/// The queue of tokens to record, while [`Tokens::record_in_groups`] runs.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    queue: Mutex<Option<mpsc::UnboundedSender<Pending>>>,
    waiting: AtomicU64,
    tokens: AtomicU64,
    commits: AtomicU64,
    /// Groups whose tokens were recorded client by client after a deadlock.
    repeated: AtomicU64,
}

impl Recorder {
    /// Queues a token; returns it if no task records groups.
    fn queue(&self, pending: Pending) -> Result<(), Box<Pending>> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(Box::new(pending)) };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        queue.send(pending).map_err(|refused| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            Box::new(refused.0)
        })
    }

    /// Whether a task records groups, as in a process that serves.
    pub(super) fn is_running(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

fn with_guards<'a>(some: &[&'a Pending]) -> Vec<(&'a RecordedToken, &'a IssueGuard)> {
    some.iter().map(|pending| (&pending.token, &pending.guard)).collect()
}

fn count(outcomes: &[bool]) -> usize {
    outcomes.iter().filter(|is_recorded| **is_recorded).count()
}

impl Tokens {
    /// Records a token. The row is durable when this returns [`IssueCheck::Allowed`], and missing when it returns anything
    /// else. If the token replaces others (`guard.replaces`), these are revoked in the same transaction.
    ///
    /// # Errors
    /// [`Error::Storage`]; then nothing is recorded.
    pub async fn record_token(
        &self,
        token: RecordedToken,
        active_tokens: ActiveTokens,
        guard: IssueGuard,
    ) -> Result<IssueCheck, Error> {
        let (outcome, recorded) = oneshot::channel();
        let thread = thread::current().id();
        match self.recorder.queue(Pending { token, active_tokens, guard, outcome, thread }) {
            Ok(()) => {
                let answer = recorded.await;
                let stopping = |_| Error::SharedTransaction("the service is shutting down".to_owned());
                let Answer { outcome, others } = answer.map_err(stopping)?;
                drop(others);
                outcome
            }
            // No groups: at the command line, and when the service is shutting down. Boxed, so that the usual future is
            // small.
            Err(alone) => Box::pin(self.record_alone(&alone.token, alone.active_tokens, &alone.guard)).await,
        }
    }

    /// Records queued tokens in groups for as long as it is polled. Run it once, in the background; without it each token
    /// is recorded in a transaction of its own.
    pub async fn record_in_groups(&self) {
        let (sender, mut queue) = mpsc::unbounded_channel();
        *self.recorder.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let (aside, set_aside) = mpsc::unbounded_channel();
        let groups = async {
            let aside = aside;
            let mut group = Vec::with_capacity(GROUP_MAX);
            while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
                // With few cores, let other requests run first, so that their tokens still join this group: each group
                // has a fixed cost.
                let mut added_nothing = 0;
                for _ in 0..GATHERINGS {
                    std::thread::yield_now();
                    let before = group.len();
                    while group.len() < GROUP_MAX
                        && let Ok(pending) = queue.try_recv()
                    {
                        group.push(pending);
                    }
                    added_nothing = if group.len() == before { added_nothing + 1 } else { 0 };
                    if added_nothing == ADDED_NOTHING {
                        break;
                    }
                }
                // The tokens of one client stay in the order of their requests.
                group.sort_by(|a, b| a.token.client_id.cmp(&b.token.client_id));
                let outcomes = self.record_group(&group).await;
                let mut done = Vec::with_capacity(group.len());
                for (pending, outcome) in group.drain(..).zip(outcomes) {
                    match outcome {
                        Some(outcome) => done.push((pending, outcome)),
                        // Received until this sender is dropped.
                        None => drop(aside.send(pending)),
                    }
                }
                self.answer(done);
            }
        };
        tokio::join!(groups, self.record_by_client(set_aside));
    }

    /// Lets [`Tokens::record_in_groups`] end when it has recorded what it has.
    pub fn stop_recording_in_groups(&self) {
        *self.recorder.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records a group in one transaction. Returns one outcome for each token, in order; `None` for those that have to be
    /// recorded apart, since they may not be issued, or another transaction holds a row of theirs.
    async fn record_group(&self, group: &[Pending]) -> Vec<Option<Result<IssueCheck, Error>>> {
        match self.record_together(group).await {
            Ok(recorded) => {
                recorded.into_iter().map(|recorded| recorded.then_some(Ok(IssueCheck::Allowed))).collect()
            }
            // The engine has rolled the group back; the tokens of a single client cannot deadlock with it.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                self.recorder.repeated.fetch_add(1, Ordering::Relaxed);
                group.iter().map(|_| None).collect()
            }
            Err(error) => {
                group.iter().map(|_| Some(Err(Error::SharedTransaction(error.to_string())))).collect()
            }
        }
    }

    /// Records those that may be issued and whose rows no other transaction holds, with few statements. Returns for each
    /// whether it was recorded.
    async fn record_together(&self, group: &[Pending]) -> Result<Vec<bool>, Error> {
        let (free, mut bounded): (Vec<&Pending>, Vec<&Pending>) =
            group.iter().partition(|pending| !pending.guard.replaces);
        if bounded.is_empty() {
            let recorded = self.kernel.storage.record_tokens(&with_guards(&free)).await?;
            self.count_commit(count(&recorded));
            return Ok(recorded);
        }
        let mut tx = self.kernel.storage.begin().await?;
        let recorded = tx.record_tokens(&with_guards(&free), false).await?;
        let alone = tx.record_tokens(&with_guards(&bounded), true).await?;
        if count(&recorded) + count(&alone) == 0 {
            tx.rollback().await?;
            return Ok(vec![false; group.len()]);
        }
        let mut of_bounded = alone.iter();
        bounded.retain(|_| of_bounded.next() == Some(&true));
        let ended = self.end_older_tokens(&mut tx, &bounded).await?;
        mark_revoked(&mut tx, &ended).await?;
        self.ledger.commit(tx).await?;
        self.count_commit(count(&recorded) + count(&alone));
        let (mut recorded, mut alone) = (recorded.into_iter(), alone.into_iter());
        let in_order = group.iter().map(|pending| {
            let outcomes = if pending.guard.replaces { &mut alone } else { &mut recorded };
            outcomes.next().unwrap_or_default()
        });
        Ok(in_order.collect())
    }

    /// Ends the tokens that those just recorded replace or leave no room for. Of several tokens of one client the last
    /// one decides.
    async fn end_older_tokens(&self, tx: &mut Tx, recorded: &[&Pending]) -> Result<Vec<Revoked>, Error> {
        let last: BTreeMap<&str, &Pending> =
            recorded.iter().map(|pending| (pending.token.client_id.as_str(), *pending)).collect();
        let (mut ended, mut bounds) = (Vec::new(), Vec::new());
        for (client_id, Pending { token, active_tokens, guard, .. }) in &last {
            match *active_tokens {
                ActiveTokens::Many => {}
                ActiveTokens::Replace { grace_seconds } => {
                    let at = guard.now.saturating_add(grace_seconds);
                    ended.extend(tx.replace_tokens(client_id, &token.jti, at, guard.now).await?);
                }
                ActiveTokens::AtMost(max) => bounds.push((*client_id, max)),
            }
        }
        if let Some(now) = last.values().map(|pending| pending.guard.now).max() {
            ended.extend(tx.revoke_beyond(&bounds, now).await?);
        }
        Ok(ended)
    }

    /// Reports the outcomes of tokens.
    pub(super) fn answer(&self, tokens: Vec<(Pending, Result<IssueCheck, Error>)>) {
        let count = u64::try_from(tokens.len()).unwrap_or_default();
        let mut by_thread: HashMap<ThreadId, Others> = HashMap::new();
        for (Pending { outcome: request, thread, .. }, outcome) in tokens {
            by_thread.entry(thread).or_default().0.push((request, outcome));
        }
        self.recorder.waiting.fetch_sub(count, Ordering::Relaxed);
        for (_, mut others) in by_thread {
            if let Some((request, outcome)) = others.0.pop() {
                // Cancelled if it is not received; then the others are answered from here.
                drop(request.send(Answer { outcome, others }));
            }
        }
    }

    pub(super) fn count_commit(&self, recorded: usize) {
        if recorded > 0 {
            self.recorder.tokens.fetch_add(u64::try_from(recorded).unwrap_or_default(), Ordering::Relaxed);
            self.recorder.commits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many tokens wait for their group to be durable.
    pub fn tokens_being_recorded(&self) -> u64 {
        self.recorder.waiting.load(Ordering::Relaxed)
    }

    /// How many groups were recorded client by client, after a deadlock.
    pub fn repeated_groups(&self) -> u64 {
        self.recorder.repeated.load(Ordering::Relaxed)
    }

    /// How many tokens were recorded in groups since the start, and in how many commits.
    pub fn recorded_tokens_and_commits(&self) -> (u64, u64) {
        let recorder = &self.recorder;
        (recorder.tokens.load(Ordering::Relaxed), recorder.commits.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to the request that is woken for the others.
    enum First {
        Receives,
        IsCancelledBefore,
        IsCancelledAfter,
    }

    #[test]
    fn a_cancelled_request_does_not_keep_the_outcomes_of_others() {
        for what in [First::Receives, First::IsCancelledBefore, First::IsCancelledAfter] {
            let (first, mut received) = oneshot::channel();
            let (requests, outcomes): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
            let others = Others(requests.into_iter().map(|to| (to, Ok(IssueCheck::Allowed))).collect());
            let answer = Answer { outcome: Ok(IssueCheck::Allowed), others };
            match what {
                First::Receives => {
                    first.send(answer).unwrap();
                    drop(received.try_recv().unwrap().others);
                }
                First::IsCancelledBefore => {
                    drop(received);
                    drop(first.send(answer));
                }
                First::IsCancelledAfter => {
                    first.send(answer).unwrap();
                    drop(received);
                }
            }
            for mut outcome in outcomes {
                assert!(matches!(outcome.try_recv().unwrap().outcome, Ok(IssueCheck::Allowed)));
            }
        }
    }
}
