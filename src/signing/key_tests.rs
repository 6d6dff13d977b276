//! Keys are generated, imported, sealed and opened again; signatures are checked by ring's own verifier.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

use super::super::sample::{GENERATE_EC, GENERATE_ED, RSA, openssl};
use super::*;
use crate::vault::root::RootKey;

/// An imported key of each algorithm, and a generated key of each kind that this build can generate.
fn keys() -> Vec<NewKey> {
    let mut keys = vec![
        NewKey::import(Alg::ES256, &openssl(GENERATE_EC, "")).unwrap(),
        NewKey::import(Alg::EdDSA, &openssl(GENERATE_ED, "")).unwrap(),
        NewKey::import(Alg::RS256, &RSA).unwrap(),
        NewKey::import(Alg::PS256, &RSA).unwrap(),
        NewKey::generate(Alg::ES256).unwrap(),
        NewKey::generate(Alg::EdDSA).unwrap(),
    ];
    if super::super::private_key::GENERATES_RSA {
        keys.push(NewKey::generate(Alg::RS256).unwrap());
    }
    keys
}

fn is_signature(jwk: &Value, message: &[u8], signature: &[u8]) -> bool {
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    match jwk["alg"].as_str().unwrap() {
        "ES256" => {
            let point = [vec![4], member("x"), member("y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
        }
        "EdDSA" => UnparsedPublicKey::new(&ED25519, member("x")).verify(message, signature),
        rsa => RsaPublicKeyComponents { n: member("n"), e: member("e") }.verify(
            if rsa == "RS256" { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 },
            message,
            signature,
        ),
    }
    .is_ok()
}

#[test]
fn signatures_verify_with_the_published_key() {
    for key in keys() {
        let jwk: Value = serde_json::from_str(&key.pair.public().json).unwrap();
        let mut out = [0; MAX_SIGNATURE_LEN];
        let signature = key.pair.sign(b"message", &mut out).unwrap();
        assert_eq!(signature.len(), key.pair.signature_len());
        assert!(is_signature(&jwk, b"message", signature), "{jwk}");
        assert!(!is_signature(&jwk, b"massage", signature), "{jwk}");
    }
}

#[test]
fn the_published_key_is_well_formed_and_has_only_public_members() {
    for key in keys() {
        let jwk: Value = serde_json::from_str(&key.pair.public().json).unwrap();
        let members = jwk.as_object().unwrap();
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(!members.contains_key(private), "{private}");
        }
        assert_eq!((&jwk["use"], &jwk["kid"]), (&"sig".into(), &key.kid().into()));
        assert_eq!(jwk["alg"], key.pair.alg().as_str());
        if let Some(n) = jwk.get("n") {
            assert_ne!(URL_SAFE_NO_PAD.decode(n.as_str().unwrap()).unwrap()[0], 0, "n has no leading zero");
            assert_eq!(jwk["e"], "AQAB");
        }
        assert!(!key.pair.public().json.contains('='));
    }
}

/// RFC 8037: the key of appendix A.1, the message and signature of appendix A.4.
#[test]
fn ed25519_signs_as_in_the_rfc() {
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    // What precedes the seed in the PKCS#8 form of an Ed25519 key (RFC 8410 §7).
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let pair = KeyPair::from_pkcs8(Alg::EdDSA, &[&head[..], &seed].concat()).unwrap();
    assert_eq!(pair.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let mut out = [0; MAX_SIGNATURE_LEN];
    let signature = pair.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", &mut out).unwrap();
    assert_eq!(
        URL_SAFE_NO_PAD.encode(signature),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_stored_key_opens_again_and_a_damaged_renamed_or_foreign_one_does_not() {
    let random = Random::new();
    let subkeys = RootKey::generate(&random).unwrap().subkeys();
    for key in keys() {
        let kid = key.kid().to_owned();
        let stored = key.into_record(UseFor::Expiring, Phase::Active, 10, 20, &subkeys, &random).unwrap();
        assert_eq!((stored.kid.as_str(), stored.created_at, stored.activates_at), (kid.as_str(), 10, 20));
        assert_eq!(KeyPair::open(&stored, &subkeys).unwrap().unwrap().kid(), kid);

        let without = SigningKey { sealed_private: None, ..stored.clone() };
        assert!(KeyPair::open(&without, &subkeys).unwrap().is_none());
        let mut damaged = stored.clone();
        damaged.sealed_private.as_mut().unwrap()[30] ^= 1;
        let renamed = SigningKey { kid: "other".to_owned(), ..stored.clone() };
        for bad in [damaged, renamed] {
            let error = KeyPair::open(&bad, &subkeys).unwrap_err().to_string();
            assert!(error.contains(&bad.kid) && error.contains("damaged"), "{error}");
        }
        let elsewhere = RootKey::generate(&random).unwrap().subkeys();
        let error = KeyPair::open(&stored, &elsewhere).unwrap_err().to_string();
        assert!(error.contains("another key"), "{error}");
    }
}

#[test]
fn an_rsa_key_has_the_same_kid_for_both_algorithms() {
    let (a, b) = (NewKey::import(Alg::RS256, &RSA).unwrap(), NewKey::import(Alg::PS256, &RSA).unwrap());
    assert_eq!(a.kid(), b.kid());
}

#[test]
fn rsa_keys_are_generated_only_if_the_build_can() {
    let made = NewKey::generate(Alg::RS256);
    assert_eq!(made.is_ok(), super::super::private_key::GENERATES_RSA);
    if let Err(error) = made {
        assert_eq!(error, KeyError::NotGenerated(Alg::RS256));
        assert!(error.to_string().contains("openssl genpkey"), "{error}");
    }
}

#[test]
fn a_private_key_that_does_not_match_its_public_key_is_refused() {
    let pkcs8 = pkcs8_from_pem(Alg::ES256, &openssl(GENERATE_EC, "")).unwrap();
    let mut other = pkcs8.to_vec();
    // The public key is at the end.
    *other.last_mut().unwrap() ^= 1;
    let error = KeyPair::from_pkcs8(Alg::ES256, &other).unwrap_err();
    assert!(matches!(error, ImportFault::Rejected(_, Alg::ES256)), "{error}");
}

#[test]
fn debug_prints_only_the_kid() {
    let key = NewKey::generate(Alg::EdDSA).unwrap();
    assert_eq!(format!("{key:?}"), format!("NewKey {{ kid: {:?}, .. }}", key.kid()));
}
