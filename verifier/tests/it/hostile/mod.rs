//! Tokens that must be refused, one row each: what requires the refusal, the change to the token, and
//! the error. Each row differs from a valid token only in what its name says.

mod claims;
mod encoding;
mod header;
mod signature;

use crate::support::{FakeIssuer, LIST, TestClock, TestKey, builder, good_claims, keys, with};
use mintmark_verifier::{Answer, VerifyError};
use serde_json::Value;
use std::collections::HashSet;

/// One refusal.
struct Row {
    /// The point of docs/conformance.md, or the standard, advisory or document, that requires the refusal.
    source: &'static str,
    name: String,
    token: String,
    expected: VerifyError,
    /// For a verifier that accepts never-expiring tokens.
    opted_in: bool,
}

fn row(source: &'static str, name: impl Into<String>, token: String, expected: VerifyError) -> Row {
    Row { source, name: name.into(), token, expected, opted_in: false }
}

impl Row {
    fn opted_in(self) -> Self {
        Self { opted_in: true, ..self }
    }
}

/// The key of all rows that do not name another.
fn key() -> &'static TestKey {
    &keys().es256
}

/// A token that is valid except for one header member.
fn header(name: &str, value: Value) -> String {
    key().token_with(&with(key().header(), name, value), &good_claims())
}

/// A token that is valid except for one claim.
fn claim(name: &str, value: Value) -> String {
    key().token(&with(good_claims(), name, value))
}

const HEADER: VerifyError = VerifyError::Malformed("its header is not a JSON object with unique members");
const PAYLOAD: VerifyError = VerifyError::Malformed("its payload is not a JSON object with unique members");
const BASE64: VerifyError = VerifyError::Malformed("a part is not base64url");
const PARTS: VerifyError = VerifyError::Malformed("it does not have three parts");
const CLAIM: VerifyError =
    VerifyError::InvalidClaims("a claim is missing, has the wrong type or is out of range");

#[tokio::test]
async fn hostile_tokens_are_refused() {
    let (issuer, clock) = (FakeIssuer::new(), TestClock::new());
    let strict = builder(&issuer, &clock).require_product("gst").build().unwrap();
    let opted_in = builder(&issuer, &clock).allow_never_expiring(true).build().unwrap();
    let good = key().token(&good_claims());
    assert!(strict.verify(&good).await.is_ok() && opted_in.verify(&good).await.is_ok());

    let rows: Vec<Row> =
        [header::rows(), signature::rows(), encoding::rows(), claims::rows()].into_iter().flatten().collect();
    let mut names = HashSet::new();
    let mut wrong = Vec::new();
    for row in &rows {
        assert!(names.insert((row.source, &row.name)), "two rows: {} {}", row.source, row.name);
        let verifier = if row.opted_in { &opted_in } else { &strict };
        let (fetching, cached) = (verifier.verify(&row.token).await, verifier.verify_cached(&row.token));
        for (way, outcome) in [("verify", fetching), ("verify_cached", cached)] {
            if outcome.as_ref().err() != Some(&row.expected) {
                wrong.push(format!(
                    "{way}, {} ({}): {outcome:?}, not {:?}",
                    row.name, row.source, row.expected
                ));
            }
        }
        let answer = if matches!(row.expected, VerifyError::MissingProduct(_)) {
            Answer::InsufficientScope
        } else {
            Answer::InvalidToken
        };
        assert_eq!(row.expected.answer(), answer, "{}", row.name);
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));

    // No content of a token makes the verifier fetch anything but the issuer's own URLs.
    let own = |url: &String| url.starts_with("https://tokens.example.com/.well-known/") || url == LIST;
    assert!(issuer.asked().iter().all(own), "{:?}", issuer.asked());
}

/// With strict base64url a token has only one spelling.
#[tokio::test]
async fn no_single_character_can_be_changed() {
    let verifier = builder(&FakeIssuer::new(), &TestClock::new()).build().unwrap();
    let good = keys().eddsa.token(&good_claims());
    assert!(verifier.verify(&good).await.is_ok());
    for at in 0..good.len() {
        for other in ["A", "B", "_", ".", "="] {
            let mut changed = good.clone();
            changed.replace_range(at..=at, other);
            if changed != good {
                assert!(verifier.verify_cached(&changed).is_err(), "{other} at {at}");
            }
        }
        let mut shorter = good.clone();
        shorter.remove(at);
        assert!(verifier.verify_cached(&shorter).is_err(), "without {at}");
    }
}
