//! Valid tokens: every algorithm with every form of expiry, and the limits of what is accepted.

use crate::support::{
    AUDIENCE, FakeIssuer, ISSUER, NOW, TestClock, builder, good_claims, keys, with, without,
};
use mintmark_verifier::claims::{FAR_EXP, LAST_DATE};
use mintmark_verifier::{Checks, Clock as _, KeySet, SystemClock, Verifier, VerifyError};
use serde_json::{Value, json};
use std::sync::Arc;

fn never(claims: Value) -> Value {
    with(claims, "never_expires", json!(true))
}

/// A verifier with every kind of token allowed.
fn permissive() -> Verifier {
    builder(&FakeIssuer::new(), &TestClock::new())
        .allow_never_expiring(true)
        .allow_bound(true)
        .build()
        .unwrap()
}

#[tokio::test]
async fn every_algorithm_is_accepted_in_every_form_of_expiry() {
    let verifier = permissive();
    for key in keys().published() {
        let jwt = with(key.header(), "typ", json!("JWT"));
        let far = |exp: i64| key.token(&never(with(good_claims(), "exp", json!(exp))));
        let omit = never(without(good_claims(), "exp"));
        for (form, token, exp) in [
            ("expiring", key.token(&good_claims()), Some(NOW + 3600)),
            ("far", far(FAR_EXP), Some(7_258_118_400)),
            // Every `exp` from `FAR_EXP` on is accepted, because another version of the issuer may write a later one.
            ("far, one second later", far(FAR_EXP + 1), Some(FAR_EXP + 1)),
            ("far, as earlier versions wrote it", far(LAST_DATE), Some(253_402_300_799)),
            // Its `typ` is `JWT`, because RFC 9068 requires `exp` in an `at+jwt`.
            ("omit", key.token_with(&jwt, &omit), None),
        ] {
            let claims = verifier.verify(&token).await.unwrap_or_else(|e| panic!("{} {form}: {e}", key.alg));
            assert_eq!((claims.exp, claims.never_expires), (exp, form != "expiring"), "{} {form}", key.alg);
            assert_eq!(claims.products, ["e-invoicing", "gst"]);
            assert_eq!(verifier.verify_cached(&token), Ok(claims), "{} {form}", key.alg);
        }
    }
}

#[tokio::test]
async fn unusual_tokens_that_are_valid_are_accepted() {
    let verifier = permissive();
    let key = &keys().es256;
    let claims = good_claims;
    let header = |name: &str, value: Value| key.token_with(&with(key.header(), name, value), &claims());
    let claim = |name: &str, value: Value| key.token(&with(claims(), name, value));
    for (name, token) in [
        ("typ in another case", header("typ", json!("AT+JWT"))),
        ("typ with application/", header("typ", json!("application/at+jwt"))),
        ("typ with Application/ in another case", header("typ", json!("Application/At+Jwt"))),
        ("an unknown header member", header("x", json!({"a": [1]}))),
        ("jku is ignored", header("jku", json!("https://evil.example/jwks"))),
        ("x5u is ignored", header("x5u", json!("https://evil.example/cert"))),
        ("jwk is ignored", header("jwk", keys().foreign.jwk.clone())),
        ("an unknown claim", claim("x", json!({"a": [1, -1, 1.5, null, true]}))),
        ("the last second", claim("exp", json!(NOW + 1))),
        ("issued this second", claim("iat", json!(NOW))),
        ("valid from this second", claim("nbf", json!(NOW))),
        ("a far exp without never_expires, which is an expiring token", claim("exp", json!(FAR_EXP))),
        ("several audiences, one of them this one", claim("aud", json!(["https://other", AUDIENCE]))),
        ("an audience in an array of one", claim("aud", json!([AUDIENCE]))),
        ("no products", claim("products", json!([]))),
        ("never_expires false, as if it were absent", claim("never_expires", json!(false))),
        ("bound to a certificate", claim("cnf", json!({"x5t#S256": "t"}))),
        ("bound to a DPoP key", claim("cnf", json!({"jkt": "k"}))),
        ("white space in the JSON", key.token_of(key.header().to_string(), format!(" {}\n", claims()))),
    ] {
        if let Err(error) = verifier.verify(&token).await {
            panic!("{name}: {error}");
        }
    }
}

/// A service that checks proofs must be able to tell which proof a token needs.
#[tokio::test]
async fn a_bound_token_needs_a_supported_proof() {
    for cnf in [json!({}), json!({"jwk": {"kty": "EC"}})] {
        let refused = permissive().verify(&keys().es256.token(&with(good_claims(), "cnf", cnf))).await;
        assert_eq!(refused.unwrap_err().code(), "invalid_claims");
    }
}

#[tokio::test]
async fn leeway_extends_both_limits_exactly() {
    let verifier = builder(&FakeIssuer::new(), &TestClock::new()).leeway_seconds(5).build().unwrap();
    let token = |name: &str, at: i64| keys().es256.token(&with(good_claims(), name, json!(at)));
    for (claim, at, expected) in [
        ("exp", NOW - 4, None),
        ("exp", NOW - 5, Some(VerifyError::Expired)),
        ("iat", NOW + 5, None),
        ("iat", NOW + 6, Some(VerifyError::NotYetValid)),
        ("nbf", NOW + 5, None),
        ("nbf", NOW + 6, Some(VerifyError::NotYetValid)),
    ] {
        assert_eq!(verifier.verify(&token(claim, at)).await.err(), expected, "{claim} {at}");
    }
}

#[tokio::test]
async fn products_are_required_by_the_verifier_or_by_the_call() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let token = keys().eddsa.token(&good_claims());
    let missing = Some(VerifyError::MissingProduct("vat".to_owned()));
    let gst = builder(&issuer, &clock).require_product("gst").require_product("e-invoicing").build().unwrap();
    let claims = gst.verify(&token).await.unwrap();
    assert_eq!(claims.require_product("vat").err(), missing);
    let vat = builder(&issuer, &clock).require_product("gst").require_product("vat").build().unwrap();
    assert_eq!(vat.verify(&token).await.err(), missing);
}

/// The issuer may see a token that a replica with a faster clock has just issued. For `exp` the leeway of the builder applies.
#[test]
fn the_issuers_own_checks_may_take_a_token_before_its_start() {
    let key = &keys().es256;
    let set = KeySet::parse(json!({"keys": [key.jwk]}).to_string().as_bytes()).unwrap();
    let checks = Verifier::builder(ISSUER, AUDIENCE).leeway_seconds(2).checks().unwrap();
    let verify = |checks: &Checks, name: &str, at: i64| {
        checks.verify(&key.token(&with(good_claims(), name, json!(at))), &set, NOW).err()
    };
    let early = checks.clone().start_leeway_seconds(30);
    for claim in ["iat", "nbf"] {
        assert_eq!(verify(&checks, claim, NOW + 3), Some(VerifyError::NotYetValid), "{claim}");
        assert_eq!(verify(&early, claim, NOW + 30), None, "{claim}");
        assert_eq!(verify(&early, claim, NOW + 31), Some(VerifyError::NotYetValid), "{claim}");
    }
    assert_eq!(verify(&early, "exp", NOW - 1), None);
    assert_eq!(verify(&early, "exp", NOW - 2), Some(VerifyError::Expired));
    assert_eq!(verify(&checks.start_leeway_seconds(i64::MAX), "nbf", NOW + 3_000), None);
}

#[test]
fn a_program_that_holds_the_keys_needs_no_fetch() {
    let key = &keys().es256;
    let set = KeySet::parse(json!({"keys": [key.jwk]}).to_string().as_bytes()).unwrap();
    let checks = Verifier::builder(ISSUER, AUDIENCE).checks().unwrap();
    assert!(checks.verify(&key.token(&good_claims()), &set, NOW).is_ok());
    // An hour, and the default leeway of 5 s.
    assert_eq!(checks.verify(&key.token(&good_claims()), &set, NOW + 3605), Err(VerifyError::Expired));
    assert_eq!(checks.verify(&keys().eddsa.token(&good_claims()), &set, NOW), Err(VerifyError::UnknownKey));
}

/// The issuer itself answers for tokens of any audience; all other checks apply.
#[test]
fn the_issuers_own_checks_take_any_audience() {
    let key = &keys().es256;
    let set = KeySet::parse(json!({"keys": [key.jwk]}).to_string().as_bytes()).unwrap();
    let one = Verifier::builder(ISSUER, ISSUER).leeway_seconds(0).checks().unwrap();
    let any = one.clone().any_audience();
    for aud in [json!(AUDIENCE), json!(["https://a.example", "https://b.example"]), json!([])] {
        let token = key.token(&with(good_claims(), "aud", aud));
        assert_eq!(one.verify(&token, &set, NOW), Err(VerifyError::WrongAudience));
        assert!(any.verify(&token, &set, NOW).is_ok());
    }
    let other_issuer = key.token(&with(good_claims(), "iss", json!("https://evil.example")));
    assert_eq!(any.verify(&other_issuer, &set, NOW), Err(VerifyError::WrongIssuer));
    assert_eq!(any.verify(&key.token(&good_claims()), &set, NOW + 3600), Err(VerifyError::Expired));
    let no_audience = key.token(&without(good_claims(), "aud"));
    assert_eq!(any.verify(&no_audience, &set, NOW).unwrap_err().code(), "invalid_claims");
}

#[test]
fn invalid_settings_are_refused_with_the_reason() {
    let refused = |builder: mintmark_verifier::VerifierBuilder| builder.build().err().unwrap().to_string();
    for (issuer, audience, says) in [
        ("http://tokens.example.com", AUDIENCE, "use https"),
        ("tokens.example.com", AUDIENCE, "https"),
        ("https://tokens.example.com?x", AUDIENCE, "query"),
        (ISSUER, "", "audience"),
        (ISSUER, "a\"b", "audience"),
    ] {
        assert!(refused(Verifier::builder(issuer, audience)).contains(says), "{issuer} {audience}");
    }
    let builder = || Verifier::builder(ISSUER, AUDIENCE);
    assert!(refused(builder().require_product("")).contains("product"));
    assert!(refused(builder().require_product("GST")).contains("GST"));
    assert!(refused(builder().leeway_seconds(301)).contains("leeway"));
    assert!(refused(builder().min_refetch_seconds(0)).contains("min_refetch"));
    assert!(refused(builder().max_stale_seconds(9)).contains("max_stale"));
    assert!(refused(builder().remember_tokens(10_000_001)).contains("remember_tokens"));
}

#[test]
fn the_limits_of_the_settings_are_accepted() {
    let builder = || Verifier::builder(ISSUER, AUDIENCE).remember_tokens(0);
    for builder in [
        builder().leeway_seconds(300),
        builder().min_refetch_seconds(1),
        builder().min_refetch_seconds(60).max_stale_seconds(60),
        builder().max_status_lists(1),
        builder().remember_tokens(10_000_000),
    ] {
        builder.build().unwrap();
    }
}

#[tokio::test]
async fn a_token_may_have_16_kib() {
    let verifier = permissive();
    let key = &keys().eddsa;
    // base64url writes 3 bytes as 4 characters, and 2 as 3, so some lengths are reached only with filler in both parts.
    let with_filler = |header: usize, claim: usize| {
        let head = with(key.header(), "x", json!("h".repeat(header)));
        key.token_with(&head, &with(good_claims(), "x", json!("c".repeat(claim))))
    };
    let fits = |limit: usize| {
        let claim = (limit - with_filler(0, 0).len()) * 3 / 4 - 3;
        (0..3)
            .flat_map(|header| (claim..claim + 6).map(move |claim| (header, claim)))
            .map(|(header, claim)| with_filler(header, claim))
            .find(|token| token.len() == limit)
            .unwrap()
    };
    let longest = fits(16_384);
    let claims = verifier.verify(&longest).await.unwrap();
    assert!(
        Arc::ptr_eq(&claims, &verifier.verify(&longest).await.unwrap()),
        "the longest token is remembered like any other"
    );
    let too_long = VerifyError::Malformed("it is longer than 16 KiB");
    assert_eq!(verifier.verify(&fits(16_385)).await.unwrap_err(), too_long);
    assert_eq!(verifier.verify_cached(&fits(16_385)).unwrap_err(), too_long);
}

#[test]
fn a_verifier_is_shown_with_its_settings() {
    let shown = format!("{:?}", permissive());
    assert!(shown.contains(ISSUER) && shown.contains(AUDIENCE), "{shown}");
}

#[test]
fn the_system_clock_shows_unix_seconds() {
    let [january_2026, year_2200] = [1_767_225_600, 7_258_118_400];
    assert!((january_2026..year_2200).contains(&SystemClock.unix_seconds()));
}
