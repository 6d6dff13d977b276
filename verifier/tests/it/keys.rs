//! Which keys of a JWK Set are usable: a token signed by any other is refused like one with an unknown key.

use crate::support::{AUDIENCE, ISSUER, NOW, TestKey, b64, good_claims, keys, with, without};
use mintmark_verifier::{KeySet, KeySetError, Verifier, VerifyError};
use serde_json::{Value, json};

fn set_of(jwks: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(json!({"keys": jwks}).to_string().as_bytes())
}

/// Each refused key has a source: the point of docs/conformance.md, or the RFC, that requires the refusal.
#[test]
fn only_public_signature_keys_bound_to_an_algorithm_are_used() {
    let checks = Verifier::builder(ISSUER, AUDIENCE).checks().unwrap();
    let (es, ed, rs) = (&keys().es256, &keys().eddsa, &keys().rs256);
    let set = |key: &TestKey, name: &str, value: Value| with(key.jwk.clone(), name, value);
    let (x_short, y_long) = es.point()[1..].split_at(31);
    let (x_short, y_long) = (json!(b64(x_short)), json!(b64(y_long)));
    let n = |key: &TestKey| from_base64url(key.jwk["n"].as_str().unwrap());
    for (source, name, key, jwk) in [
        ("J5", "without alg", es, without(es.jwk.clone(), "alg")),
        ("RFC 7517 §4.2", "without use", es, without(es.jwk.clone(), "use")),
        ("RFC 7517 §4.2", "use enc", es, set(es, "use", json!("enc"))),
        ("RFC 7517 §4.3", "key_ops without verify", es, set(es, "key_ops", json!(["sign"]))),
        ("RFC 7517 §4.3", "key_ops that is not an array", es, set(es, "key_ops", json!("verify"))),
        ("K1", "without kid", es, without(es.jwk.clone(), "kid")),
        ("K1", "kid null", es, set(es, "kid", json!(null))),
        ("K1", "alg of another type", es, set(es, "alg", json!(["ES256"]))),
        ("J5", "alg HS256", es, set(es, "alg", json!("HS256"))),
        ("J5", "alg none", es, set(es, "alg", json!("none"))),
        ("J5", "alg of another kty", es, set(es, "alg", json!("RS256"))),
        ("J5", "kty of another alg", es, set(es, "kty", json!("OKP"))),
        ("J5", "crv of another alg", es, set(es, "crv", json!("P-384"))),
        ("J5", "without crv", es, without(es.jwk.clone(), "crv")),
        ("J5", "Ed25519 as X25519", ed, set(ed, "crv", json!("X25519"))),
        ("K1", "an EC key with d", es, set(es, "d", json!(b64([1; 32])))),
        ("K1", "an OKP key with d", ed, set(ed, "d", json!(b64([1; 32])))),
        ("K1", "an RSA key with p", rs, set(rs, "p", json!("AQAB"))),
        ("K1", "a key with k", ed, set(ed, "k", json!("AQAB"))),
        ("K3", "x too short", es, set(es, "x", json!(b64([1; 31])))),
        ("K3", "a point split after 31 bytes", es, with(set(es, "x", x_short), "y", y_long)),
        ("K3", "x too long", ed, set(ed, "x", json!(b64([1; 33])))),
        ("K3", "x with '='", es, set(es, "x", json!(format!("{}=", es.jwk["x"].as_str().unwrap())))),
        ("K3", "without y", es, without(es.jwk.clone(), "y")),
        ("K3", "n with a leading zero", rs, set(rs, "n", json!(b64([&[0], &n(rs)[..]].concat())))),
        ("RFC 7518 §3.3", "RSA of 2047 bits", rs, set(rs, "n", json!(b64([&[0x7f], &n(rs)[1..]].concat())))),
        ("RFC 7518 §3.3", "RSA of 1024 bits", rs, set(rs, "n", json!(b64(&n(rs)[..128])))),
    ] {
        let set = set_of(&[jwk]).unwrap();
        assert!(set.is_empty(), "{name} ({source})");
        let outcome = checks.verify(&key.token(&good_claims()), &set, NOW);
        assert_eq!(outcome, Err(VerifyError::UnknownKey), "{name} ({source})");
    }
    for (name, key, jwk) in [
        ("key_ops with verify", es, set(es, "key_ops", json!(["verify"]))),
        ("an unknown member", es, set(es, "x5t", json!("t"))),
        ("a crv beside an RSA key", rs, set(rs, "crv", json!("P-256"))),
    ] {
        let outcome = checks.verify(&key.token(&good_claims()), &set_of(&[jwk]).unwrap(), NOW);
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

#[test]
fn an_unusable_key_does_not_hide_the_others() {
    let strange = json!({"kty": "AKP", "alg": "ML-DSA-44", "use": "sig", "kid": "pq", "pub": "AA"});
    let symmetric = json!({"kty": "oct", "alg": "HS256", "use": "sig", "kid": "hs", "k": "AAAA"});
    let set = set_of(&[strange, symmetric, json!({}), json!({"kty": 1}), keys().es256.jwk.clone()]).unwrap();
    assert_eq!(set.len(), 1);
    assert!(!set.is_empty());
    assert_eq!(format!("{set:?}"), r#"{"es256-key"}"#);
}

#[test]
fn every_usable_key_is_counted() {
    let jwks: Vec<_> = keys().published().iter().map(|key| key.jwk.clone()).collect();
    assert_eq!(set_of(&jwks).unwrap().len(), 4);
}

#[test]
fn the_smallest_modulus_of_2048_bits_is_used() {
    let smallest = with(keys().rs256.jwk.clone(), "n", json!(b64([&[0x80][..], &[1; 255]].concat())));
    assert_eq!(set_of(&[smallest]).unwrap().len(), 1);
}

/// ring detects a point off the curve only when it verifies a signature.
#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let checks = Verifier::builder(ISSUER, AUDIENCE).checks().unwrap();
    let key = &keys().es256;
    let off = with(key.jwk.clone(), "y", json!(b64([1; 32])));
    let outcome = checks.verify(&key.token(&good_claims()), &set_of(&[off]).unwrap(), NOW);
    assert_eq!(outcome, Err(VerifyError::BadSignature));
}

#[test]
fn an_ambiguous_or_broken_set_is_refused_as_a_whole() {
    let key = &keys().es256.jwk;
    let twin = with(keys().eddsa.jwk.clone(), "kid", key["kid"].clone());
    assert_eq!(set_of(&[key.clone(), twin]).err(), Some(KeySetError::DuplicateKid));
    assert_eq!(set_of(&[key.clone(), key.clone()]).err(), Some(KeySetError::DuplicateKid));
    // A key that is not usable may have the same kid.
    let encrypts = with(key.clone(), "use", json!("enc"));
    assert_eq!(set_of(&[key.clone(), encrypts]).unwrap().len(), 1);
    let twice = json!({"keys": [key]}).to_string().replacen("{\"keys\"", "{\"keys\":[],\"keys\"", 1);
    let member_twice = json!({"keys": [key]}).to_string().replacen("\"alg\"", "\"alg\":\"RS256\",\"alg\"", 1);
    for text in ["", "{}", "[]", "null", "[[]]", "{\"keys\":{}}", "{\"keys\":null}", "{\"keys\":[1]}"] {
        assert_eq!(KeySet::parse(text.as_bytes()).err(), Some(KeySetError::NotAKeySet), "{text}");
    }
    assert_eq!(KeySetError::NotAKeySet.to_string(), "the key set is not valid: it is not a JWK Set");
    assert_eq!(
        KeySetError::DuplicateKid.to_string(),
        "the key set is not valid: two of its keys have the same kid"
    );
    for text in [twice, member_twice] {
        assert_eq!(KeySet::parse(text.as_bytes()).err(), Some(KeySetError::NotAKeySet), "{text}");
    }
}

fn from_base64url(text: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).unwrap()
}
