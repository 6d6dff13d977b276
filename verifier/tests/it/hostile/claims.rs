//! Hostile claims: of the wrong type, missing, contradictory, for another service. All are signed with the issuer's
//! key, so that only the claim can be the reason of the refusal.

use super::{CLAIM, Row, claim, key, row};
use crate::support::{AUDIENCE, ISSUER, LIST, NOW, good_claims, with, without};
use mintmark_verifier::VerifyError;
use mintmark_verifier::claims::{FAR_EXP, LAST_DATE};
use serde_json::{Value, json};

pub(super) fn rows() -> Vec<Row> {
    [instants(), times(), never_expiring(), parties(), shapes(), places(), bindings()]
        .into_iter()
        .flatten()
        .collect()
}

/// A time of the wrong type or out of range is refused, and not treated as absent (CVE-2026-25537).
fn instants() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in ["exp", "nbf", "iat"] {
        for literal in [
            "\"1790000000\"",
            "\"\"",
            "\"never\"",
            "null",
            "true",
            "[]",
            "[1790003600]",
            "{}",
            "-1",
            "-0",
            "1790003600.0",
            "1790003600.5",
            "1.79e9",
            "1e99",
            "-1e99",
            "253402300800",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551616",
            "99999999999999999999999999999999",
        ] {
            // Inserted as text, because a JSON library would normalise some of them.
            let payload = with(good_claims(), name, json!("@")).to_string().replace("\"@\"", literal);
            let token = key().token_of(key().header().to_string(), payload);
            rows.push(row("J7, CVE-2026-25537", format!("{name} {literal}"), token.clone(), CLAIM));
            let opted_in = row("J7, opted in", format!("{name} {literal}"), token, CLAIM).opted_in();
            rows.push(opted_in);
        }
    }
    rows
}

fn times() -> Vec<Row> {
    let expired =
        |name: &str, exp: i64| row("RFC 7519 §4.1.4", name, claim("exp", json!(exp)), VerifyError::Expired);
    let early = |name: &'static str, instant: &str, at: i64| {
        row("RFC 7519 §4.1.5", name, claim(instant, json!(at)), VerifyError::NotYetValid)
    };
    let escaped =
        with(good_claims(), "nbf", json!(LAST_DATE)).to_string().replace("\"nbf\"", r#""\u006ebf""#);
    let escaped = key().token_of(key().header().to_string(), escaped);
    vec![
        expired("expired at this very second", NOW),
        expired("expired a second ago", NOW - 1),
        expired("expired in 1970", 0),
        early("issued in a second", "iat", NOW + 1),
        early("issued in 9999", "iat", LAST_DATE),
        early("not valid before a second from now", "nbf", NOW + 1),
        early("not valid before 9999", "nbf", LAST_DATE),
        row("RFC 7519 §4.1.5", "nbf written with an escape", escaped, VerifyError::NotYetValid),
    ]
}

/// A token that never expires has the claim `never_expires`, and is accepted only by a verifier that allows such tokens. Its
/// two forms are `far` and `omit`, which are the values of the setting `tokens.never_expires.exp`.
fn never_expiring() -> Vec<Row> {
    let never = |claims: Value| with(claims, "never_expires", json!(true));
    let jwt = with(key().header(), "typ", json!("JWT"));
    let no_exp = || without(good_claims(), "exp");
    let far = never(with(good_claims(), "exp", json!(FAR_EXP)));
    let missing = VerifyError::InvalidClaims("exp is missing");
    let contradiction = VerifyError::InvalidClaims("never_expires contradicts exp");
    let documented = |name: &str, token: String, expected| row("docs/tokens.md", name, token, expected);
    let mut rows = vec![
        documented("far, not opted in", key().token(&far), VerifyError::NeverExpiresRefused),
        documented("omit, not opted in", key().token_with(&jwt, &never(no_exp())), VerifyError::WrongType),
        documented("no exp, not opted in", key().token(&no_exp()), missing.clone()),
        documented("no exp, no never_expires", key().token(&no_exp()), missing.clone()).opted_in(),
        documented("no exp, no never_expires, typ JWT", key().token_with(&jwt, &no_exp()), missing.clone())
            .opted_in(),
        documented("no exp under at+jwt (RFC 9068 §2.2)", key().token(&never(no_exp())), missing).opted_in(),
        documented("far under typ JWT", key().token_with(&jwt, &far), VerifyError::WrongType).opted_in(),
        documented("exp under typ JWT", key().token_with(&jwt, &good_claims()), VerifyError::WrongType)
            .opted_in(),
        documented("never_expires and exp", key().token(&never(good_claims())), contradiction.clone())
            .opted_in(),
    ];
    let almost = never(with(good_claims(), "exp", json!(FAR_EXP - 1)));
    rows.push(documented("never_expires, exp almost far", key().token(&almost), contradiction).opted_in());
    for value in [json!("true"), json!(1), json!(null), json!([]), json!({})] {
        let token = key().token(&with(far.clone(), "never_expires", value.clone()));
        rows.push(documented(&format!("never_expires {value}"), token, CLAIM).opted_in());
    }
    rows
}

/// Issuer, audience, subject, and ids that are empty.
fn parties() -> Vec<Row> {
    let mut rows = Vec::new();
    let upper = ISSUER.to_uppercase();
    for iss in [
        format!("{ISSUER}/").as_str(),
        &upper,
        "https://evil.example",
        "http://tokens.example.com",
        "",
        AUDIENCE,
    ] {
        rows.push(row(
            "RFC 9068 §4",
            format!("iss {iss:?}"),
            claim("iss", json!(iss)),
            VerifyError::WrongIssuer,
        ));
    }
    for aud in [
        json!("https://other.example.com"),
        json!(format!("{AUDIENCE}/")),
        json!(AUDIENCE.to_uppercase()),
        json!("https://api.example.com.evil.example"),
        json!("https://api.example"),
        json!(""),
        json!([]),
        json!(["https://other.example.com"]),
        json!([format!("{AUDIENCE} https://other.example.com")]),
        json!(ISSUER),
    ] {
        rows.push(row("J3", format!("aud {aud}"), claim("aud", aud), VerifyError::WrongAudience));
    }
    for aud in [
        json!(null),
        json!(1),
        json!(true),
        json!({"aud": AUDIENCE}),
        json!([AUDIENCE, 1]),
        json!([[AUDIENCE]]),
    ] {
        rows.push(row("J3, type", format!("aud {aud}"), claim("aud", aud), CLAIM));
    }
    let not_client = VerifyError::InvalidClaims("sub differs from client_id");
    for sub in ["cl_2", "", "CL_1", "cl_1 "] {
        rows.push(row("J1", format!("sub {sub:?}"), claim("sub", json!(sub)), not_client.clone()));
    }
    let empty = VerifyError::InvalidClaims("client_id, jti or workspace_id is empty");
    let unnamed = key().token(&with(with(good_claims(), "sub", json!("")), "client_id", json!("")));
    rows.push(row("J1", "sub and client_id empty", unnamed, empty.clone()));
    rows.push(row("J1", "jti empty", claim("jti", json!("")), empty.clone()));
    rows.push(row("J1", "workspace_id empty", claim("workspace_id", json!("")), empty));
    rows
}

/// Claims that are missing or of the wrong type, and `products` without the required one.
fn shapes() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in ["iss", "sub", "client_id", "aud", "iat", "jti", "scope", "workspace_id", "products"] {
        rows.push(row("J1", format!("no {name}"), key().token(&without(good_claims(), name)), CLAIM));
        for value in [json!(null), json!(1), json!({}), json!([1])] {
            if !(name == "iat" && value == json!(1)) {
                rows.push(row("J1", format!("{name} {value}"), claim(name, value), CLAIM));
            }
        }
    }
    for products in
        [json!("gst"), json!("e-invoicing gst"), json!(["gst", 1]), json!(["gst", null]), json!([["gst"]])]
    {
        rows.push(row("J3, products", format!("{products}"), claim("products", products), CLAIM));
    }
    rows.push(row("J1", "scope as an array of strings", claim("scope", json!(["gst"])), CLAIM));
    for products in [json!([]), json!(["GST"]), json!(["gst2", "gs"]), json!(["gst "])] {
        let missing = VerifyError::MissingProduct("gst".to_owned());
        rows.push(row(
            "docs/tokens.md",
            format!("products {products}"),
            claim("products", products),
            missing,
        ));
    }
    for status in [
        json!(null),
        json!("valid"),
        json!({}),
        json!({"status_list": null}),
        json!({"status_list": {"uri": "u"}}),
        json!({"status_list": {"idx": 1}}),
        json!({"status_list": {"idx": -1, "uri": "u"}}),
        json!({"status_list": {"idx": "1", "uri": "u"}}),
        json!({"status_list": {"idx": 1.0, "uri": "u"}}),
        json!({"status_list": [1, "u"]}),
        json!([{"idx": 1, "uri": "u"}]),
    ] {
        rows.push(row("L1", format!("status {status}"), claim("status", status), CLAIM));
    }
    rows
}

/// A list that is not below `ISSUER/oauth2/status-lists/` is not fetched, even if the issuer itself signed the token. A token
/// without `status`, or with an index beyond the end of its list, is refused too.
fn places() -> Vec<Row> {
    let elsewhere = VerifyError::InvalidClaims("its status list is not one of the issuer's");
    let place = |idx: u64, uri: &str| claim("status", json!({"status_list": {"idx": idx, "uri": uri}}));
    let mut rows = Vec::new();
    for uri in [
        "",
        "3",
        "/oauth2/status-lists/3",
        "https://evil.example/oauth2/status-lists/3",
        "http://tokens.example.com/oauth2/status-lists/3",
        "HTTPS://tokens.example.com/oauth2/status-lists/3",
        "https://TOKENS.example.com/oauth2/status-lists/3",
        "https://tokens.example.com:443/oauth2/status-lists/3",
        "https://tokens.example.com@evil.example/oauth2/status-lists/3",
        "https://tokens.example.com.evil.example/oauth2/status-lists/3",
        "https://tokens.example.com/oauth2/status-lists/",
        "https://tokens.example.com/oauth2/status-lists",
        "https://tokens.example.com/oauth2/status-lists/03",
        "https://tokens.example.com/oauth2/status-lists/+3",
        "https://tokens.example.com/oauth2/status-lists/-3",
        "https://tokens.example.com/oauth2/status-lists/3/",
        "https://tokens.example.com/oauth2/status-lists/3?time=1",
        "https://tokens.example.com/oauth2/status-lists/3#3",
        "https://tokens.example.com/oauth2/status-lists/%33",
        "https://tokens.example.com/oauth2/status-lists/3/../../../evil",
        "https://tokens.example.com/oauth2/status-lists/../status-lists/3",
        "https://tokens.example.com/oauth2//status-lists/3",
        "https://tokens.example.com/oauth2/status-lists/18446744073709551616",
        "https://tokens.example.com/oauth2/status-lists/\u{663}",
        "file:///etc/passwd",
    ] {
        rows.push(row("docs/verify.md", format!("status uri {uri:?}"), place(0, uri), elsewhere.clone()));
    }
    let beyond = VerifyError::InvalidClaims("its index is beyond the end of its status list");
    for idx in [8192, 8193, u64::from(u32::MAX), u64::MAX] {
        rows.push(row("L7", format!("idx {idx} of 8192"), place(idx, LIST), beyond.clone()));
    }
    let missing = key().token(&without(good_claims(), "status"));
    rows.push(row("L1", "no status", missing, VerifyError::StatusMissing));
    rows
}

/// A bound token is refused by a service that does not check its proof, and a malformed `cnf` by every service.
fn bindings() -> Vec<Row> {
    let proof = [json!({"x5t#S256": "t"}), json!({"jkt": "k"}), json!({"jwk": {}}), json!({})];
    let mistyped = [json!(null), json!("t"), json!(["t", "k"]), json!({"jkt": 1}), json!({"x5t#S256": []})];
    let refused =
        |cnf: Value, expected| row("RFC 7800 §3.1", format!("cnf {cnf}"), claim("cnf", cnf), expected);
    let bound = proof.into_iter().map(|cnf| refused(cnf, VerifyError::BoundRefused));
    bound.chain(mistyped.into_iter().map(|cnf| refused(cnf, CLAIM))).collect()
}
