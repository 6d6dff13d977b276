//! While a list cannot be fetched: its tokens are refused by default, or accepted for a configured time, and the number
//! of requests is limited either way.

use super::shared::{publish_lists, token_of_list, uri};
use super::{set_slot, set_up, token};
use crate::support::{FakeIssuer, NOW, TestClock, all, builder, list_claims, poll_some, slots, with};
use mintmark_verifier::{Answer, Fetched, Unavailable, Verifier, VerifyError};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A verifier that uses the last list for `seconds` past its `ttl`.
fn open_for(seconds: u32) -> (FakeIssuer, TestClock, Arc<Verifier>) {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    issuer.publish_long_lived();
    let builder = builder(&issuer, &clock).max_stale_seconds(1_000_000).status_fail_open_seconds(seconds);
    let verifier = Arc::new(builder.build().unwrap());
    (issuer, clock, verifier)
}

fn unreachable() -> VerifyError {
    VerifyError::StatusUnavailable(Unavailable::Unreachable("connection refused".to_owned()))
}

#[tokio::test]
async fn by_default_nothing_is_accepted_beyond_the_ttl() {
    let (issuer, clock, verifier) = set_up();
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(true);
    clock.advance(59);
    assert!(all(&verifier, vec![token(); 5]).await.iter().all(Result::is_ok));
    clock.advance(1);
    let outcomes = all(&verifier, vec![token(); 5]).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Err(unreachable())), "{outcomes:?}");
    assert_eq!(unreachable().answer(), Answer::Unavailable);
    issuer.set_down(false);
    clock.advance(1);
    verifier.verify(&token()).await.unwrap();
}

#[tokio::test]
async fn failing_open_ends_at_its_bound() {
    let (issuer, clock, verifier) = open_for(100);
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(true);
    for after in 0..160 {
        assert_eq!(verifier.verify(&token()).await.map(drop), Ok(()), "after {after} s");
        assert!(verifier.verify_cached(&token()).is_ok(), "after {after} s");
        clock.advance(1);
    }
    assert_eq!(verifier.verify(&token()).await, Err(unreachable()));
    let too_old = VerifyError::StatusUnavailable(Unavailable::TooOld);
    assert_eq!(verifier.verify_cached(&token()), Err(too_old));
}

#[tokio::test]
async fn failing_open_ends_with_the_list() {
    let (issuer, clock, verifier) = open_for(1_000_000);
    issuer.publish_list(&with(list_claims(&slots(2, &[])), "exp", json!(NOW + 300)));
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(true);
    clock.advance(299);
    verifier.verify(&token()).await.unwrap();
    clock.advance(1);
    assert_eq!(verifier.verify(&token()).await, Err(unreachable()));
}

#[tokio::test]
async fn failing_open_accepts_nothing_without_a_list() {
    let (issuer, clock, verifier) = open_for(1_000_000);
    verifier.refresh().await.unwrap();
    issuer.set_down(true);
    for _ in 0..3 {
        assert_eq!(verifier.verify(&token()).await, Err(unreachable()));
        clock.advance(1);
    }
}

/// Failing open is for lists that cannot be fetched, not for those that were not needed for a while.
#[tokio::test]
async fn failing_open_does_not_replace_a_fetch() {
    let (issuer, clock, verifier) = open_for(1000);
    verifier.verify(&token()).await.unwrap();
    set_slot(&issuer, &clock, 1);
    clock.advance(60);
    let outcomes = all(&verifier, vec![token(); 20]).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Err(VerifyError::Revoked)), "{outcomes:?}");
    assert_eq!(issuer.list_fetches(), 2);
}

#[tokio::test]
async fn a_token_revoked_during_an_outage_is_refused_after_it() {
    let (issuer, clock, verifier) = open_for(1000);
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(true);
    set_slot(&issuer, &clock, 1);
    clock.advance(200);
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(false);
    clock.advance(10);
    assert_eq!(verifier.verify(&token()).await, Err(VerifyError::Revoked));
}

#[tokio::test]
async fn a_token_revoked_before_an_outage_is_refused_during_it() {
    let (issuer, clock, verifier) = open_for(1000);
    set_slot(&issuer, &clock, 1);
    for _ in 0..2 {
        assert_eq!(verifier.verify(&token()).await, Err(VerifyError::Revoked));
        issuer.set_down(true);
        clock.advance(500);
    }
}

/// One caller in ten seconds waits for an issuer that does not answer; the others use the list they have.
#[tokio::test]
async fn failing_open_makes_one_caller_wait_and_not_the_others() {
    let (issuer, clock, verifier) = open_for(1000);
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(true);
    clock.advance(60);
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(false);
    issuer.set_hangs(true);
    clock.advance(10);
    let text = token();
    let mut first = std::pin::pin!(verifier.verify(&text));
    assert_eq!(poll_some(first.as_mut()).await, None);
    let second = std::pin::pin!(verifier.verify(&text));
    assert!(matches!(poll_some(second).await, Some(Ok(_))));
}

/// With paused time tokio moves its clock forward when all tasks wait, so the test does not really wait.
#[tokio::test(start_paused = true)]
async fn a_fetch_without_an_answer_ends_at_the_time_limit() {
    let (issuer, start) = (FakeIssuer::new(), tokio::time::Instant::now());
    let clock = move || NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    let builder = Verifier::builder(crate::support::ISSUER, crate::support::AUDIENCE).fetch(issuer.clone());
    let verifier = Arc::new(builder.clock(clock).build().unwrap());
    verifier.refresh().await.unwrap();
    issuer.set_hangs(true);
    let outcomes = all(&verifier, vec![token(); 10]).await;
    let timed_out = Err(VerifyError::StatusUnavailable(Unavailable::TimedOut));
    assert!(outcomes.iter().all(|outcome| *outcome == timed_out), "{outcomes:?}");
    assert_eq!(start.elapsed().as_secs(), 5, "the other callers share the result of the one that fetched");
    assert_eq!(issuer.list_fetches(), 1);
    issuer.set_hangs(false);
    tokio::time::advance(Duration::from_secs(1)).await;
    verifier.verify(&token()).await.unwrap();
}

#[tokio::test]
async fn an_unavailable_list_is_requested_once_a_second() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    issuer.set_down(true);
    for seconds in 1..=10 {
        assert!(all(&verifier, vec![token(); 20]).await.iter().all(Result::is_err));
        assert_eq!(issuer.list_fetches(), seconds);
        clock.advance(1);
    }
}

#[tokio::test]
async fn a_list_that_is_still_usable_is_requested_every_ten_seconds() {
    let (issuer, clock, verifier) = open_for(1000);
    verifier.verify(&token()).await.unwrap();
    issuer.set_down(true);
    clock.advance(45);
    for second in 0..100 {
        assert!(all(&verifier, vec![token(); 5]).await.iter().all(Result::is_ok));
        assert_eq!(issuer.list_fetches(), 2 + second / 10, "after {second} s");
        clock.advance(1);
    }
}

/// A 502 or 503 of a proxy has the same effect.
#[tokio::test]
async fn an_unreachable_issuer_is_tried_once_a_second_for_all_lists() {
    for proxy in [None, Some(502), Some(503)] {
        let (issuer, clock, verifier) = set_up();
        publish_lists(&issuer, 30);
        let tokens: Vec<_> = (0..30).map(token_of_list).collect();
        for token in &tokens {
            verifier.verify(token).await.unwrap();
        }
        issuer.set_down(proxy.is_none());
        for (n, status) in (0..30).filter_map(|n| Some((n, proxy?))) {
            issuer.respond(&uri(n), Fetched { status, ..Fetched::default() });
        }
        clock.advance(60);
        let before = issuer.list_fetches();
        for _ in 0..10 {
            for token in &tokens {
                assert_eq!(verifier.verify(token).await.unwrap_err().code(), "status_unavailable");
            }
            clock.advance(1);
        }
        assert_eq!(issuer.list_fetches() - before, 10, "one a second, whichever list it is for: {proxy:?}");
        issuer.set_down(false);
        publish_lists(&issuer, 30);
        for token in &tokens {
            verifier.verify(token).await.unwrap();
        }
    }
}

#[tokio::test]
async fn while_one_caller_tries_again_the_others_get_the_last_error() {
    let (issuer, clock, verifier) = set_up();
    publish_lists(&issuer, 3);
    for n in 0..3 {
        verifier.verify(&token_of_list(n)).await.unwrap();
    }
    issuer.set_down(true);
    clock.advance(60);
    assert_eq!(verifier.verify(&token_of_list(0)).await, Err(unreachable()));
    issuer.set_down(false);
    issuer.set_hangs(true);
    clock.advance(1);
    let [first, second, third] = [0, 1, 2].map(token_of_list);
    let trying = std::pin::pin!(verifier.verify(&first));
    assert_eq!(poll_some(trying).await, None);
    let refused = std::pin::pin!(verifier.verify(&second));
    assert_eq!(poll_some(refused).await, Some(Err(unreachable())));
    // After five seconds another caller may try, since the one that tries may have been cancelled, like the one above.
    issuer.set_hangs(false);
    clock.advance(4);
    assert_eq!(verifier.verify(&third).await, Err(unreachable()));
    clock.advance(1);
    verifier.verify(&third).await.unwrap();
}
