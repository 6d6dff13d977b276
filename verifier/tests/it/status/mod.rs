//! Status lists. This file tests the effect of each status, and when a list is requested. The modules test which lists are
//! accepted, for how long they are used, what happens when a list changes or cannot be fetched, that callers share fetched
//! lists, and that the examples of the draft are read.

mod accepted;
mod changed;
mod freshness;
mod outage;
mod shared;
mod vectors;

use crate::support::{
    FakeIssuer, LIST, NOW, TestClock, builder, good_claims, keys, list_claims, slots, with,
};
use mintmark_verifier::{Answer, Verifier, VerifyError};
use serde_json::json;
use std::sync::Arc;

/// The usual token's index.
const IDX: usize = 4711;

/// An issuer whose keys may be cached for longer than a test takes, a clock, and a verifier.
fn set_up() -> (FakeIssuer, TestClock, Arc<Verifier>) {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = builder(&issuer, &clock).max_stale_seconds(1_000_000).min_refetch_seconds(10);
    issuer.publish_long_lived();
    (issuer, clock, Arc::new(verifier.build().unwrap()))
}

/// The usual token, but it does not expire during the test.
fn token() -> String {
    keys().es256.token(&with(good_claims(), "exp", json!(NOW + 1_000_000)))
}

/// Publishes a new list, signed now, in which the usual token has this status.
fn set_slot(issuer: &FakeIssuer, clock: &TestClock, value: u8) {
    let claims = list_claims(&slots(2, &[(IDX, value)]));
    let claims = with(claims, "iat", json!(clock.now()));
    issuer.publish_list(&with(claims, "exp", json!(clock.now() + 3600)));
}

#[tokio::test]
async fn a_token_has_the_status_of_its_entry() {
    for (value, expected) in [
        (0, Ok(())),
        (1, Err(VerifyError::Revoked)),
        (2, Err(VerifyError::Suspended)),
        (3, Err(VerifyError::UnknownStatus(3))),
    ] {
        let (issuer, clock, verifier) = set_up();
        set_slot(&issuer, &clock, value);
        // The list is fetched the first time, and cached after that.
        for _ in 0..3 {
            assert_eq!(verifier.verify(&token()).await.map(drop), expected, "{value}");
            assert_eq!(verifier.verify_cached(&token()).map(drop), expected, "{value}");
        }
        if let Err(error) = expected {
            assert_eq!(error.answer(), Answer::InvalidToken, "{value}");
        }
    }
}

#[tokio::test]
async fn the_other_entries_do_not_matter() {
    let (issuer, _, verifier) = set_up();
    let others: Vec<_> = (0..8192).filter(|idx| *idx != IDX).map(|idx| (idx, 1)).collect();
    issuer.publish_list(&list_claims(&slots(2, &others)));
    verifier.verify(&token()).await.unwrap();
}

#[tokio::test]
async fn the_list_is_requested_by_its_media_type() {
    let (issuer, _, verifier) = set_up();
    verifier.verify(&token()).await.unwrap();
    let asked = issuer.requests();
    let [.., list] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((list.url.as_str(), list.accept), (LIST, "application/statuslist+jwt"));
    assert_eq!(list.if_none_match, None);
}

/// A token that fails another check causes no request for its list.
#[tokio::test]
async fn the_list_is_requested_only_after_signature_and_claims_are_checked() {
    let (issuer, _, verifier) = set_up();
    let expired = keys().es256.token(&with(good_claims(), "exp", json!(NOW)));
    let foreign = keys().foreign.token(&good_claims());
    let elsewhere = keys().es256.token(&with(good_claims(), "aud", json!("https://other.example.com")));
    for token in [expired, foreign, elsewhere] {
        assert_eq!(verifier.verify(&token).await.unwrap_err().answer(), Answer::InvalidToken);
    }
    assert_eq!(issuer.list_fetches(), 0);
}

#[tokio::test]
async fn a_verifier_that_does_not_check_status_requests_no_list() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    set_slot(&issuer, &clock, 1);
    let verifier = builder(&issuer, &clock).check_status(false).build().unwrap();
    let without_status = crate::support::without(good_claims(), "status");
    verifier.verify(&token()).await.unwrap();
    verifier.verify(&keys().es256.token(&without_status)).await.unwrap();
    assert_eq!(issuer.list_fetches(), 0);
}
