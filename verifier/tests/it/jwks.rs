//! How the key set is fetched, cached, replaced and dropped, with a clock that the test moves and an issuer that counts
//! requests.

use crate::support::{
    AUDIENCE, FakeIssuer, ISSUER, JWKS_URI, METADATA, NOW, TestClock, TestKey, all, builder, good_claims,
    keys, poll_some, with,
};
use mintmark_verifier::{Answer, Fetched, MAX_BODY_BYTES, Unavailable, Verifier, VerifyError};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// An issuer, a clock, and a verifier that uses a key set for at most 1000 s and fetches no status list. The usual
/// answers of the issuer have no `max-age`, so a set is due after the default of 300 s.
fn set_up() -> (FakeIssuer, TestClock, Arc<Verifier>) {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let verifier = builder(&issuer, &clock).max_stale_seconds(1000).check_status(false).build().unwrap();
    (issuer, clock, Arc::new(verifier))
}

/// A token by this key that does not expire during the test.
fn token_of(key: &TestKey) -> String {
    key.token(&with(good_claims(), "exp", json!(NOW + 1_000_000)))
}

/// The usual key set, with this `Cache-Control`.
fn key_set(cache_control: &str) -> Fetched {
    let jwks: Vec<_> = keys().published().iter().map(|key| &key.jwk).collect();
    let body = json!({"keys": jwks}).to_string().into_bytes();
    Fetched { status: 200, cache_control: Some(cache_control.to_owned()), body, ..Fetched::default() }
}

#[tokio::test]
async fn the_first_tokens_share_one_discovery_and_one_fetch() {
    let (issuer, _, verifier) = set_up();
    let token = token_of(&keys().es256);
    assert_eq!(
        verifier.verify_cached(&token).unwrap_err(),
        VerifyError::KeysUnavailable(Unavailable::NotFetched)
    );
    assert!(all(&verifier, vec![token.clone(); 50]).await.iter().all(Result::is_ok));
    assert_eq!(issuer.asked(), [METADATA, JWKS_URI]);
}

#[tokio::test]
async fn fifty_unknown_kids_at_once_make_one_fetch() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    clock.advance(60);
    let new = TestKey::es256("new-key");
    let unknown = all(&verifier, vec![token_of(&new); 50]).await;
    assert!(unknown.iter().all(|outcome| *outcome == Err(VerifyError::UnknownKey)), "{unknown:?}");
    assert_eq!(issuer.key_fetches(), 2);

    issuer.publish(&[&keys().es256, &new]);
    clock.advance(60);
    assert!(all(&verifier, vec![token_of(&new); 50]).await.iter().all(Result::is_ok));
    assert_eq!(issuer.key_fetches(), 3);
}

#[tokio::test]
async fn unknown_kids_do_not_exceed_the_rate_limit() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    let token = token_of(&TestKey::es256("unknown"));
    for (after, fetches) in [(0, 1), (9, 1), (1, 2), (0, 2), (9, 2), (1, 3)] {
        clock.advance(after);
        assert_eq!(verifier.verify(&token).await, Err(VerifyError::UnknownKey));
        assert_eq!(issuer.key_fetches(), fetches, "after {after} s more");
    }
    // A kid that no key can have causes no fetch.
    clock.advance(60);
    let absurd = with(keys().es256.header(), "kid", json!("../../etc/passwd\n"));
    let absurd = keys().es256.token_with(&absurd, &good_claims());
    assert_eq!(verifier.verify(&absurd).await, Err(VerifyError::UnknownKey));
    assert_eq!(issuer.key_fetches(), 3);
}

#[tokio::test]
async fn the_set_is_refreshed_at_its_max_age() {
    for (cache_control, age, due_after) in [
        (None, 0, 300),
        (Some("max-age=60"), 0, 60),
        (Some("public, Max-Age=\"90\", must-revalidate"), 0, 90),
        (Some("max-age=120"), 100, 20),
        // The set is refreshed neither more often than the rate limit allows, nor later than `max_stale`.
        (Some("no-store"), 0, 10),
        (Some("max-age=0"), 0, 10),
        (Some("max-age=soon"), 0, 10),
        (Some("max-age=86400"), 0, 1000),
        (Some("private"), 0, 300),
    ] {
        let (issuer, clock, verifier) = set_up();
        let mut answer = key_set("");
        (answer.cache_control, answer.age_seconds) = (cache_control.map(str::to_owned), age);
        issuer.respond(JWKS_URI, answer);
        let token = token_of(&keys().es256);
        for (advance, fetches) in [(0, 1), (due_after - 1, 1), (1, 2)] {
            clock.advance(advance);
            verifier.verify(&token).await.unwrap();
            assert_eq!(issuer.key_fetches(), fetches, "{cache_control:?} {age}, {advance} s later");
        }
    }
}

#[tokio::test]
async fn one_caller_refreshes_and_the_others_use_the_cache() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    clock.advance(300);
    assert!(all(&verifier, vec![token_of(&keys().es256); 50]).await.iter().all(Result::is_ok));
    assert_eq!(issuer.key_fetches(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_dropped_at_max_age() {
    let (issuer, clock, verifier) = set_up();
    let token = token_of(&keys().es256);
    verifier.verify(&token).await.unwrap();
    issuer.publish(&[&keys().eddsa]);
    clock.advance(299);
    verifier.verify(&token).await.unwrap();
    clock.advance(1);
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::UnknownKey));
    assert_eq!(verifier.verify_cached(&token), Err(VerifyError::UnknownKey));
}

#[tokio::test]
async fn while_the_issuer_is_unreachable_known_keys_are_used_until_max_stale() {
    let (issuer, clock, verifier) = set_up();
    let token = token_of(&keys().es256);
    verifier.verify(&token).await.unwrap();
    issuer.set_down(true);
    clock.advance(300);
    assert!(all(&verifier, vec![token.clone(); 5]).await.iter().all(Result::is_ok));
    let unknown = verifier.verify(&token_of(&TestKey::es256("unknown"))).await.unwrap_err();
    assert_eq!(unknown.answer(), Answer::Unavailable, "it may be a key that was not seen yet");
    clock.advance(700);
    assert!(verifier.verify(&token).await.is_ok() && verifier.verify_cached(&token).is_ok());
    clock.advance(1);
    let unreachable = Unavailable::Unreachable("connection refused".to_owned());
    assert_eq!(verifier.verify(&token).await, Err(VerifyError::KeysUnavailable(unreachable)));
    assert_eq!(verifier.verify_cached(&token), Err(VerifyError::KeysUnavailable(Unavailable::TooOld)));
    issuer.set_down(false);
    clock.advance(10);
    verifier.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_clock_set_back_makes_the_set_due() {
    let (issuer, clock, verifier) = set_up();
    let token = keys().es256.token(&with(good_claims(), "iat", json!(NOW - 200)));
    verifier.verify(&token).await.unwrap();
    clock.advance(-100);
    verifier.verify(&token).await.unwrap();
    assert_eq!(issuer.key_fetches(), 2);
}

#[tokio::test]
async fn after_a_broken_answer_the_last_set_is_kept() {
    let other = TestKey::es256("es256-key");
    let twins = json!({"keys": [keys().es256.jwk, other.jwk]}).to_string();
    let too_long = format!("{}{}", " ".repeat(MAX_BODY_BYTES), json!({"keys": []}));
    let status = |status| Fetched { status, ..key_set("max-age=60") };
    let body = |body: String| Fetched { status: 200, body: body.into(), ..Fetched::default() };
    for (name, answer) in [
        ("two keys of one kid", body(twins)),
        ("not JSON", body("<html>".to_owned())),
        ("too long", body(too_long)),
        ("an error", status(500)),
        ("a redirect", status(302)),
        ("nothing new", status(304)),
        ("gone", status(404)),
    ] {
        let (issuer, clock, verifier) = set_up();
        let token = token_of(&keys().es256);
        verifier.verify(&token).await.unwrap();
        issuer.respond(JWKS_URI, answer);
        clock.advance(300);
        assert!(verifier.refresh().await.is_err(), "{name}");
        assert!(verifier.verify(&token).await.is_ok(), "{name}");
        clock.advance(701);
        assert_eq!(verifier.verify(&token).await.unwrap_err().answer(), Answer::Unavailable, "{name}");
    }
}

#[tokio::test]
async fn metadata_must_name_this_issuer_and_keys_over_https() {
    let metadata = |issuer: &str, jwks_uri: &str| json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
    let slash = format!("{ISSUER}/");
    for (name, body) in [
        ("another issuer", metadata("https://evil.example", JWKS_URI)),
        ("the issuer with a slash", metadata(&slash, JWKS_URI)),
        ("the issuer in upper case", metadata(&ISSUER.to_uppercase(), JWKS_URI)),
        ("keys over http", metadata(ISSUER, "http://tokens.example.com/jwks")),
        ("keys on this machine", metadata(ISSUER, "http://127.0.0.1/jwks")),
        ("keys in a file", metadata(ISSUER, "file:///etc/passwd")),
        ("no issuer", json!({"jwks_uri": JWKS_URI}).to_string()),
        ("no keys", json!({"issuer": ISSUER}).to_string()),
        ("an issuer twice", metadata(ISSUER, JWKS_URI).replacen('{', "{\"issuer\":\"x\",", 1)),
        ("an array", json!([ISSUER, JWKS_URI]).to_string()),
    ] {
        let (issuer, _, verifier) = set_up();
        issuer.answer(METADATA, body);
        let error = verifier.verify(&token_of(&keys().es256)).await.unwrap_err();
        let VerifyError::KeysUnavailable(Unavailable::InvalidAnswer { url, .. }) = &error else {
            panic!("{name}: {error}")
        };
        assert_eq!((url.as_str(), error.answer().status()), (METADATA, 503), "{name}");
        assert_eq!(issuer.asked(), [METADATA], "{name}");
    }
}

#[tokio::test]
async fn metadata_may_be_at_the_second_url() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let tenant = "https://tokens.example.com/tenant";
    let second = "https://tokens.example.com/tenant/.well-known/openid-configuration";
    issuer.answer(second, json!({"issuer": tenant, "jwks_uri": JWKS_URI}).to_string());
    let clock = move || clock.now();
    let builder = Verifier::builder(tenant, "a").check_status(false);
    let verifier = builder.fetch(issuer.clone()).clock(clock).build().unwrap();
    let claims = with(with(good_claims(), "iss", json!(tenant)), "aud", json!("a"));
    verifier.verify(&keys().es256.token(&claims)).await.unwrap();
    let first = "https://tokens.example.com/.well-known/oauth-authorization-server/tenant";
    assert_eq!(issuer.asked(), [first, second, JWKS_URI]);
}

#[tokio::test]
async fn a_moved_set_is_found_again() {
    let (issuer, clock, verifier) = set_up();
    let token = token_of(&keys().es256);
    verifier.verify(&token).await.unwrap();
    let moved = "https://tokens.example.com/keys";
    issuer.respond(moved, key_set("max-age=60"));
    issuer.answer(METADATA, json!({"issuer": ISSUER, "jwks_uri": moved}).to_string());
    issuer.respond(JWKS_URI, Fetched { status: 404, ..Fetched::default() });
    clock.advance(300);
    verifier.verify(&token).await.unwrap();
    clock.advance(10);
    verifier.verify(&token).await.unwrap();
    assert_eq!(issuer.asked(), [METADATA, JWKS_URI, JWKS_URI, METADATA, moved]);
}

/// The metadata is read again even if the old URL still answers, with outdated keys.
#[tokio::test]
async fn metadata_is_no_older_than_keys_may_be() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    issuer.answer(
        METADATA,
        json!({"issuer": ISSUER, "jwks_uri": "https://tokens.example.com/keys"}).to_string(),
    );
    issuer.respond("https://tokens.example.com/keys", key_set("max-age=60"));
    for asked in [3, 5] {
        clock.advance(500);
        verifier.refresh().await.unwrap();
        assert_eq!(issuer.asked().len(), asked);
    }
    assert_eq!(issuer.asked()[3..], [METADATA, "https://tokens.example.com/keys"]);
}

/// With paused time tokio moves its clock forward when all tasks wait, so the test does not really wait.
#[tokio::test(start_paused = true)]
async fn a_fetch_without_an_answer_ends_at_the_time_limit() {
    let (issuer, start) = (FakeIssuer::new(), tokio::time::Instant::now());
    let clock = move || NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    let builder = Verifier::builder(ISSUER, AUDIENCE).check_status(false);
    let verifier = Arc::new(builder.fetch(issuer.clone()).clock(clock).build().unwrap());
    issuer.set_hangs(true);
    let token = token_of(&keys().es256);
    let outcomes = all(&verifier, vec![token.clone(); 10]).await;
    let timed_out = Err(VerifyError::KeysUnavailable(Unavailable::TimedOut));
    assert!(outcomes.iter().all(|outcome| *outcome == timed_out), "{outcomes:?}");
    assert_eq!(start.elapsed().as_secs(), 5, "the other callers share the result of the one that fetched");
    assert_eq!(issuer.asked(), [METADATA]);
    issuer.set_hangs(false);
    tokio::time::advance(Duration::from_secs(1)).await;
    verifier.verify(&token).await.unwrap();
}

#[tokio::test]
async fn while_one_caller_refreshes_the_others_do_not_wait() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    clock.advance(300);
    issuer.set_hangs(true);
    let token = token_of(&keys().es256);
    let mut first = std::pin::pin!(verifier.verify(&token));
    assert_eq!(poll_some(first.as_mut()).await, None);
    let second = std::pin::pin!(verifier.verify(&token));
    assert!(matches!(poll_some(second).await, Some(Ok(_))));
    assert_eq!(issuer.key_fetches(), 2);
}

/// After a caller is cancelled during its fetch, the next one may fetch, within the rate limit.
#[tokio::test]
async fn a_cancelled_fetch_blocks_no_other_caller() {
    let (issuer, clock, verifier) = set_up();
    let (known, unknown) = (token_of(&keys().es256), token_of(&TestKey::es256("unknown")));
    // First without a key set, then with one that lacks the key: the token cannot be checked until the next fetch.
    for (token, pause, after) in [(&known, 1, Ok(())), (&unknown, 10, Err(VerifyError::UnknownKey))] {
        clock.advance(60);
        issuer.set_hangs(true);
        {
            let abandoned = std::pin::pin!(verifier.verify(token));
            assert_eq!(poll_some(abandoned).await, None);
        }
        issuer.set_hangs(false);
        let error = verifier.verify(token).await.unwrap_err();
        assert_eq!(error, VerifyError::KeysUnavailable(Unavailable::NotFetched));
        clock.advance(pause);
        assert_eq!(verifier.verify(token).await.map(drop), after);
    }
}

#[tokio::test]
async fn time_spent_in_a_cache_on_the_way_counts() {
    let (issuer, clock, verifier) = set_up();
    issuer.respond(JWKS_URI, Fetched { age_seconds: 400, ..key_set("max-age=500") });
    let token = token_of(&keys().es256);
    verifier.verify(&token).await.unwrap();
    issuer.set_down(true);
    clock.advance(600);
    verifier.verify(&token).await.unwrap();
    clock.advance(1);
    assert_eq!(verifier.verify_cached(&token), Err(VerifyError::KeysUnavailable(Unavailable::TooOld)));
}

#[tokio::test]
async fn an_answer_may_have_256_kib() {
    let (issuer, _, verifier) = set_up();
    let jwks: Vec<_> = keys().published().iter().map(|key| &key.jwk).collect();
    let body = json!({"keys": jwks}).to_string();
    issuer.answer(JWKS_URI, format!("{body}{}", " ".repeat(256 * 1024 - body.len())));
    verifier.verify(&token_of(&keys().es256)).await.unwrap();
}

#[tokio::test]
async fn a_kid_may_have_128_characters() {
    let (issuer, clock, verifier) = set_up();
    let longest = TestKey::es256("k".repeat(128).leak());
    issuer.publish(&[&longest]);
    verifier.verify(&token_of(&longest)).await.unwrap();
    // None of these kids can belong to a key, so they cause no fetch.
    clock.advance(60);
    for kid in ["k".repeat(129), "k".repeat(130), String::new(), "k k".to_owned()] {
        let header = with(longest.header(), "kid", json!(kid));
        let token = longest.token_with(&header, &good_claims());
        assert_eq!(verifier.verify(&token).await, Err(VerifyError::UnknownKey), "{kid:?}");
        assert_eq!(issuer.key_fetches(), 1, "{kid:?}");
    }
}
