//! Answers made by other implementations, good and hostile, from `tests/vectors/passkeys.py`; and arbitrary bytes.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::authenticator_data::AuthenticatorData;
use super::cose::PublicKey;
use super::*;

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/passkeys.json")))
        .unwrap()
});

fn site() -> RelyingParty {
    let member = |name: &str| VECTORS["site"][name].as_str().unwrap().to_owned();
    RelyingParty { id: member("id"), origin: member("origin") }
}

fn all(kind: &str) -> &'static [Value] {
    VECTORS[kind].as_array().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn register(vector: &Value) -> Result<NewPasskey, Refused> {
    let challenge = vector["challenge"].as_str().unwrap();
    Registration::read(&vector["answer"].to_string())?.verify(&site(), challenge)
}

fn sign_in(vector: &Value) -> Result<u32, Refused> {
    let stored = &vector["stored"];
    let (key, handle) = (bytes(&stored["public_key"]), bytes(&stored["handle"]));
    let stored = StoredKey { public_key: &key, sign_count: number(&stored["sign_count"]), handle: &handle };
    let answer = SignIn::read(&vector["answer"].to_string())?;
    assert_eq!(answer.credential_id(), bytes(&vector["answer"]["id"]));
    answer.verify(&site(), vector["challenge"].as_str().unwrap(), &stored)
}

/// The verdicts on the vectors of this name, of which there must be at least one: `None` for an answer that is accepted.
fn said_of(name: &str) -> Vec<Option<Refused>> {
    let named = |kind| all(kind).iter().filter(|vector| vector["name"] == name);
    let registrations = named("registrations").map(|vector| register(vector).err());
    let said: Vec<_> = registrations.chain(named("sign_ins").map(|vector| sign_in(vector).err())).collect();
    assert!(!said.is_empty(), "no vector is named {name}");
    said
}

/// Asserts that every vector of these names is refused for this reason.
fn refused(names: &[&str], why: Refused) {
    for name in names {
        for said in said_of(name) {
            assert_eq!(said, Some(why), "{name}");
        }
    }
}

/// The Python package `webauthn` comes to the same verdicts, except that it accepts the vectors with `only_ours`.
#[test]
fn every_vector_gets_the_verdict_that_it_names() {
    let expected = |vector: &Value| vector["refused"].as_str().map(str::to_owned);
    let found = |said: Option<Refused>| said.map(|refused| format!("{refused:?}"));
    for vector in all("registrations") {
        let registered = register(vector);
        assert_eq!(found(registered.clone().err()), expected(vector), "{}", vector["name"]);
        if let Ok(passkey) = registered {
            let wanted = &vector["passkey"];
            assert_eq!(passkey.credential_id, bytes(&wanted["credential_id"]));
            assert_eq!(passkey.public_key, bytes(&wanted["public_key"]));
            assert_eq!(passkey.alg, wanted["alg"].as_i64().unwrap());
            assert_eq!(passkey.sign_count, number(&wanted["sign_count"]));
        }
    }
    for vector in all("sign_ins") {
        let signed_in = sign_in(vector);
        assert_eq!(found(signed_in.err()), expected(vector), "{}", vector["name"]);
        if let Ok(count) = signed_in {
            assert_eq!(count, number(&vector["sign_count"]));
        }
    }
    assert!(all("registrations").len() > 30 && all("sign_ins").len() > 30);
}

#[test]
fn keys_of_all_three_algorithms_register_and_sign() {
    for alg in ["ES256", "EdDSA", "RS256"] {
        assert_eq!(said_of(alg), [None, None], "{alg}");
    }
}

#[test]
fn members_that_browsers_add_are_ignored() {
    assert_eq!(said_of("members that browsers add"), [None, None]);
    assert_eq!(said_of("without crossOrigin"), [None, None]);
}

#[test]
fn the_origin_badexample_com_is_not_example_com() {
    refused(&["origin of another domain that ends the same"], Refused::Origin);
}

#[test]
fn any_difference_in_the_origin_is_refused() {
    refused(&["origin of a sub-domain", "origin with a port", "origin without TLS"], Refused::Origin);
    refused(&["origin with a slash", "origin in capitals"], Refused::Origin);
}

#[test]
fn a_sign_in_is_no_registration_and_the_other_way_round() {
    refused(&["the other ceremony", "no type"], Refused::Type);
}

#[test]
fn another_challenge_is_refused() {
    refused(&["another challenge"], Refused::Challenge);
}

#[test]
fn a_page_within_another_site_is_refused() {
    refused(&["embedded in another site", "topOrigin"], Refused::CrossOrigin);
}

#[test]
fn another_relying_party_is_refused() {
    refused(&["another relying party", "the relying party of a sub-domain"], Refused::RelyingParty);
}

#[test]
fn a_user_who_was_not_verified_or_not_present_is_refused() {
    refused(&["user not verified"], Refused::UserVerification);
    refused(&["nobody present"], Refused::UserPresence);
}

#[test]
fn a_counter_that_does_not_rise_is_refused() {
    refused(&["the counter stayed", "the counter of a copy", "a counter that stopped"], Refused::Counter);
    assert_eq!(said_of("the counter rose"), [None]);
}

#[test]
fn authenticator_data_that_is_cut_off_or_too_long_is_refused() {
    refused(&["a byte too many"], Refused::AuthenticatorData);
    for said in said_of("a byte too few") {
        assert!(said.is_some());
    }
    let good = &all("sign_ins")[0]["answer"]["response"]["authenticatorData"];
    let good = bytes(good);
    for length in 0..good.len() {
        assert!(AuthenticatorData::read(&good[..length]).is_err(), "{length}");
    }
}

#[test]
fn keys_of_another_algorithm_curve_or_length_are_refused() {
    let names = [
        "an algorithm that was not asked for",
        "the algorithm of another type of key",
        "another curve",
        "a point that is too short",
        "an Ed25519 key that is too long",
        "a key without its algorithm",
    ];
    refused(&names, Refused::PublicKey);
    refused(&["a signature by another algorithm", "signed by another key"], Refused::Signature);
}

#[test]
fn a_passkey_of_another_account_is_refused() {
    refused(&["another account", "no account"], Refused::UserHandle);
}

#[test]
fn what_is_no_credential_is_refused() {
    let good = &all("registrations")[0]["answer"];
    let changed = |change: fn(&mut Value)| {
        let mut answer = good.clone();
        change(&mut answer);
        Registration::read(&answer.to_string()).err()
    };
    assert_eq!(changed(|_| ()), None);
    assert_eq!(changed(|a| a["type"] = json!("password")), Some(Refused::Json));
    assert_eq!(changed(|a| a["rawId"] = json!("a+b=")), Some(Refused::Json));
    assert_eq!(changed(|a| a["response"]["attestationObject"] = Value::Null), Some(Refused::Json));
    let twice = URL_SAFE_NO_PAD.encode(r#"{"type":"a","type":"b","challenge":"","origin":""}"#);
    let mut answer = good.clone();
    answer["response"]["clientDataJSON"] = json!(twice);
    assert_eq!(Registration::read(&answer.to_string()).err(), Some(Refused::ClientData));
    for text in ["", "null", "[]", "{}", "\"x\""] {
        assert_eq!(Registration::read(text).err(), Some(Refused::Json), "{text}");
        assert_eq!(SignIn::read(text).err(), Some(Refused::Json), "{text}");
    }
}

#[test]
fn the_relying_party_id_is_the_host_name() {
    for (origin, id) in [
        ("https://tokens.example.com", Some("tokens.example.com")),
        ("https://tokens.example.com:8443", Some("tokens.example.com")),
        ("http://localhost:8080", Some("localhost")),
        ("http://127.0.0.1:8080", None),
        ("https://[2001:db8::1]:8443", None),
        ("https://", None),
        ("example.com", None),
    ] {
        let expected = id.map(|id| RelyingParty { id: id.to_owned(), origin: origin.to_owned() });
        assert_eq!(RelyingParty::of(origin), expected, "{origin}");
    }
}

#[test]
fn options_ask_for_a_discoverable_passkey_of_a_verified_user() {
    let account = Account { handle: b"op-1", email: "ada@example.com", name: "Ada" };
    let options = registration_options(&site(), &account, "Y2hhbGxlbmdl", &[vec![1, 2, 3]]);
    assert_eq!(
        options,
        json!({
            "rp": { "id": "example.com", "name": "Mintmark" },
            "user": { "id": "b3AtMQ", "name": "ada@example.com", "displayName": "Ada" },
            "challenge": "Y2hhbGxlbmdl",
            "pubKeyCredParams": [
                { "type": "public-key", "alg": -8 },
                { "type": "public-key", "alg": -7 },
                { "type": "public-key", "alg": -257 },
            ],
            "timeout": 300_000,
            "excludeCredentials": [{ "type": "public-key", "id": "AQID" }],
            "authenticatorSelection": {
                "residentKey": "required", "requireResidentKey": true, "userVerification": "required",
            },
            "attestation": "none",
        })
    );
    assert_eq!(
        sign_in_options(&site(), "Y2hhbGxlbmdl"),
        json!({
            "challenge": "Y2hhbGxlbmdl", "rpId": "example.com", "timeout": 300_000, "allowCredentials": [],
            "userVerification": "required",
        })
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic_and_are_no_credential(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = AuthenticatorData::read(&bytes);
        let _ = PublicKey::read(&bytes);
        let text = URL_SAFE_NO_PAD.encode(&bytes);
        let answer = json!({
            "type": "public-key", "rawId": text,
            "response": { "clientDataJSON": text, "attestationObject": text, "authenticatorData": text, "signature": text, "userHandle": text },
        }).to_string();
        prop_assert!(Registration::read(&answer).is_err() && SignIn::read(&answer).is_err());
    }

    /// A good answer with one changed byte is refused, and nothing panics. The first three sign-ins of the vectors are good.
    #[test]
    fn a_sign_in_with_a_changed_byte_is_refused(which in 0_usize..3, member in 0_usize..3, at in any::<prop::sample::Index>(), by in 1_u8..) {
        let mut vector = all("sign_ins")[which].clone();
        let name = ["authenticatorData", "clientDataJSON", "signature"][member];
        let mut changed = bytes(&vector["answer"]["response"][name]);
        let at = at.index(changed.len());
        changed[at] ^= by;
        vector["answer"]["response"][name] = json!(URL_SAFE_NO_PAD.encode(changed));
        prop_assert!(sign_in(&vector).is_err());
    }

    /// A registration is not signed, so one with a changed byte may be accepted. One that is cut off is refused, and nothing
    /// panics. The first eight registrations of the vectors are good.
    #[test]
    fn a_registration_with_a_changed_byte_does_not_panic(which in 0_usize..8, at in any::<prop::sample::Index>(), by in 1_u8.., cut in any::<bool>()) {
        let mut vector = all("registrations")[which].clone();
        let mut changed = bytes(&vector["answer"]["response"]["attestationObject"]);
        let at = at.index(changed.len());
        changed[at] ^= by;
        if cut {
            changed.truncate(at);
        }
        vector["answer"]["response"]["attestationObject"] = json!(URL_SAFE_NO_PAD.encode(changed));
        let registered = register(&vector);
        prop_assert!(!cut || registered.is_err());
    }
}
