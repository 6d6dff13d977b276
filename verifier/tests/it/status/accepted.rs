//! Which lists are accepted: one row for each way in which an answer is not a valid list of the issuer. Such an answer
//! has the effect of no answer, and does not replace the cached list.

use super::{set_slot, set_up, token};
use crate::support::{
    AUDIENCE, FakeIssuer, ISSUER, LIST, NOW, TestKey, b64, good_claims, keys, list_claims, slots, with,
    without, zlib,
};
use mintmark_verifier::{Fetched, MAX_STATUS_LIST_BYTES, Unavailable, VerifyError};
use serde_json::{Value, json};
use std::collections::HashSet;

/// A name, the body, and why it is refused.
type Row = (String, Vec<u8>, &'static str);

const NOT_A_LIST: &str = "its typ is not statuslist+jwt";
const NOT_A_JWS: &str = "it is not a signed status list";
const ALGORITHM: &str = "its alg is not that of its key";
const SIGNATURE: &str = "its signature is not valid";
const CLAIMS: &str = "its claims are not valid for a status list";
const ZLIB: &str = "its lst is not a complete zlib stream";
const ENDED: &str = "it has expired, or its ttl was over on arrival";

fn good() -> Value {
    list_claims(&slots(2, &[]))
}

fn key() -> &'static TestKey {
    &keys().es256
}

fn list_header() -> Value {
    with(key().header(), "typ", json!("statuslist+jwt"))
}

fn row(name: impl Into<String>, body: impl Into<Vec<u8>>, why: &'static str) -> Row {
    (name.into(), body.into(), why)
}

fn header(name: &str, value: Value, why: &'static str) -> Row {
    let title = format!("header {name} {value}");
    row(title, key().token_with(&with(list_header(), name, value), &good()), why)
}

/// The claim is inserted as text, because a JSON library would normalise some numbers.
fn claim(name: &str, literal: &str, why: &'static str) -> Row {
    let payload = with(good(), name, json!("@")).to_string().replace("\"@\"", literal);
    row(format!("{name} {literal}"), key().token_of(list_header().to_string(), payload), why)
}

fn of_another_kind() -> Vec<Row> {
    let mut rows = vec![
        row("an access token", token(), NOT_A_LIST),
        row(
            "an access token whose header says list",
            key().token_with(&list_header(), &good_claims()),
            CLAIMS,
        ),
        row("a list whose header says access token", key().token(&good()), NOT_A_LIST),
        row("no typ", key().token_with(&without(list_header(), "typ"), &good()), NOT_A_LIST),
        header("typ", json!(null), NOT_A_JWS),
    ];
    for typ in
        ["JWT", "at+jwt", "token-introspection+jwt", "statuslist+cwt", "statuslist", "", "statuslist+jwt "]
    {
        rows.push(header("typ", json!(typ), NOT_A_LIST));
    }
    let introspection =
        json!({"iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "token_introspection": {"active": true}});
    let introspection =
        key().token_with(&with(list_header(), "typ", json!("token-introspection+jwt")), &introspection);
    rows.push(row("an introspection response", introspection, NOT_A_LIST));
    rows
}

fn not_signed_by_the_issuer() -> Vec<Row> {
    let swapped = |alg: &str| with(list_header(), "alg", json!(alg));
    let unsigned = format!("{}.{}.", b64(swapped("none").to_string()), b64(good().to_string()));
    let own = with(list_header(), "jwk", keys().foreign.jwk.clone());
    let good_list = key().list(&good());
    let (signed, signature) = good_list.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let revoked = b64(list_claims(&slots(2, &[(1, 1)])).to_string());
    vec![
        row("unsigned", unsigned, ALGORITHM),
        row("alg none, signed", key().token_with(&swapped("none"), &good()), ALGORITHM),
        row("alg HS256", key().token_with(&swapped("HS256"), &good()), ALGORITHM),
        row("alg of another key", key().token_with(&swapped("EdDSA"), &good()), ALGORITHM),
        row("another key under the kid", keys().foreign.list(&good()), SIGNATURE),
        row("a key inside its header", keys().foreign.token_with(&own, &good()), SIGNATURE),
        row("another payload", format!("{head}.{revoked}.{signature}"), SIGNATURE),
        row("no signature", format!("{signed}."), SIGNATURE),
        row(
            "an unknown kid",
            TestKey::es256("unknown").list(&good()),
            "its kid is not in the issuer's key set",
        ),
        row("no kid", key().token_with(&without(list_header(), "kid"), &good()), NOT_A_JWS),
        header("crit", json!(["exp"]), NOT_A_JWS),
    ]
}

fn of_another_list() -> Vec<Row> {
    let mut rows = Vec::new();
    for sub in [
        "https://tokens.example.com/oauth2/status-lists/4",
        "",
        "3",
        &format!("{LIST}/"),
        &LIST.to_uppercase(),
    ] {
        rows.push(claim("sub", &json!(sub).to_string(), "its sub is the URI of another list"));
    }
    for iss in ["https://evil.example", "https://tokens.example.com/", ""] {
        rows.push(claim("iss", &json!(iss).to_string(), "its iss is another issuer"));
    }
    rows
}

fn instants() -> Vec<Row> {
    let mut rows = Vec::new();
    let mistyped = ["null", "\"60\"", "60.0", "60.5", "6e1", "-1", "true", "[60]", "18446744073709551616"];
    for literal in mistyped {
        rows.extend(["iat", "exp", "ttl"].map(|name| claim(name, literal, CLAIMS)));
    }
    for name in ["iat", "exp", "ttl", "sub", "status_list"] {
        rows.push(row(format!("no {name}"), key().list(&without(good(), name)), CLAIMS));
    }
    rows.push(claim("ttl", "0", "its ttl is not positive"));
    rows.push(claim("ttl", "4294967296", CLAIMS));
    rows.push(claim("exp", "0", ENDED));
    rows.push(claim("exp", &(NOW - 1).to_string(), ENDED));
    rows.push(claim("exp", &NOW.to_string(), ENDED));
    rows
}

fn slots_that_cannot_be_read() -> Vec<Row> {
    let status_list =
        |name: &str, value: Value, why| row(name.to_owned(), key().list(&list_claims(&value)), why);
    let bits =
        |bits: Value, why| status_list(&format!("bits {bits}"), with(slots(2, &[]), "bits", bits), why);
    let lst = |name: &str, lst: String, why| status_list(name, json!({"bits": 2, "lst": lst}), why);
    let whole = zlib(&[7; 1000]);
    let (cut, mut wrong_sum, mut longer) = (&whole[..whole.len() - 5], whole.clone(), whole.clone());
    *wrong_sum.last_mut().unwrap() ^= 1;
    longer.push(0);
    let no_bits = "its bits are not 1, 2, 4 or 8";
    let bound = "its lst decompresses to more than 1 MiB";
    let mut rows: Vec<Row> =
        [0, 3, 5, 6, 7, 9, 16, 64].into_iter().map(|n| bits(json!(n), no_bits)).collect();
    rows.extend([json!(null), json!("2"), json!(2.0), json!(-2)].map(|value| bits(value, CLAIMS)));
    rows.extend([
        status_list("an array", json!([2, b64(&whole)]), CLAIMS),
        status_list("no lst", json!({"bits": 2}), CLAIMS),
        status_list("no bits", json!({"lst": b64(&whole)}), CLAIMS),
        lst("lst with =", format!("{}=", b64(&whole)), "its lst is not base64url"),
        lst("lst in base64", "+/+/".to_owned(), "its lst is not base64url"),
        lst("an empty lst", String::new(), ZLIB),
        lst("lst not zlib", b64("not zlib at all"), ZLIB),
        lst("lst not compressed", b64([0; 2048]), ZLIB),
        lst("lst without its zlib header", b64(&whole[2..]), ZLIB),
        lst("lst cut off", b64(cut), ZLIB),
        lst("lst cut off before its checksum", b64(&whole[..whole.len() - 4]), ZLIB),
        lst("lst with a wrong checksum", b64(&wrong_sum), ZLIB),
        lst("lst with a byte after its end", b64(&longer), ZLIB),
        lst("lst of one byte too many", b64(zlib(&vec![0; MAX_STATUS_LIST_BYTES + 1])), bound),
        lst("a bomb", b64(zlib(&vec![0; 16 << 20])), bound),
    ]);
    rows
}

fn not_what_was_asked_for() -> Vec<Row> {
    let list = key().list(&good());
    let twice = good().to_string().replacen('{', "{\"ttl\":9,", 1);
    vec![
        row("nothing", "", NOT_A_JWS),
        row("a page", "<html>", NOT_A_JWS),
        row("bare claims", good().to_string(), NOT_A_JWS),
        row("a list and a line break", format!("{list}\n"), NOT_A_JWS),
        row("two lists", format!("{list}{list}"), NOT_A_JWS),
        row("bytes", vec![0xff; 100], NOT_A_JWS),
        row("a claim twice", key().token_of(list_header().to_string(), twice), CLAIMS),
    ]
}

#[tokio::test]
async fn an_answer_that_is_not_a_list_of_the_issuer_is_refused() {
    let rows = [
        of_another_kind(),
        not_signed_by_the_issuer(),
        of_another_list(),
        instants(),
        slots_that_cannot_be_read(),
        not_what_was_asked_for(),
    ];
    let mut names = HashSet::new();
    for (name, body, why) in rows.into_iter().flatten() {
        assert!(names.insert(name.clone()), "two rows: {name}");
        let (issuer, clock, verifier) = set_up();
        issuer.answer(LIST, body.clone());
        let error = verifier.verify(&token()).await.unwrap_err();
        let refused =
            VerifyError::StatusUnavailable(Unavailable::InvalidAnswer { url: LIST.to_owned(), why });
        assert_eq!(error, refused, "{name}");
        assert_eq!(error.answer().status(), 503, "{name}");

        // The answer does not replace a cached list, nor extend its life: the list is due after 45 s and ends after 60 s.
        clock.advance(10);
        set_slot(&issuer, &clock, 0);
        verifier.verify(&token()).await.unwrap();
        issuer.answer(LIST, body);
        clock.advance(45);
        verifier.verify(&token()).await.unwrap();
        clock.advance(15);
        let error = verifier.verify(&token()).await.unwrap_err();
        assert_eq!(error.code(), "status_unavailable", "{name}");
    }
    assert!(names.len() > 90, "{}", names.len());
}

#[tokio::test]
async fn an_answer_that_is_not_200_is_refused() {
    for status in [201, 204, 206, 301, 302, 304, 400, 404, 406, 410, 500, 501, 503] {
        let (issuer, _, verifier) = set_up();
        let body = key().list(&good()).into_bytes();
        issuer.respond(LIST, Fetched { status, body, ..Fetched::default() });
        let unavailable = Unavailable::Status { url: LIST.to_owned(), status };
        assert_eq!(verifier.verify(&token()).await, Err(VerifyError::StatusUnavailable(unavailable)));
    }
}

/// Lists are signed by the same keys as tokens, so only `typ` tells them apart.
#[tokio::test]
async fn a_list_is_not_an_access_token() {
    let (_, _, verifier) = set_up();
    let both = good_claims().as_object().unwrap().clone().into_iter();
    let both: Value =
        both.chain(good().as_object().unwrap().clone()).filter(|(name, _)| name != "sub").collect();
    let both = with(both, "sub", json!("cl_1"));
    for claims in [good(), both] {
        assert_eq!(verifier.verify(&key().list(&claims)).await, Err(VerifyError::WrongType));
    }
}

#[tokio::test]
async fn unusual_lists_that_are_valid_are_accepted() {
    for (name, claims) in [
        ("iss is the issuer", with(good(), "iss", json!(ISSUER))),
        ("the last second", with(good(), "exp", json!(NOW + 1))),
        ("a ttl of a second", with(good(), "ttl", json!(1))),
        ("the longest ttl", with(good(), "ttl", json!(u32::MAX))),
        ("an unknown claim", with(good(), "x", json!({"a": [1.5, null]}))),
        (
            "the aggregation's URI",
            with(good(), "status_list", with(slots(2, &[]), "aggregation_uri", json!("u"))),
        ),
        ("1 bit", with(good(), "status_list", slots(1, &[]))),
        ("8 bits", with(good(), "status_list", slots(8, &[]))),
    ] {
        let (issuer, _, verifier) = set_up();
        issuer.publish_list(&claims);
        assert!(verifier.verify(&token()).await.is_ok(), "{name}");
    }
    for key in keys().published() {
        let (issuer, _, verifier) = set_up();
        issuer.answer(LIST, key.list(&good()));
        assert!(verifier.verify(&token()).await.is_ok(), "signed with {}", key.alg);
    }
}

#[tokio::test]
async fn a_list_by_a_new_key_causes_a_fetch_of_the_keys() {
    let (issuer, clock, verifier) = set_up();
    verifier.refresh().await.unwrap();
    let new = TestKey::es256("new-key");
    publish_with(&issuer, &new);
    clock.advance(10);
    issuer.answer(LIST, new.list(&good()));
    verifier.verify(&token()).await.unwrap();
    assert_eq!(issuer.key_fetches(), 2);
}

fn publish_with(issuer: &FakeIssuer, new: &TestKey) {
    issuer.publish(&[key(), new]);
}
