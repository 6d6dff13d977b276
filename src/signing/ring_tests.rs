//! The ring during a rotation and with damaged rows, and compared with `rotation::signing_key`.

use mintmark_verifier::KeySetError;
use serde_json::Value;

use super::super::handle::TokenTyp;
use super::super::key::NewKey;
use super::super::rotation;
use super::super::sample::RSA;
use super::*;
use crate::vault::random::Random;
use crate::vault::root::RootKey;

struct Fixture {
    random: Random,
    subkeys: Arc<Subkeys>,
    ring: KeyRing,
}

impl Fixture {
    fn new(default_alg: Alg) -> Self {
        let random = Random::new();
        let subkeys = Arc::new(RootKey::generate(&random).unwrap().subkeys());
        Self { ring: KeyRing::new(Arc::clone(&subkeys), default_alg), random, subkeys }
    }

    fn key(&self, alg: Alg, use_for: UseFor, phase: Phase, activates_at: UnixSeconds) -> SigningKey {
        let key = if alg.is_rsa() { NewKey::import(alg, &RSA) } else { NewKey::generate(alg) }.unwrap();
        let mut key = key.into_record(use_for, phase, 0, activates_at, &self.subkeys, &self.random).unwrap();
        if phase >= Phase::Retiring {
            (key.sealed_private, key.retired_at) = (None, Some(activates_at));
        }
        key
    }
}

fn kids(jwks: &Jwks) -> Vec<String> {
    let set: Value = serde_json::from_str(&jwks.body).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_empty_ring_signs_nothing_and_publishes_an_empty_set() {
    let Fixture { ring, .. } = Fixture::new(Alg::ES256);
    assert!(ring.for_signing(Alg::ES256, UseFor::Expiring, 0).is_none());
    assert_eq!(ring.jwks().body, r#"{"keys":[]}"#);
    assert!(ring.key_set().is_empty());
}

#[test]
fn a_pending_key_signs_from_its_instant_without_another_load() {
    let f = Fixture::new(Alg::ES256);
    let keys = [
        f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 100),
        f.key(Alg::ES256, UseFor::Expiring, Phase::Pending, 1000),
        f.key(Alg::ES256, UseFor::NeverExpiring, Phase::Active, 100),
        f.key(Alg::EdDSA, UseFor::Expiring, Phase::Pending, 2000),
    ];
    assert_eq!(f.ring.load(&keys, 1), []);
    for now in [0, 50, 999, 1000, 1999, 2000, 5000] {
        for alg in Alg::ALL {
            for use_for in UseFor::ALL {
                let ring = f.ring.for_signing(alg, use_for, now).map(|handle| handle.kid().to_owned());
                let rule = rotation::signing_key(&keys, alg, use_for, now).map(|key| key.kid.clone());
                assert_eq!(ring, rule, "{alg} {use_for:?} at {now}");
            }
        }
    }
    let at = |now| f.ring.for_signing(Alg::ES256, UseFor::Expiring, now).unwrap();
    assert_eq!((at(999).kid(), at(1000).kid()), (keys[0].kid.as_str(), keys[1].kid.as_str()));
}

#[test]
fn the_key_set_lists_the_default_algorithm_first_and_no_key_that_is_gone_and_phases_are_counted() {
    let f = Fixture::new(Alg::EdDSA);
    let keys = [
        f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 1),
        f.key(Alg::EdDSA, UseFor::Expiring, Phase::Gone, 1),
        f.key(Alg::EdDSA, UseFor::Expiring, Phase::Retiring, 2),
        f.key(Alg::EdDSA, UseFor::Expiring, Phase::Pending, 9),
        f.key(Alg::EdDSA, UseFor::NeverExpiring, Phase::Active, 3),
        f.key(Alg::EdDSA, UseFor::Expiring, Phase::Active, 3),
        f.key(Alg::RS256, UseFor::Expiring, Phase::Active, 1),
    ];
    assert_eq!(f.ring.load(&keys, 1), []);
    let jwks = f.ring.jwks();
    // Within an algorithm: active keys (the expiring class first), then pending, then retiring ones.
    let expected = [5, 4, 3, 2, 0, 6].map(|i: usize| keys[i].kid.clone());
    assert_eq!(kids(&jwks), expected);
    assert_eq!(f.ring.key_set().len(), 6, "our own verifier takes every key");
    // First as stored, then from the instant at which the pending key signs.
    for (now, counts) in [(8, [1, 4, 1, 0]), (9, [0, 4, 2, 0])] {
        let phases = [Phase::Pending, Phase::Active, Phase::Retiring, Phase::Gone];
        assert_eq!(phases.map(|phase| f.ring.count(phase, now)), counts, "{now}");
    }
    assert_eq!(f.ring.published(&keys[1].kid), None);
    let (alg, use_for, phase) = (Alg::EdDSA, UseFor::Expiring, Phase::Retiring);
    let retiring = Published { alg, use_for, phase, activates_at: keys[2].activates_at };
    assert_eq!(f.ring.published(&keys[2].kid), Some(retiring));
    // 43 characters of base64url, in quotes.
    assert!(jwks.etag.starts_with('"') && jwks.etag.ends_with('"') && jwks.etag.len() == 45, "{}", jwks.etag);
}

#[test]
fn the_entity_tag_changes_with_the_keys_only() {
    let f = Fixture::new(Alg::ES256);
    let mut keys = vec![f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 1)];
    let load = |keys: &[SigningKey], as_of| {
        assert_eq!(f.ring.load(keys, as_of), []);
        f.ring.jwks().etag.clone()
    };
    let first = load(&keys, 1);
    assert_eq!(load(&keys, 2), first);
    keys.push(f.key(Alg::ES256, UseFor::Expiring, Phase::Pending, 9));
    assert_ne!(load(&keys, 3), first);
    keys.pop();
    assert_eq!(load(&keys, 4), first);
}

#[test]
fn known_keys_are_not_parsed_again_and_retired_ones_no_longer_sign() {
    let f = Fixture::new(Alg::ES256);
    let mut keys = vec![f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 1)];
    assert_eq!(f.ring.load(&keys, 1), []);
    let first = f.ring.for_signing(Alg::ES256, UseFor::Expiring, 5).unwrap();
    keys.push(f.key(Alg::ES256, UseFor::Expiring, Phase::Pending, 9));
    assert_eq!(f.ring.load(&keys, 2), []);
    assert!(Arc::ptr_eq(&first, &f.ring.for_signing(Alg::ES256, UseFor::Expiring, 5).unwrap()));

    let step = rotation::Step::Activate { kid: keys[1].kid.clone() };
    let keys = step.changes(&keys, 10);
    assert_eq!(f.ring.load(&keys, 3), []);
    assert_eq!(f.ring.for_signing(Alg::ES256, UseFor::Expiring, 10).unwrap().kid(), keys[1].kid);
    assert_eq!(kids(&f.ring.jwks()).len(), 2, "the retired key still verifies");
    assert_eq!(Arc::strong_count(&first), 1, "the ring no longer holds its private key");
}

#[test]
fn an_older_snapshot_does_not_replace_a_newer_one() {
    let f = Fixture::new(Alg::ES256);
    let old = [f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 1)];
    let new = [f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 1)];
    assert_eq!(f.ring.load(&new, 8), []);
    assert_eq!(f.ring.load(&old, 7), []);
    assert_eq!(kids(&f.ring.jwks()), [new[0].kid.clone()]);
    // A read at the same value of the counter is not older.
    assert_eq!(f.ring.load(&old, 8), []);
    assert_eq!(kids(&f.ring.jwks()), [old[0].kid.clone()]);
}

#[test]
fn a_damaged_row_is_reported_and_the_others_are_used() {
    let f = Fixture::new(Alg::ES256);
    let good = f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 1);
    let mut damaged_private = f.key(Alg::EdDSA, UseFor::Expiring, Phase::Active, 1);
    damaged_private.sealed_private.as_mut().unwrap()[40] ^= 1;
    let mut missing_private = f.key(Alg::EdDSA, UseFor::NeverExpiring, Phase::Active, 1);
    missing_private.sealed_private = None;
    let mut other_public = f.key(Alg::RS256, UseFor::Expiring, Phase::Retiring, 1);
    other_public.public_jwk = good.public_jwk.clone();
    let keys = [good.clone(), damaged_private.clone(), missing_private.clone(), other_public.clone()];

    let faults: Vec<String> = f.ring.load(&keys, 1).iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    for (fault, key) in faults.iter().zip([&damaged_private, &missing_private, &other_public]) {
        assert!(fault.contains(&key.kid) && fault.contains("backup"), "{fault}");
    }
    assert!(f.ring.for_signing(Alg::ES256, UseFor::Expiring, 1).is_some());
    assert!(f.ring.for_signing(Alg::EdDSA, UseFor::Expiring, 1).is_none());
    let mut published = kids(&f.ring.jwks());
    published.sort();
    let mut expected = [good.kid, damaged_private.kid, missing_private.kid];
    expected.sort();
    assert_eq!(published, expected, "a damaged private key still verifies");
}

#[test]
fn a_private_member_in_a_row_is_never_published() {
    let f = Fixture::new(Alg::EdDSA);
    let mut key = f.key(Alg::EdDSA, UseFor::Expiring, Phase::Active, 1);
    key.public_jwk = key.public_jwk.replacen('{', r#"{"d":"canary","#, 1);
    assert_eq!(f.ring.load(&[key], 1), []);
    assert!(!f.ring.jwks().body.contains("canary"));
}

#[test]
fn our_own_verifier_reads_the_published_set_and_accepts_a_token() {
    let f = Fixture::new(Alg::ES256);
    let keys = [f.key(Alg::ES256, UseFor::Expiring, Phase::Active, 1)];
    assert_eq!(f.ring.load(&keys, 1), []);
    let set: Result<KeySet, KeySetError> = KeySet::parse(f.ring.jwks().body.as_bytes());
    assert_eq!(set.unwrap().len(), 1);
    let checks =
        mintmark_verifier::Verifier::builder("https://issuer.example", "https://api.example").checks();
    let claims = serde_json::json!({
        "iss": "https://issuer.example", "sub": "cl_a", "client_id": "cl_a", "aud": "https://api.example", "iat": 1000,
        "exp": 2000, "jti": "j", "scope": "gst", "workspace_id": "w", "products": ["gst"],
    });
    let handle = f.ring.for_signing(Alg::ES256, UseFor::Expiring, 1000).unwrap();
    let token = handle.sign_jwt(TokenTyp::AccessToken, claims.to_string().as_bytes()).unwrap();
    assert_eq!(checks.unwrap().verify(&token, &f.ring.key_set(), 1500).unwrap().client_id, "cl_a");
}
