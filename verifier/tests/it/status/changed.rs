//! A list is fetched at once when an event says that it changed. The time of tokio is paused, so that no test really waits.

use super::{set_slot, set_up, token};
use crate::support::{LIST, NOW};
use mintmark_verifier::{Unavailable, VerifyError};

/// The instant of `NOW` + `seconds`, fewer than 40, as an event has it.
fn at(seconds: i64) -> String {
    assert_eq!(NOW, 1_790_000_000);
    format!("2026-09-21T14:13:{}Z", 20 + seconds)
}

#[tokio::test(start_paused = true)]
async fn a_new_list_is_fetched_once() {
    let (issuer, clock, verifier) = set_up();
    set_slot(&issuer, &clock, 0);
    assert!(verifier.verify(&token()).await.is_ok());
    clock.advance(5);
    set_slot(&issuer, &clock, 1);
    assert!(verifier.verify(&token()).await.is_ok(), "the cached list is used for its ttl");
    verifier.refetch_status_list(LIST, &at(5)).await.unwrap();
    assert_eq!(verifier.verify(&token()).await.map(drop), Err(VerifyError::Revoked));
    assert_eq!(issuer.list_fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_signed_before_the_change_is_fetched_again_two_seconds_later() {
    let (issuer, clock, verifier) = set_up();
    set_slot(&issuer, &clock, 0);
    assert!(verifier.verify(&token()).await.is_ok());
    let began = tokio::time::Instant::now();
    let publish_later = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        clock.advance(1);
        set_slot(&issuer, &clock, 1);
    };
    let changed = at(1);
    let (refetched, ()) = tokio::join!(verifier.refetch_status_list(LIST, &changed), publish_later);
    refetched.unwrap();
    assert_eq!((began.elapsed().as_secs(), issuer.list_fetches()), (2, 3));
    assert_eq!(verifier.verify(&token()).await.map(drop), Err(VerifyError::Revoked));
    // An instant that cannot be read counts as one in the future.
    verifier.refetch_status_list(LIST, "now").await.unwrap();
    assert_eq!((began.elapsed().as_secs(), issuer.list_fetches()), (4, 5));
}

#[tokio::test(start_paused = true)]
async fn only_lists_in_use_are_fetched() {
    let (issuer, clock, verifier) = set_up();
    set_slot(&issuer, &clock, 0);
    verifier.refetch_status_list(LIST, &at(0)).await.unwrap();
    assert!(verifier.verify(&token()).await.is_ok());
    for other in ["https://other.example/oauth2/status-lists/3", &format!("{LIST}4"), &format!("{LIST}/"), ""]
    {
        verifier.refetch_status_list(other, &at(0)).await.unwrap();
    }
    assert_eq!(issuer.list_fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_cached_list() {
    let (issuer, clock, verifier) = set_up();
    set_slot(&issuer, &clock, 0);
    assert!(verifier.verify(&token()).await.is_ok());
    issuer.set_down(true);
    let refused = verifier.refetch_status_list(LIST, &at(0)).await;
    assert!(matches!(refused, Err(Unavailable::Unreachable(_))), "{refused:?}");
    assert!(verifier.verify(&token()).await.is_ok());
}
