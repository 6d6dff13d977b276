//! ID tokens, good and hostile: each hostile one differs from a good one in what its test is named after.

use ring::hmac;
use serde_json::{Value, json};

use super::id_token::{Expected, IdToken, verify};
use super::keys::Keys;
use super::refused::Refused;
use super::sample::{Signer, encode};

const ISSUER: &str = "https://login.example.com";
const CLIENT: &str = "mintmark";
/// The time of the check. Clocks may differ by 60 seconds, and a token may be 600 seconds old.
const NOW: i64 = 1_800_000_000;

const EXPECTED: Expected<'static> =
    Expected { issuer: ISSUER, client_id: CLIENT, nonce: "n-1", authenticated_since: None, now: NOW };

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "u1", "aud": CLIENT, "exp": NOW + 300, "iat": NOW, "nonce": "n-1",
        "email": "ada@example.com", "name": "Ada", "roles": ["platform_admin", 1, "x"]})
}

/// The claims of a good token, but with this value of one claim, or without it for `null`.
fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
        value => claims[claim] = value,
    }
    claims
}

fn keys(jwks: &[Value]) -> Keys {
    Keys::read(json!({"keys": jwks}).to_string().as_bytes()).unwrap()
}

/// The verdict on a token with these claims and a valid signature.
fn judged(claims: &Value) -> Result<IdToken, Refused> {
    let signer = Signer::es256();
    let token = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), claims);
    verify(&token, &keys(&[signer.jwk("k1")]), &EXPECTED)
}

#[test]
fn a_good_token_is_read_under_every_accepted_algorithm() {
    for (alg, signer) in [
        ("ES256", Signer::es256()),
        ("EdDSA", Signer::ed()),
        ("RS256", Signer::rsa()),
        ("PS256", Signer::rsa()),
    ] {
        let token = signer.sign(&json!({"alg": alg, "kid": "k1", "typ": "JWT"}), &claims());
        let mut named = signer.jwk("k1");
        named["alg"] = json!(alg);
        for jwk in [signer.jwk("k1"), named] {
            let read = verify(&token, &keys(&[Signer::es256().jwk("k0"), jwk]), &EXPECTED).unwrap();
            assert_eq!(read.subject, "u1");
            assert_eq!((read.text("email"), read.text("roles")), (Some("ada@example.com"), None));
            assert_eq!(read.list("roles"), ["platform_admin", "x"]);
            assert_eq!((read.list("name"), read.list("none")), (vec!["Ada".to_owned()], vec![]));
        }
    }
}

#[test]
fn a_nonce_of_another_sign_in_is_refused() {
    for nonce in [json!("n-2"), json!(""), json!("N-1")] {
        assert_eq!(judged(&with("nonce", nonce)), Err(Refused::Nonce));
    }
    for nonce in [Value::Null, json!(["n-1"])] {
        assert!(matches!(judged(&with("nonce", nonce)), Err(Refused::Malformed(_))));
    }
}

#[test]
fn an_iss_of_another_provider_is_refused() {
    for issuer in
        ["https://evil.example", "https://login.example.com/", "https://login.example.com.evil.example", ""]
    {
        assert_eq!(judged(&with("iss", json!(issuer))), Err(Refused::Issuer), "{issuer}");
    }
    assert!(matches!(judged(&with("iss", Value::Null)), Err(Refused::Malformed(_))));
}

#[test]
fn an_aud_of_another_service_is_refused() {
    for audience in
        [json!("other"), json!(["other"]), json!([]), json!(""), json!("mintmark2"), json!("Mintmark")]
    {
        assert_eq!(judged(&with("aud", audience.clone())), Err(Refused::Audience), "{audience}");
    }
    for audience in [Value::Null, json!({"mintmark": 1}), json!([["mintmark"]])] {
        assert!(matches!(judged(&with("aud", audience)), Err(Refused::Malformed(_))));
    }
    assert!(judged(&with("aud", json!([CLIENT]))).is_ok());
}

#[test]
fn a_wrong_azp_or_none_for_several_audiences_is_refused() {
    assert_eq!(judged(&with("azp", json!("other"))), Err(Refused::AuthorizedParty));
    assert!(judged(&with("azp", json!(CLIENT))).is_ok());
    let mut several = with("aud", json!([CLIENT, "other"]));
    assert_eq!(judged(&several), Err(Refused::AuthorizedParty), "several services, and none is named");
    several["azp"] = json!("other");
    assert_eq!(judged(&several), Err(Refused::AuthorizedParty));
    several["azp"] = json!(CLIENT);
    assert!(judged(&several).is_ok());
}

#[test]
fn alg_none_and_other_unknown_algs_are_refused() {
    let signer = Signer::es256();
    let keys = keys(&[signer.jwk("k1")]);
    for alg in ["none", "None", "NONE", "", "ES256 ", "es256", "ES384", "RS1"] {
        let header = json!({"alg": alg, "kid": "k1"});
        let unsigned = format!("{}.{}.", encode(header.to_string()), encode(claims().to_string()));
        assert_eq!(verify(&unsigned, &keys, &EXPECTED), Err(Refused::Algorithm), "{alg}");
        assert_eq!(
            verify(&signer.sign(&header, &claims()), &keys, &EXPECTED),
            Err(Refused::Algorithm),
            "{alg}"
        );
    }
    // A good token whose signature was removed.
    let stripped = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims());
    let stripped = &stripped[..=stripped.rfind('.').unwrap()];
    assert_eq!(verify(stripped, &keys, &EXPECTED), Err(Refused::Signature));
}

#[test]
fn hmac_algs_are_refused_whatever_the_secret() {
    let signer = Signer::rsa();
    let jwk = signer.jwk("k1");
    let secrets = [
        jwk.to_string(),
        jwk["n"].as_str().unwrap().to_owned(),
        String::new(),
        // A client secret.
        "s3cret".to_owned(),
    ];
    let symmetric = json!({"kty": "oct", "kid": "k1", "k": encode("s3cret"), "alg": "HS256", "use": "sig"});
    for jwks in [vec![jwk.clone()], vec![symmetric.clone()], vec![jwk.clone(), symmetric]] {
        let keys = keys(&jwks);
        for secret in &secrets {
            for (alg, algorithm) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
            {
                let header = json!({"alg": alg, "kid": "k1"});
                let text = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
                let tag = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes());
                let token = format!("{text}.{}", encode(tag));
                assert_eq!(verify(&token, &keys, &EXPECTED), Err(Refused::Algorithm), "{alg} {jwks:?}");
            }
        }
    }
}

#[test]
fn an_alg_that_does_not_fit_the_key_is_refused() {
    let (rsa, ec) = (Signer::rsa(), Signer::es256());
    let token = rsa.sign(&json!({"alg": "RS256", "kid": "k1"}), &claims());
    assert_eq!(verify(&token, &keys(&[ec.jwk("k1")]), &EXPECTED), Err(Refused::Algorithm));
    // A key that names its algorithm verifies no other.
    let mut named = rsa.jwk("k1");
    named["alg"] = json!("PS256");
    assert_eq!(verify(&token, &keys(&[named]), &EXPECTED), Err(Refused::Algorithm));
    // A key for encryption verifies nothing.
    let mut encryption = rsa.jwk("k1");
    encryption["use"] = json!("enc");
    assert_eq!(verify(&token, &keys(&[encryption]), &EXPECTED), Err(Refused::UnknownKey));
}

#[test]
fn an_expired_token_or_a_time_of_the_wrong_type_is_refused() {
    for (exp, verdict) in [
        (json!(NOW - 60), Err(Refused::Expired)),
        (json!(NOW - 59), Ok(())),
        (json!(0), Err(Refused::Expired)),
        (json!(-1), Err(Refused::Expired)),
        (json!(1_800_000_000.5), Ok(())),
        (json!(1e300), Err(Refused::Malformed("a time is out of range"))),
        (json!(u64::MAX), Err(Refused::Malformed("a time is out of range"))),
        (json!(i64::MAX), Err(Refused::Malformed("a time is out of range"))),
    ] {
        assert_eq!(judged(&with("exp", exp.clone())).map(drop), verdict, "{exp}");
    }
    // A time of the wrong type is not treated as absent.
    for claim in ["exp", "iat", "nbf"] {
        for value in [json!("1900000000"), json!([NOW]), json!(true)] {
            assert!(matches!(judged(&with(claim, value)), Err(Refused::Malformed(_))), "{claim}");
        }
    }
    for claim in ["exp", "iat"] {
        assert!(matches!(judged(&with(claim, Value::Null)), Err(Refused::Malformed(_))), "{claim}");
    }
}

#[test]
fn an_iat_or_nbf_far_from_now_is_refused() {
    for (claim, value, verdict) in [
        ("iat", NOW + 60, Ok(())),
        ("iat", NOW + 61, Err(Refused::IssuedAt)),
        ("iat", NOW - 660, Ok(())),
        ("iat", NOW - 661, Err(Refused::IssuedAt)),
        ("nbf", NOW + 60, Ok(())),
        ("nbf", NOW + 61, Err(Refused::IssuedAt)),
    ] {
        assert_eq!(judged(&with(claim, json!(value))).map(drop), verdict, "{claim} {value}");
    }
}

#[test]
fn a_wrong_or_ambiguous_kid_is_refused() {
    let (signer, other) = (Signer::es256(), Signer::es256());
    let published = keys(&[signer.jwk("k1"), other.jwk("k2")]);
    for kid in ["k3", "", "K1"] {
        let token = signer.sign(&json!({"alg": "ES256", "kid": kid}), &claims());
        assert_eq!(verify(&token, &published, &EXPECTED), Err(Refused::UnknownKey), "{kid}");
    }
    let token = signer.sign(&json!({"alg": "ES256", "kid": "k2"}), &claims());
    assert_eq!(verify(&token, &published, &EXPECTED), Err(Refused::Signature), "the kid of another key");
    // A token without a kid is accepted only if exactly one key fits.
    let token = signer.sign(&json!({"alg": "ES256"}), &claims());
    assert_eq!(verify(&token, &published, &EXPECTED), Err(Refused::UnknownKey));
    assert!(verify(&token, &keys(&[signer.jwk("k1"), Signer::ed().jwk("k2")]), &EXPECTED).is_ok());
    assert_eq!(verify(&token, &keys(&[]), &EXPECTED), Err(Refused::UnknownKey));
    // With two keys of the same kid, it is unclear which one is meant.
    let token = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims());
    assert_eq!(
        verify(&token, &keys(&[other.jwk("k1"), signer.jwk("k1")]), &EXPECTED),
        Err(Refused::UnknownKey)
    );
}

#[test]
fn a_key_in_the_token_itself_does_not_count() {
    let (own, published) = (Signer::es256(), Signer::es256());
    let header = json!({"alg": "ES256", "kid": "k1", "jwk": own.jwk("k1"), "jku": "https://evil.example"});
    let token = own.sign(&header, &claims());
    assert_eq!(verify(&token, &keys(&[published.jwk("k1")]), &EXPECTED), Err(Refused::Signature));
}

#[test]
fn malformed_tokens_and_other_types_of_tokens_are_refused() {
    let signer = Signer::es256();
    let keys = keys(&[signer.jwk("k1")]);
    for header in [
        json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}),
        json!({"alg": "ES256", "kid": "k1", "typ": "logout+jwt"}),
        json!({"alg": "ES256", "kid": "k1", "crit": ["b64"], "b64": false}),
        json!({"alg": ["ES256"], "kid": "k1"}),
        json!({"kid": "k1"}),
    ] {
        let verdict = verify(&signer.sign(&header, &claims()), &keys, &EXPECTED);
        assert!(matches!(verdict, Err(Refused::Malformed(_))), "{header}: {verdict:?}");
    }
    let good = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims());
    for token in [
        String::new(),
        "..".to_owned(),
        format!("{good}.x"),
        format!("{good}="),
        good.replace('.', ""),
        "a".repeat(65 * 1024),
    ] {
        let verdict = verify(&token, &keys, &EXPECTED);
        assert!(matches!(verdict, Err(Refused::Malformed(_))), "{token}: {verdict:?}");
    }
    for claim in ["sub", "aud", "iss"] {
        let twice = claims().to_string().replacen('{', &format!("{{\"{claim}\": \"evil\","), 1);
        let token = signer.sign_text(&json!({"alg": "ES256", "kid": "k1"}), &twice);
        let verdict = verify(&token, &keys, &EXPECTED);
        assert!(matches!(verdict, Err(Refused::Malformed(_))), "{claim} is there twice: {verdict:?}");
    }
    for subject in [json!(""), json!("a\0b"), json!("a".repeat(256)), json!(7)] {
        assert!(matches!(judged(&with("sub", subject)), Err(Refused::Malformed(_))));
    }
}

#[test]
fn every_changed_byte_of_a_token_is_noticed() {
    let signer = Signer::ed();
    let keys = keys(&[signer.jwk("k1")]);
    let token = signer.sign(&json!({"alg": "EdDSA", "kid": "k1"}), &claims());
    assert!(verify(&token, &keys, &EXPECTED).is_ok());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verify(&changed, &keys, &EXPECTED).is_err(), "byte {at}");
    }
}

#[test]
fn a_fresh_sign_in_needs_a_recent_auth_time() {
    let signer = Signer::es256();
    let keys = keys(&[signer.jwk("k1")]);
    let expected = Expected { authenticated_since: Some(NOW - 30), ..EXPECTED };
    for (auth_time, verdict) in [
        (json!(NOW), Ok(())),
        (json!(NOW - 90), Ok(())),
        (json!(NOW - 91), Err(Refused::AuthTime)),
        (Value::Null, Err(Refused::AuthTime)),
    ] {
        let token = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &with("auth_time", auth_time.clone()));
        assert_eq!(verify(&token, &keys, &expected).map(drop), verdict, "{auth_time}");
    }
}

#[test]
fn unusable_keys_are_skipped_and_a_body_that_is_no_jwk_set_is_refused() {
    let signer = Signer::es256();
    let token = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims());
    let other = [
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "k2", "use": "sig"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "k3"}),
        json!({"kid": "k4"}),
        json!("key"),
        json!({"kty": "RSA", "n": "AA", "e": "AQAB", "kid": "k5", "alg": "RSA-OAEP", "use": "enc"}),
        signer.jwk("k1"),
    ];
    assert!(verify(&token, &keys(&other), &EXPECTED).is_ok());
    for body in [&b""[..], b"{}", b"[]", br#"{"keys": 1}"#] {
        assert!(matches!(Keys::read(body), Err(Refused::Keys(_))));
    }
}
