//! How long a list is used: for its `ttl` from the start of its fetch, not past its `exp`, not without its key; and how
//! it is renewed.

use super::{IDX, set_slot, set_up, token};
use crate::support::{FakeIssuer, LIST, NOW, TestClock, all, good_claims, keys, list_claims, slots, with};
use mintmark_verifier::{Fetched, Unavailable, Verifier, VerifyError};
use serde_json::{Value, json};

fn unreachable() -> VerifyError {
    VerifyError::StatusUnavailable(Unavailable::Unreachable("connection refused".to_owned()))
}

/// Makes the issuer unreachable. Returns for how many seconds from now a token is still accepted.
async fn accepted_for(issuer: &FakeIssuer, clock: &TestClock, verifier: &Verifier) -> i64 {
    issuer.set_down(true);
    let start = clock.now();
    while verifier.verify(&token()).await.is_ok() {
        assert!(verifier.verify_cached(&token()).is_ok());
        clock.advance(1);
        assert!(clock.now() < start + 5000, "accepted without end");
    }
    let too_old = VerifyError::StatusUnavailable(Unavailable::TooOld);
    assert_eq!(verifier.verify_cached(&token()), Err(too_old));
    clock.now() - start
}

#[tokio::test]
async fn a_revocation_is_in_force_within_the_ttl() {
    for after in 0..=60 {
        let (issuer, clock, verifier) = set_up();
        verifier.verify(&token()).await.unwrap();
        set_slot(&issuer, &clock, 1);
        clock.advance(after);
        // The list is renewed at three quarters of its ttl, so before it ends.
        let expected = if after < 45 { Ok(()) } else { Err(VerifyError::Revoked) };
        assert_eq!(verifier.verify(&token()).await.map(drop), expected, "after {after} s");
    }
}

#[tokio::test]
async fn a_list_is_used_for_its_ttl_and_no_longer() {
    for ttl in [1, 2, 3, 4, 60, 300] {
        let (issuer, clock, verifier) = set_up();
        issuer.publish_list(&with(list_claims(&slots(2, &[])), "ttl", json!(ttl)));
        verifier.verify(&token()).await.unwrap();
        assert_eq!(accepted_for(&issuer, &clock, &verifier).await, ttl);
        assert_eq!(verifier.verify(&token()).await, Err(unreachable()));
    }
}

/// A list may be as old as the request for it.
#[tokio::test]
async fn the_ttl_counts_from_the_start_of_the_fetch() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    issuer.set_slow(20, &clock);
    verifier.verify(&token()).await.unwrap();
    assert_eq!(clock.now(), NOW + 20);
    issuer.set_slow(0, &clock);
    assert_eq!(accepted_for(&issuer, &clock, &verifier).await, 40);
}

#[tokio::test]
async fn a_list_that_arrives_after_its_ttl_is_not_used() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    issuer.set_slow(60, &clock);
    let why = "it has expired, or its ttl was over on arrival";
    let refused = VerifyError::StatusUnavailable(Unavailable::InvalidAnswer { url: LIST.to_owned(), why });
    assert_eq!(verifier.verify(&token()).await, Err(refused));
}

#[tokio::test]
async fn time_spent_in_a_cache_on_the_way_counts() {
    let (issuer, clock, verifier) = set_up();
    let body = keys().es256.list(&list_claims(&slots(2, &[]))).into_bytes();
    issuer.respond(LIST, Fetched { status: 200, age_seconds: 50, body, ..Fetched::default() });
    verifier.verify(&token()).await.unwrap();
    assert_eq!(accepted_for(&issuer, &clock, &verifier).await, 10);
}

#[tokio::test]
async fn a_list_is_never_used_past_its_exp() {
    let (issuer, clock, verifier) = set_up();
    issuer.publish_list(&with(list_claims(&slots(2, &[])), "exp", json!(NOW + 30)));
    verifier.verify(&token()).await.unwrap();
    assert_eq!(accepted_for(&issuer, &clock, &verifier).await, 30);
}

#[tokio::test]
async fn while_a_list_is_fresh_there_is_no_request() {
    let (issuer, clock, verifier) = set_up();
    verifier.verify(&token()).await.unwrap();
    let before = issuer.asked();
    issuer.set_down(true);
    for _ in 0..44 {
        clock.advance(1);
        assert!(all(&verifier, vec![token(); 5]).await.iter().all(Result::is_ok));
        verifier.verify_cached(&token()).unwrap();
    }
    assert_eq!(issuer.asked(), before);
}

#[tokio::test]
async fn an_unchanged_list_is_confirmed_by_its_etag() {
    let (issuer, clock, verifier) = set_up();
    verifier.verify(&token()).await.unwrap();
    for _ in 0..5 {
        clock.advance(45);
        verifier.verify(&token()).await.unwrap();
    }
    let asked: Vec<_> = issuer.requests().into_iter().filter(|asked| asked.url == LIST).collect();
    let etag = &asked[1].if_none_match;
    assert!(etag.is_some() && asked[0].if_none_match.is_none(), "{asked:?}");
    assert!(asked.len() == 6 && asked[1..].iter().all(|asked| asked.if_none_match == *etag), "{asked:?}");
    // The ttl of a confirmed list counts from the confirmation.
    assert_eq!(accepted_for(&issuer, &clock, &verifier).await, 60);

    issuer.set_down(false);
    set_slot(&issuer, &clock, 1);
    clock.advance(10);
    assert_eq!(verifier.verify(&token()).await, Err(VerifyError::Revoked));
}

#[tokio::test]
async fn an_expired_list_cannot_be_confirmed() {
    let (issuer, clock, verifier) = set_up();
    issuer.publish_list(&with(list_claims(&slots(2, &[])), "exp", json!(NOW + 100)));
    verifier.verify(&token()).await.unwrap();
    clock.advance(45);
    verifier.verify(&token()).await.unwrap();
    clock.advance(54);
    verifier.verify(&token()).await.unwrap();
    clock.advance(1);
    assert_eq!(verifier.verify(&token()).await.unwrap_err().code(), "status_unavailable");
    assert_eq!(issuer.requests().last().unwrap().if_none_match, None);
}

#[tokio::test]
async fn without_an_etag_the_whole_list_is_requested() {
    let (issuer, clock, verifier) = set_up();
    issuer.answer(LIST, keys().es256.list(&list_claims(&slots(2, &[]))));
    for _ in 0..2 {
        verifier.verify(&token()).await.unwrap();
        clock.advance(60);
    }
    assert!(issuer.requests().iter().all(|asked| asked.if_none_match.is_none()));
}

#[tokio::test]
async fn a_clock_set_back_makes_the_list_unusable() {
    let (issuer, clock, verifier) = set_up();
    let token = keys().es256.token(&with(good_claims(), "iat", json!(NOW - 100)));
    verifier.verify(&token).await.unwrap();
    clock.advance(-10);
    issuer.set_down(true);
    assert_eq!(verifier.verify(&token).await, Err(unreachable()));
    issuer.set_down(false);
    clock.advance(1);
    verifier.verify(&token).await.unwrap();
    assert_eq!(issuer.list_fetches(), 3);
}

/// Otherwise an attacker who has stolen that key could make revoked tokens valid until the list ends.
#[tokio::test]
async fn a_list_is_dropped_with_the_key_that_signed_it() {
    let by = |key: &crate::support::TestKey| key.token(&with(good_claims(), "exp", json!(NOW + 10_000)));
    let (es256, eddsa) = (&keys().es256, &keys().eddsa);
    for (name, published) in [("withdrawn", vec![eddsa]), ("replaced", vec![eddsa, &keys().foreign])] {
        let (issuer, clock, verifier) = set_up();
        verifier.verify(&by(eddsa)).await.unwrap();
        issuer.publish(&published);
        clock.advance(10);
        // The keys are fetched; the list, at a sixth of its ttl, is due only because of its key.
        let _ = verifier.refresh().await;
        let error = verifier.verify(&by(eddsa)).await.unwrap_err();
        assert_eq!(error.code(), "status_unavailable", "{name}");
        assert_eq!(verifier.verify_cached(&by(eddsa)).unwrap_err().code(), "status_unavailable", "{name}");
        assert_eq!(issuer.requests().last().unwrap().if_none_match, None, "{name}: must not be confirmed");

        clock.advance(1);
        issuer.answer(LIST, eddsa.list(&list_claims(&slots(2, &[]))));
        verifier.verify(&by(eddsa)).await.unwrap();
        assert!(verifier.verify(&by(es256)).await.is_err(), "{name}");
    }
}

/// A timer that calls `refresh` keeps requests from waiting.
#[tokio::test]
async fn a_refresh_fetches_lists_past_half_of_their_ttl() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    assert_eq!(issuer.list_fetches(), 0, "no list is known yet");
    verifier.verify(&token()).await.unwrap();
    for (after, fetches) in [(29, 1), (1, 2), (15, 2), (15, 3)] {
        clock.advance(after);
        verifier.refresh().await.unwrap();
        verifier.verify(&token()).await.unwrap();
        assert_eq!(issuer.list_fetches(), fetches, "{after} s later");
    }
    // A list that no token refers to any more is not fetched.
    clock.advance(3600);
    verifier.refresh().await.unwrap();
    assert_eq!(issuer.list_fetches(), 3);
    issuer.set_down(true);
    verifier.verify(&token()).await.unwrap_err();
    assert!(verifier.refresh().await.is_err());
}

#[tokio::test]
async fn a_suspended_token_may_become_valid_again() {
    let (issuer, clock, verifier) = set_up();
    for (value, expected) in
        [(0, Ok(())), (2, Err(VerifyError::Suspended)), (0, Ok(())), (1, Err(VerifyError::Revoked))]
    {
        set_slot(&issuer, &clock, value);
        clock.advance(60);
        assert_eq!(verifier.verify(&token()).await.map(drop), expected);
    }
}

#[tokio::test]
async fn each_token_is_looked_up_in_its_own_list() {
    let (issuer, _, verifier) = set_up();
    let uri = |n: u64| format!("https://tokens.example.com/oauth2/status-lists/{n}");
    let list = |n: u64, value: u8| with(list_claims(&slots(2, &[(IDX, value)])), "sub", json!(uri(n)));
    for (n, value) in [(0, 1), (1, 0), (u64::MAX, 2)] {
        issuer.publish_list(&list(n, value));
    }
    let in_list = |n: u64| -> Value { json!({"status_list": {"idx": IDX, "uri": uri(n)}}) };
    for (n, expected) in
        [(0, Err(VerifyError::Revoked)), (1, Ok(())), (u64::MAX, Err(VerifyError::Suspended)), (3, Ok(()))]
    {
        let token = keys().es256.token(&with(good_claims(), "status", in_list(n)));
        assert_eq!(verifier.verify(&token).await.map(drop), expected, "list {n}");
    }
}

/// Without an `ETag` there is nothing that a 304 could confirm.
#[tokio::test]
async fn an_unrequested_304_confirms_nothing() {
    let (issuer, clock, verifier) = set_up();
    issuer.answer(LIST, keys().es256.list(&list_claims(&slots(2, &[]))));
    verifier.verify(&token()).await.unwrap();
    issuer.respond(LIST, Fetched { status: 304, ..Fetched::default() });
    clock.advance(60);
    let refused = Unavailable::Status { url: LIST.to_owned(), status: 304 };
    assert_eq!(verifier.verify(&token()).await, Err(VerifyError::StatusUnavailable(refused)));
}
