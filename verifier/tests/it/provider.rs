//! The provider for `jsonwebtoken`: it verifies and computes digests, and it cannot sign.

use crate::support::b64;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use mintmark_verifier::provider;

/// RFC 8037 §A.4: an Ed25519 signature over `Example of Ed25519 signing`.
const RFC8037_MESSAGE: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const RFC8037_SIGNATURE: &str =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const RFC8037_JWK: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

#[test]
fn the_provider_verifies_a_published_example() {
    provider::install();
    let key = DecodingKey::from_jwk(&serde_json::from_str::<Jwk>(RFC8037_JWK).unwrap()).unwrap();
    let verify = |message: &str| {
        jsonwebtoken::crypto::verify(RFC8037_SIGNATURE, message.as_bytes(), &key, Algorithm::EdDSA).unwrap()
    };
    assert!(verify(RFC8037_MESSAGE));
    assert!(!verify(&RFC8037_MESSAGE.replace('R', "S")));
}

#[test]
fn the_provider_computes_thumbprints() {
    provider::install();
    let jwk: Jwk = serde_json::from_str(RFC8037_JWK).unwrap();
    // RFC 8037 §A.3.
    assert_eq!(
        jwk.thumbprint(ThumbprintHash::SHA256).unwrap(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn the_provider_refuses_to_sign_and_says_why() {
    provider::install();
    let error =
        encode(&Header::new(Algorithm::EdDSA), &serde_json::json!({}), &EncodingKey::from_ed_der(&[1; 32]))
            .unwrap_err();
    assert!(error.to_string().contains("only verifies"), "{error}");
}

#[test]
fn the_provider_refuses_unsuitable_keys_and_unknown_algorithms() {
    provider::install();
    let ed = DecodingKey::from_ed_der(&[1; 32]);
    let point = DecodingKey::from_ec_der(&[4; 65]);
    for (name, algorithm, key) in [
        ("an Ed25519 key for ES256", Algorithm::ES256, &ed),
        ("an EC key for EdDSA", Algorithm::EdDSA, &point),
        ("an EC key for RS256", Algorithm::RS256, &point),
        ("a secret for ES256", Algorithm::ES256, &DecodingKey::from_secret(&[4; 65])),
        ("HS256", Algorithm::HS256, &DecodingKey::from_secret(b"secret")),
        ("ES384", Algorithm::ES384, &DecodingKey::from_ec_der(&[4; 97])),
        ("a compressed point", Algorithm::ES256, &DecodingKey::from_ec_der(&[2; 33])),
        ("a point of another curve", Algorithm::ES256, &DecodingKey::from_ec_der(&[4; 97])),
        ("a short Ed25519 key", Algorithm::EdDSA, &DecodingKey::from_ed_der(&[1; 31])),
    ] {
        assert!(provider::verifier_factory(&algorithm, key).is_err(), "{name}");
    }
}

/// `jsonwebtoken` compares this with the algorithm of the header.
#[test]
fn a_verifier_names_its_algorithm() {
    let modulus = [&[0x80][..], &[1; 255]].concat();
    let rsa = DecodingKey::from_rsa_raw_components(&modulus, &[1, 0, 1]);
    for (algorithm, key) in [
        (Algorithm::ES256, &DecodingKey::from_ec_der(&[4; 65])),
        (Algorithm::EdDSA, &DecodingKey::from_ed_der(&[1; 32])),
        (Algorithm::RS256, &rsa),
        (Algorithm::PS256, &rsa),
    ] {
        assert_eq!(provider::verifier_factory(&algorithm, key).unwrap().algorithm(), algorithm);
    }
}

/// The digests of `abc` in FIPS 180-4's examples.
#[test]
fn the_provider_computes_digests() {
    for (hash, digest) in [
        (ThumbprintHash::SHA256, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"),
        (ThumbprintHash::SHA384, "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP_W-2AhgcroefMI1i67KE0yCWn"),
        (
            ThumbprintHash::SHA512,
            "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05ohkpkqJ0_BqDa6PCOj_uu9RU1EI2Q86A4qmslPpUyknw",
        ),
    ] {
        assert_eq!(b64((provider::KEY_UTILS.compute_digest)(b"abc", hash).unwrap()), digest);
    }
}
