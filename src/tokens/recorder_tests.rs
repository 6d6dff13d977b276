//! Tests of the queue of tokens to record.

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
    assert_eq!(taken(&recorder), 0, "the second one has joined meanwhile, so the group waits for it");
    let third = join(&recorder);
    // Nobody joins while these two wait, so the group is complete.
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
async fn queued_tokens_are_recorded_after_close_and_refused_if_nobody_records() {
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
    let others = [(); 2].map(|()| join(&recorder));
    drop(open);
    assert_eq!(recorder.waiting(), 0, "none of them waits any more");
    assert!(matches!(member.outcome().await, Err(Error::SharedTransaction(_))));
    drop(others);
    let _open = recorder.open();
    assert_eq!(taken(&recorder), 0, "nothing is announced");
    let member = join(&recorder);
    member.gather().await;
    assert_eq!((taken(&recorder), recorder.waiting()), (1, 1));
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
