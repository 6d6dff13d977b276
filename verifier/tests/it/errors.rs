//! The errors as a caller sees them: stable codes, the answer for each, and header values that follow the grammar of RFC 6750.

use mintmark_verifier::{Unavailable, VerifyError};
use std::collections::HashSet;

#[test]
fn each_refusal_has_its_code_and_its_answer() {
    let mut codes = HashSet::new();
    for (error, code, status, oauth_error) in [
        (VerifyError::Malformed("it is longer than 16 KiB"), "malformed", 401, Some("invalid_token")),
        (VerifyError::WrongType, "wrong_type", 401, Some("invalid_token")),
        (VerifyError::AlgorithmRefused, "algorithm_refused", 401, Some("invalid_token")),
        (VerifyError::UnknownKey, "unknown_key", 401, Some("invalid_token")),
        (VerifyError::BadSignature, "bad_signature", 401, Some("invalid_token")),
        (VerifyError::InvalidClaims("exp is missing"), "invalid_claims", 401, Some("invalid_token")),
        (VerifyError::WrongIssuer, "wrong_issuer", 401, Some("invalid_token")),
        (VerifyError::WrongAudience, "wrong_audience", 401, Some("invalid_token")),
        (VerifyError::Expired, "expired", 401, Some("invalid_token")),
        (VerifyError::NotYetValid, "not_yet_valid", 401, Some("invalid_token")),
        (VerifyError::NeverExpiresRefused, "never_expires_refused", 401, Some("invalid_token")),
        (VerifyError::BoundRefused, "bound_refused", 401, Some("invalid_token")),
        (VerifyError::MissingProduct("gst".into()), "missing_product", 403, Some("insufficient_scope")),
        (VerifyError::KeysUnavailable(Unavailable::TooOld), "keys_unavailable", 503, None),
        (VerifyError::StatusMissing, "status_missing", 401, Some("invalid_token")),
        (VerifyError::Revoked, "revoked", 401, Some("invalid_token")),
        (VerifyError::Suspended, "suspended", 401, Some("invalid_token")),
        (VerifyError::UnknownStatus(3), "unknown_status", 401, Some("invalid_token")),
        (VerifyError::StatusUnavailable(Unavailable::TooOld), "status_unavailable", 503, None),
    ] {
        assert!(codes.insert(code), "{code} twice");
        assert_eq!(
            (error.code(), error.answer().status(), error.answer().error()),
            (code, status, oauth_error)
        );
        assert_eq!(error.challenge().is_some(), oauth_error.is_some(), "{code}");
    }
}

/// RFC 6750 §3: `error_description` allows %x20-21, %x23-5B and %x5D-7E, so no value can end its quotes.
#[test]
fn challenges_follow_the_grammar() {
    let with_reasons = [
        VerifyError::Malformed("its header has no kid"),
        VerifyError::InvalidClaims("client_id, jti or workspace_id is empty"),
        VerifyError::BoundRefused,
        VerifyError::NeverExpiresRefused,
        VerifyError::StatusMissing,
        VerifyError::UnknownStatus(255),
    ];
    for error in with_reasons {
        let challenge = error.challenge().unwrap();
        let expected = format!("Bearer error=\"invalid_token\", error_description=\"{error}\"");
        assert_eq!(challenge, expected);
        let allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
        assert!(error.to_string().chars().all(allowed), "{error}");
    }
    let named = VerifyError::MissingProduct("gst".to_owned()).challenge();
    assert_eq!(named.as_deref(), Some("Bearer error=\"insufficient_scope\", scope=\"gst\""));
    for product in ["a\"b", "a\r\nX: y", "", "a b", "é"] {
        let unnamed = VerifyError::MissingProduct(product.to_owned()).challenge();
        assert_eq!(unnamed.as_deref(), Some("Bearer error=\"insufficient_scope\""), "{product:?}");
    }
}
