//! Tokens that wait to be recorded. Each request hands over its token here and waits for the outcome.
//!
//! Writing a group has a fixed cost. So a group waits for requests that are ready to join it, and for nothing else. Tokens are
//! signed while their group grows, or while [`Tokens::record_in_groups`] writes it.
//!
//! [`Tokens::record_in_groups`]: super::Tokens::record_in_groups

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

use crate::kernel::Error;
use crate::model::client::ActiveTokens;
use crate::model::token::RecordedToken;
use crate::storage::{IssueCheck, IssueGuard};

/// The most tokens that share a commit, so that those behind them do not wait too long.
pub(super) const GROUP_MAX: usize = 256;

/// How many tokens make a group complete, even if more are about to join it: the fixed cost of a group is then a small part of
/// what its tokens cost.
const GROUP_ENOUGH: usize = 128;

thread_local! {
    /// Held by the request of this thread whose turn it is to find out whether its group is complete.
    static TURN: Arc<tokio::sync::Mutex<()>> = Arc::default();
}

/// A token to record.
#[derive(Debug)]
pub(super) struct ToRecord {
    pub(super) token: RecordedToken,
    pub(super) active_tokens: ActiveTokens,
    pub(super) guard: IssueGuard,
}

/// A token that waits to be recorded, and where its outcome is sent.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) what: ToRecord,
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

/// Outcomes of other tokens whose requests the same thread serves. To wake a thread is a system call, so only one request of
/// the thread is woken. It gets these outcomes, and passes them on within the thread by dropping this. If that request was
/// cancelled, this is dropped too.
#[derive(Debug, Default)]
struct Others(Vec<(oneshot::Sender<Answer>, Result<IssueCheck, Error>)>);

impl Drop for Others {
    fn drop(&mut self) {
        for (request, outcome) in self.0.drain(..) {
            // The request may have been cancelled; its token is recorded nevertheless.
            drop(request.send(Answer { outcome, others: Self::default() }));
        }
    }
}

/// The tokens to record next.
#[derive(Debug, Default)]
struct Queue {
    is_open: bool,
    tokens: Vec<Pending>,
    /// How many tokens have joined since the start; also the number of the last one.
    joined: u64,
    /// How many tokens have left the queue: for a group, or because nothing records them any more.
    left: u64,
    /// Whether the tokens in the queue are to be recorded now.
    is_announced: bool,
}

impl Queue {
    /// Whether the token with this number waits to be announced.
    fn keeps_waiting(&self, number: u64) -> bool {
        self.left < number && !self.is_announced
    }
}

/// Hands tokens from their requests to the task that records them.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    queue: Mutex<Queue>,
    /// Wakes the recording task when the queue is announced or closed.
    wake: Notify,
    waiting: AtomicU64,
}

impl Recorder {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the queue, until what is returned is dropped.
    pub(super) fn open(&self) -> Open<'_> {
        self.queue().is_open = true;
        Open(self)
    }

    /// Closes the queue for more tokens.
    pub(super) fn close(&self) {
        self.queue().is_open = false;
        self.wake.notify_one();
    }

    /// Queues a token; returns it if the queue is not open.
    pub(super) fn join(&self, what: ToRecord) -> Result<Member<'_>, Box<ToRecord>> {
        let mut queue = self.queue();
        if !queue.is_open {
            return Err(Box::new(what));
        }
        let (outcome, recorded) = oneshot::channel();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        queue.tokens.push(Pending { what, outcome, thread: thread::current().id() });
        queue.joined += 1;
        Ok(Member { recorder: self, number: queue.joined, recorded })
    }

    fn announce(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.is_announced = true;
        drop(queue);
        self.wake.notify_one();
    }

    /// The next group, as soon as there is one; `None` if no more can come.
    pub(super) async fn next_group(&self) -> Option<Vec<Pending>> {
        loop {
            {
                let mut queue = self.queue();
                if queue.is_announced || !queue.is_open {
                    let size = queue.tokens.len().min(GROUP_MAX);
                    // The queue keeps its memory, so that requests do not make it grow again.
                    let group: Vec<Pending> = queue.tokens.drain(..size).collect();
                    queue.left += u64::try_from(size).unwrap_or_default();
                    queue.is_announced = !queue.tokens.is_empty();
                    if !group.is_empty() {
                        return Some(group);
                    }
                    if !queue.is_open {
                        return None;
                    }
                }
            }
            self.wake.notified().await;
        }
    }

    /// Reports the outcomes of tokens to their requests.
    pub(super) fn answer(&self, tokens: Vec<(Pending, Result<IssueCheck, Error>)>) {
        let count = u64::try_from(tokens.len()).unwrap_or_default();
        let mut by_thread: HashMap<ThreadId, Others> = HashMap::new();
        for (Pending { outcome: request, thread, .. }, outcome) in tokens {
            by_thread.entry(thread).or_default().0.push((request, outcome));
        }
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        for (_, mut others) in by_thread {
            if let Some((request, outcome)) = others.0.pop() {
                // If this request was cancelled, dropping the unsent answer answers the others.
                drop(request.send(Answer { outcome, others }));
            }
        }
    }

    /// How many tokens have no outcome yet.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether tokens can be queued, as in a process that serves.
    pub(super) fn is_running(&self) -> bool {
        self.queue().is_open
    }
}

/// A request's place in the queue.
pub(super) struct Member<'a> {
    recorder: &'a Recorder,
    number: u64,
    recorded: oneshot::Receiver<Answer>,
}

impl Member<'_> {
    /// Waits until the token may be signed: its group is announced, or others have just joined and there is time to sign before
    /// the group is complete.
    ///
    /// The requests of a thread take turns. Each lets others that are ready go first. If no token has joined by then, the group
    /// is complete. If some have, the next request takes its turn after this token has been signed: more may be ready by then.
    pub(super) async fn gather(&self) {
        let _turn = TURN.with(Arc::clone).lock_owned().await;
        let joined = {
            let queue = self.recorder.queue();
            if !queue.keeps_waiting(self.number) {
                return;
            }
            queue.joined
        };
        yield_now().await;
        let queue = self.recorder.queue();
        let is_complete = queue.joined == joined || queue.tokens.len() >= GROUP_ENOUGH;
        if is_complete && queue.keeps_waiting(self.number) {
            self.recorder.announce(queue);
            // On a single core, the group is then on its way to the disk before tokens are signed.
            thread::yield_now();
        }
    }

    /// What became of the token.
    pub(super) async fn outcome(mut self) -> Result<IssueCheck, Error> {
        match (&mut self.recorded).await {
            Ok(Answer { outcome, others }) => {
                drop(others);
                outcome
            }
            Err(_) => Err(Error::SharedTransaction("the service is shutting down".to_owned())),
        }
    }
}

/// A request leaves it to those that joined later to announce the group. So if the last one is cancelled, it announces the
/// group before it goes.
impl Drop for Member<'_> {
    fn drop(&mut self) {
        let queue = self.recorder.queue();
        if queue.joined == self.number && queue.keeps_waiting(self.number) {
            self.recorder.announce(queue);
        }
    }
}

/// Keeps the queue open. When this is dropped, the requests whose tokens have no outcome yet get an error. Tokens that are
/// still in the queue are not recorded.
pub(super) struct Open<'a>(&'a Recorder);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.is_open = false;
        queue.tokens.clear();
        queue.left = queue.joined;
        queue.is_announced = false;
        // Also those of a group that was being recorded.
        self.0.waiting.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
