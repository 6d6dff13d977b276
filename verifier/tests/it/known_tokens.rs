//! The cache of known tokens: everything that can change is checked again. After a cache hit the claims are the same
//! object as before.

use crate::support::{
    AUDIENCE, FakeIssuer, ISSUER, JWKS_URI, NOW, TestClock, all, builder, good_claims, keys, list_claims,
    slots, with, without,
};
use mintmark_verifier::claims::FAR_EXP;
use mintmark_verifier::{AccessTokenClaims, Verifier, VerifyError};
use serde_json::json;
use std::sync::Arc;

/// The key set is due after 300 s, and a status list can be used for 60 s.
fn set_up() -> (FakeIssuer, TestClock, Verifier) {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = builder(&issuer, &clock).allow_never_expiring(true).build().unwrap();
    (issuer, clock, verifier)
}

/// A token with this number in its `jti`.
fn numbered(n: usize) -> String {
    keys().eddsa.token(&with(good_claims(), "jti", json!(format!("j{n}"))))
}

async fn claims(verifier: &Verifier, token: &str) -> Arc<AccessTokenClaims> {
    verifier.verify(token).await.unwrap()
}

#[tokio::test]
async fn a_repeated_token_is_remembered_with_its_own_claims() {
    let (_, _, verifier) = set_up();
    let tokens: Vec<_> = (0..50).map(numbered).collect();
    let mut first = Vec::new();
    for token in &tokens {
        first.push(claims(&verifier, token).await);
    }
    for (n, (token, first)) in tokens.iter().zip(first).enumerate() {
        assert_eq!(first.jti, format!("j{n}"));
        assert!(Arc::ptr_eq(&first, &claims(&verifier, token).await));
        assert!(Arc::ptr_eq(&first, &verifier.verify_cached(token).unwrap()));
    }
}

#[tokio::test]
async fn a_token_first_verified_by_verify_cached_is_remembered_too() {
    let (_, _, verifier) = set_up();
    claims(&verifier, &numbered(0)).await;
    let first = verifier.verify_cached(&numbered(1)).unwrap();
    let again = numbered(1);
    // EdDSA is deterministic, so `again` is the same token.
    assert!(Arc::ptr_eq(&first, &claims(&verifier, &again).await));
}

#[tokio::test]
async fn a_token_that_differs_in_one_character_is_refused() {
    let (_, _, verifier) = set_up();
    let good = numbered(0);
    claims(&verifier, &good).await;
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed.replace_range(at..=at, if &good[at..=at] == "A" { "B" } else { "A" });
        assert!(verifier.verify(&changed).await.is_err(), "at {at}");
    }
    assert!(verifier.verify(&format!("{good} ")).await.is_err());
    claims(&verifier, &good).await;
}

#[tokio::test]
async fn no_more_tokens_than_the_limit_are_remembered() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    // The hash of a token selects its eight places, so some of a hundred places may stay empty.
    for (limit, at_least) in [(0, 0), (1, 1), (3, 3), (100, 60)] {
        let verifier = builder(&issuer, &clock).remember_tokens(limit).build().unwrap();
        let tokens: Vec<_> = (0..200).map(numbered).collect();
        for token in &tokens {
            claims(&verifier, token).await;
        }
        let mut held = Vec::new();
        for token in tokens.iter().rev() {
            held.push(claims(&verifier, token).await);
        }
        // The claims of a remembered token are held by the cache too.
        let remembered = held.iter().filter(|claims| Arc::strong_count(claims) > 1).count();
        assert!(remembered <= limit as usize, "{remembered} of {limit}");
        assert!(remembered >= at_least, "{remembered} of {limit}");
    }
}

#[tokio::test]
async fn a_token_in_use_is_kept_before_one_that_is_not() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = builder(&issuer, &clock).remember_tokens(8).build().unwrap();
    let first = claims(&verifier, &numbered(0)).await;
    for n in 1..40 {
        clock.advance(1);
        claims(&verifier, &numbered(n)).await;
        assert!(Arc::ptr_eq(&first, &claims(&verifier, &numbered(0)).await), "after {n} others");
    }
}

#[tokio::test]
async fn a_known_token_expires_on_time() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    for leeway in [0, 5] {
        let clock = clock.clone();
        let verifier = builder(&issuer, &clock).leeway_seconds(leeway).build().unwrap();
        let exp = clock.now() + 30;
        let token = keys().es256.token(&with(good_claims(), "exp", json!(exp)));
        claims(&verifier, &token).await;
        clock.advance(29 + i64::from(leeway));
        claims(&verifier, &token).await;
        clock.advance(1);
        assert_eq!(verifier.verify(&token).await, Err(VerifyError::Expired));
        assert_eq!(verifier.verify_cached(&token), Err(VerifyError::Expired));
    }
}

#[tokio::test]
async fn a_known_token_is_not_valid_before_its_time() {
    for name in ["iat", "nbf"] {
        let (_, clock, verifier) = set_up();
        let token = keys().es256.token(&with(good_claims(), name, json!(NOW)));
        claims(&verifier, &token).await;
        clock.advance(-1);
        assert_eq!(verifier.verify(&token).await, Err(VerifyError::NotYetValid), "{name}");
        assert_eq!(verifier.verify_cached(&token), Err(VerifyError::NotYetValid), "{name}");
    }
}

#[tokio::test]
async fn the_status_of_a_known_token_is_checked_each_time() {
    let (issuer, clock, verifier) = set_up();
    let token = numbered(0);
    claims(&verifier, &token).await;
    for (value, expected) in [(1, Some(VerifyError::Revoked)), (0, None), (2, Some(VerifyError::Suspended))] {
        issuer.publish_list(&list_claims(&slots(2, &[(4711, value)])));
        clock.advance(60);
        assert_eq!(verifier.verify(&token).await.err(), expected);
        assert_eq!(verifier.verify_cached(&token).err(), expected);
    }
    issuer.set_down(true);
    clock.advance(60);
    assert_eq!(verifier.verify(&token).await.unwrap_err().code(), "status_unavailable");
    assert_eq!(verifier.verify_cached(&token).unwrap_err().code(), "status_unavailable");
}

#[tokio::test]
async fn a_known_token_is_refused_once_its_key_is_withdrawn() {
    let (issuer, clock, verifier) = set_up();
    let token = numbered(0);
    claims(&verifier, &token).await;
    issuer.publish(&[&keys().es256]);
    clock.advance(300);
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::UnknownKey));
    assert_eq!(verifier.verify_cached(&token), Err(VerifyError::UnknownKey));
}

#[tokio::test]
async fn a_known_token_is_refused_if_another_key_takes_its_kid() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = builder(&issuer, &clock).check_status(false).build().unwrap();
    let (rs256, ps256) = (&keys().rs256, &keys().ps256);
    let other_rsa = with(with(ps256.jwk.clone(), "alg", json!("RS256")), "kid", json!(rs256.kid));
    for (key, other) in [(&keys().es256, &keys().foreign.jwk), (rs256, &other_rsa)] {
        issuer.publish(&[key]);
        clock.advance(300);
        let token = key.token(&good_claims());
        claims(&verifier, &token).await;
        issuer.answer(JWKS_URI, json!({"keys": [other]}).to_string());
        clock.advance(300);
        assert_eq!(verifier.verify(&token).await, Err(VerifyError::BadSignature), "{}", key.alg);
        assert_eq!(verifier.verify_cached(&token), Err(VerifyError::BadSignature), "{}", key.alg);
        // It is valid again once the key is back.
        issuer.publish(&[key]);
        clock.advance(300);
        claims(&verifier, &token).await;
    }
}

#[tokio::test]
async fn a_known_token_stays_known_while_its_key_is_published() {
    for key in keys().published() {
        let (issuer, clock, verifier) = set_up();
        let token = key.token(&good_claims());
        let first = claims(&verifier, &token).await;
        issuer.publish(&keys().published());
        clock.advance(300);
        assert!(Arc::ptr_eq(&first, &claims(&verifier, &token).await), "{}", key.alg);
        assert_eq!(issuer.key_fetches(), 2);
    }
}

#[tokio::test]
async fn a_known_token_is_refused_once_the_keys_are_too_old() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = builder(&issuer, &clock).check_status(false).max_stale_seconds(1000).build().unwrap();
    claims(&verifier, &numbered(0)).await;
    issuer.set_down(true);
    clock.advance(1001);
    assert_eq!(verifier.verify(&numbered(0)).await.unwrap_err().code(), "keys_unavailable");
    assert_eq!(verifier.verify_cached(&numbered(0)).unwrap_err().code(), "keys_unavailable");
}

#[tokio::test]
async fn a_token_that_never_expires_is_remembered_and_can_be_revoked() {
    let key = &keys().es256;
    let far = key.token(&with(with(good_claims(), "never_expires", json!(true)), "exp", json!(FAR_EXP)));
    let jwt = with(key.header(), "typ", json!("JWT"));
    let omit = key.token_with(&jwt, &with(without(good_claims(), "exp"), "never_expires", json!(true)));
    for token in [far, omit] {
        let (issuer, clock, verifier) = set_up();
        let first = claims(&verifier, &token).await;
        clock.advance(100_000_000);
        issuer.publish_list(&with(list_claims(&slots(2, &[])), "exp", json!(clock.now() + 3600)));
        assert!(Arc::ptr_eq(&first, &claims(&verifier, &token).await));
        let revoked = with(list_claims(&slots(2, &[(4711, 1)])), "exp", json!(clock.now() + 3600));
        issuer.publish_list(&revoked);
        clock.advance(60);
        assert_eq!(verifier.verify(&token).await, Err(VerifyError::Revoked));

        // A verifier that does not allow such tokens refuses it.
        let strict = builder(&issuer, &clock).build().unwrap();
        assert!(strict.verify(&token).await.is_err());
    }
}

#[tokio::test]
async fn a_refused_token_is_not_remembered() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let vat = builder(&issuer, &clock).require_product("vat").build().unwrap();
    for _ in 0..3 {
        let refused = vat.verify(&numbered(0)).await;
        assert_eq!(refused, Err(VerifyError::MissingProduct("vat".to_owned())));
    }
    let bound = keys().es256.token(&with(good_claims(), "cnf", json!({"jkt": "k"})));
    let verifier = Verifier::builder(ISSUER, AUDIENCE).fetch(issuer).clock(|| NOW).build().unwrap();
    for _ in 0..3 {
        assert_eq!(verifier.verify(&bound).await, Err(VerifyError::BoundRefused));
    }
}

#[tokio::test]
async fn many_callers_with_many_tokens_each_get_their_own_claims() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = Arc::new(builder(&issuer, &clock).remember_tokens(16).build().unwrap());
    let tokens = (0..400).map(|n| numbered(n % 40));
    assert!(all(&verifier, tokens).await.iter().all(Result::is_ok));
    for n in 0..40 {
        assert_eq!(claims(&verifier, &numbered(n)).await.jti, format!("j{n}"));
    }
}

/// All calls wait for the first fetch of the keys, so each checks the token and stores it.
#[tokio::test]
async fn a_token_verified_many_times_at_once_takes_one_place() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = Arc::new(builder(&issuer, &clock).remember_tokens(8).build().unwrap());
    assert!(all(&verifier, vec![numbered(0); 20]).await.iter().all(Result::is_ok));
    let mut first = Vec::new();
    for n in 0..8 {
        first.push(claims(&verifier, &numbered(n)).await);
    }
    for (n, first) in first.iter().enumerate() {
        assert!(Arc::ptr_eq(first, &claims(&verifier, &numbered(n)).await), "token {n}");
    }
}
