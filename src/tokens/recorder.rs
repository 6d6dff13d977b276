//! The tokens that wait to be recorded: their requests hand them over here, in groups, and wait for the outcome.
//!
//! A group has a fixed cost, so it waits for those that are about to join it, and only for those: what a thread has to do
//! meanwhile, it does. When a group is complete its tokens are signed, while [`Tokens::record_in_groups`] writes it.
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

/// The tokens to record next.
#[derive(Debug, Default)]
struct Queue {
    is_open: bool,
    tokens: Vec<Pending>,
    /// How many tokens have joined it since the start, which is the number of the last one, and how many have left it.
    joined: u64,
    left: u64,
    /// Whether its tokens are to be recorded now.
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
    /// Wakes the task that records when the queue is announced or closed.
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
                // Cancelled if it is not received; then the others are answered from here.
                drop(request.send(Answer { outcome, others }));
            }
        }
    }

    /// How many tokens have no outcome yet.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether a task records groups, as in a process that serves.
    pub(super) fn is_running(&self) -> bool {
        self.queue().is_open
    }
}

/// The request of a token that has joined the queue.
pub(super) struct Member<'a> {
    recorder: &'a Recorder,
    number: u64,
    recorded: oneshot::Receiver<Answer>,
}

impl Member<'_> {
    /// Returns when the token may be signed: its group is complete, and announced, or it is still growing.
    ///
    /// The requests of a thread take turns. Each lets others that are ready go first. If none of them has joined with a token,
    /// the group is complete. If some have, the next turn is after this token has been signed: more may be ready by then.
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

/// Requests rely on those that join after them to find that the group is complete, so the last one announces it also when it
/// is cancelled.
impl Drop for Member<'_> {
    fn drop(&mut self) {
        let queue = self.recorder.queue();
        if queue.joined == self.number && queue.keeps_waiting(self.number) {
            self.recorder.announce(queue);
        }
    }
}

/// Keeps the queue open. When it is dropped, the tokens that are still there are not recorded, and their requests learn of it.
pub(super) struct Open<'a>(&'a Recorder);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.is_open = false;
        queue.tokens.clear();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn to_record() -> ToRecord {
        let token = RecordedToken {
            jti: String::new(),
            client_id: String::new(),
            workspace_id: "".into(),
            kid: "".into(),
            generation: 1,
            scope: "".into(),
            products: "".into(),
            issued_at: 0,
            expires_at: None,
            revoked_at: None,
            revoke_at: None,
            slot: None,
            last_introspected_at: None,
            issued_by: "".into(),
        };
        ToRecord {
            token,
            active_tokens: ActiveTokens::Many,
            guard: IssueGuard { proof: None, now: 0, replaces: false },
        }
    }

    fn join(recorder: &Recorder) -> Member<'_> {
        recorder.join(to_record()).unwrap()
    }

    /// How many tokens are recorded now; 0 if their group is not announced.
    fn taken(recorder: &Recorder) -> usize {
        recorder.next_group().now_or_never().flatten().map_or(0, |group| group.len())
    }

    #[tokio::test]
    async fn a_single_token_does_not_wait() {
        let recorder = Recorder::default();
        assert!(recorder.join(to_record()).is_err(), "it is not open");
        let _open = recorder.open();
        let member = join(&recorder);
        assert_eq!(taken(&recorder), 0, "others may be about to join");
        member.gather().await;
        assert_eq!((taken(&recorder), recorder.waiting()), (1, 1));
    }

    #[tokio::test]
    async fn tokens_that_join_meanwhile_make_the_group_grow() {
        let recorder = Recorder::default();
        let _open = recorder.open();
        let first = join(&recorder);
        let ((), second) = tokio::join!(first.gather(), async { join(&recorder) });
        assert_eq!(taken(&recorder), 0, "it may still grow while the first one is signed");
        let third = join(&recorder);
        // The second one finds that nothing more has joined, and so the third one has nothing to wait for.
        tokio::join!(second.gather(), third.gather());
        assert_eq!(taken(&recorder), 3);
    }

    #[tokio::test]
    async fn a_large_group_does_not_wait_for_more() {
        for size in [GROUP_ENOUGH - 1, GROUP_ENOUGH] {
            let recorder = Recorder::default();
            let _open = recorder.open();
            let members: Vec<_> = (1..size).map(|_| join(&recorder)).collect();
            let ((), _last) = tokio::join!(members[0].gather(), async { join(&recorder) });
            assert_eq!(taken(&recorder), if size == GROUP_ENOUGH { size } else { 0 });
        }
    }

    #[tokio::test]
    async fn a_cancelled_request_does_not_leave_others_waiting() {
        let recorder = Recorder::default();
        let _open = recorder.open();
        let first = join(&recorder);
        let ((), last) = tokio::join!(first.gather(), async { join(&recorder) });
        assert_eq!(taken(&recorder), 0, "the last one has not had its turn");
        drop(last);
        assert_eq!(taken(&recorder), 2);
    }

    #[tokio::test]
    async fn what_is_queued_when_it_closes_is_recorded_and_when_nobody_records_is_refused() {
        let recorder = Recorder::default();
        let open = recorder.open();
        let members = [(); GROUP_MAX + 1].map(|()| join(&recorder));
        recorder.close();
        assert!(!recorder.is_running() && recorder.join(to_record()).is_err());
        assert_eq!((taken(&recorder), taken(&recorder)), (GROUP_MAX, 1));
        assert!(matches!(recorder.next_group().now_or_never(), Some(None)), "no more can come");
        drop((open, members));
        let open = recorder.open();
        let member = join(&recorder);
        drop(open);
        assert!(matches!(member.outcome().await, Err(Error::SharedTransaction(_))));
    }

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
