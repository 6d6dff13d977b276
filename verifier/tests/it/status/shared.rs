//! Many callers and many lists: one fetch of a list at a time, and a limit on the number of lists.

use super::{IDX, set_up, token};
use crate::support::{
    FakeIssuer, NOW, TestClock, all, builder, good_claims, keys, list_claims, poll_some, slots, with,
};
use mintmark_verifier::{Unavailable, Verifier, VerifyError};
use serde_json::json;
use std::sync::Arc;

/// A token of list `n`.
pub(super) fn token_of_list(n: usize) -> String {
    let status = json!({"status_list": {"idx": IDX, "uri": uri(n)}});
    let claims = with(good_claims(), "exp", json!(NOW + 1_000_000));
    keys().eddsa.token(&with(claims, "status", status))
}

pub(super) fn uri(n: usize) -> String {
    format!("https://tokens.example.com/oauth2/status-lists/{n}")
}

pub(super) fn publish_lists(issuer: &FakeIssuer, count: usize) {
    for n in 0..count {
        issuer.publish_list(&with(list_claims(&slots(2, &[])), "sub", json!(uri(n))));
    }
}

#[tokio::test]
async fn the_first_tokens_share_one_fetch() {
    let (issuer, clock, verifier) = set_up();
    let not_fetched = VerifyError::StatusUnavailable(Unavailable::NotFetched);
    verifier.refresh().await.unwrap();
    assert_eq!(verifier.verify_cached(&token()), Err(not_fetched));
    assert!(all(&verifier, vec![token(); 50]).await.iter().all(Result::is_ok));
    assert_eq!(issuer.list_fetches(), 1);
    clock.advance(60);
    assert!(all(&verifier, vec![token(); 50]).await.iter().all(Result::is_ok));
    assert_eq!(issuer.list_fetches(), 2);
}

#[tokio::test]
async fn one_caller_renews_and_the_others_do_not_wait() {
    let (issuer, clock, verifier) = set_up();
    verifier.verify(&token()).await.unwrap();
    clock.advance(45);
    issuer.set_hangs(true);
    let text = token();
    let mut first = std::pin::pin!(verifier.verify(&text));
    assert_eq!(poll_some(first.as_mut()).await, None);
    let second = std::pin::pin!(verifier.verify(&text));
    assert!(matches!(poll_some(second).await, Some(Ok(_))));
    assert_eq!(issuer.list_fetches(), 2);
}

#[tokio::test]
async fn lists_do_not_wait_for_each_other() {
    let (issuer, _, verifier) = set_up();
    publish_lists(&issuer, 2);
    verifier.verify(&token_of_list(0)).await.unwrap();
    issuer.set_hangs(true);
    let (text, other) = (token_of_list(1), token());
    let first = std::pin::pin!(verifier.verify(&text));
    assert_eq!(poll_some(first).await, None);
    issuer.set_hangs(false);
    let second = std::pin::pin!(verifier.verify(&other));
    assert!(matches!(poll_some(second).await, Some(Ok(_))));
}

/// After a caller is cancelled during its fetch, the next one may fetch, within the rate limit.
#[tokio::test]
async fn a_cancelled_fetch_blocks_no_other_caller() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    issuer.set_hangs(true);
    {
        let text = token();
        let abandoned = std::pin::pin!(verifier.verify(&text));
        assert_eq!(poll_some(abandoned).await, None);
    }
    issuer.set_hangs(false);
    let not_fetched = VerifyError::StatusUnavailable(Unavailable::NotFetched);
    assert_eq!(verifier.verify(&token()).await, Err(not_fetched));
    clock.advance(1);
    verifier.verify(&token()).await.unwrap();
}

#[tokio::test]
async fn the_least_recently_used_list_is_dropped() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    publish_lists(&issuer, 4);
    let verifier = builder(&issuer, &clock).max_status_lists(2).build().unwrap();
    for (n, fetches) in [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (2, 3), (1, 4), (2, 4), (0, 5)] {
        clock.advance(1);
        verifier.verify(&token_of_list(n)).await.unwrap();
        assert_eq!(issuer.list_fetches(), fetches, "list {n}");
    }
}

#[tokio::test]
async fn a_limit_below_the_number_of_lists_in_use_fails_no_request() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    publish_lists(&issuer, 20);
    let verifier: Arc<Verifier> = Arc::new(builder(&issuer, &clock).max_status_lists(1).build().unwrap());
    let tokens = (0..100).map(|n| token_of_list(n % 20));
    assert!(all(&verifier, tokens).await.iter().all(Result::is_ok));
}

#[test]
fn a_verifier_without_room_for_a_list_is_refused() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let refused = builder(&issuer, &clock).max_status_lists(0).build().err().unwrap();
    assert!(refused.to_string().contains("max_status_lists"), "{refused}");
}
