//! The JSON of the claims: the order of the members, what is omitted, and that the owned and the borrowed form agree.

use mintmark_verifier::claims::{AccessTokenClaims, ClaimsRef, Confirmation, FAR_EXP, Status, StatusList};
use std::sync::Arc;

const PLAIN: &str = r#"{"iss":"https://tokens.example.com","sub":"cl_1","client_id":"cl_1","aud":"https://api.example.com","iat":1790000000,"exp":1790003600,"jti":"j1","scope":"e-invoicing gst","workspace_id":"acme-in","products":["e-invoicing","gst"],"status":{"status_list":{"idx":4711,"uri":"https://tokens.example.com/oauth2/status-lists/3"}}}"#;
const EVERYTHING: &str = r#"{"iss":"https://tokens.example.com","sub":"cl_1","client_id":"cl_1","aud":["a:1","a:2"],"iat":1790000000,"exp":7258118400,"jti":"j1","scope":"gst","workspace_id":"acme-in","products":["gst"],"never_expires":true,"status":{"status_list":{"idx":0,"uri":"u"}},"cnf":{"x5t#S256":"t","jkt":"k"}}"#;
const LEAST: &str = r#"{"iss":"i","sub":"cl_1","client_id":"cl_1","aud":[],"iat":0,"jti":"j","scope":"mintmark:read","workspace_id":"platform","products":[]}"#;

fn plain<'a, A, P>(aud: A, products: P) -> ClaimsRef<'a, A, P> {
    ClaimsRef {
        iss: "https://tokens.example.com",
        sub: "cl_1",
        client_id: "cl_1",
        aud,
        iat: 1_790_000_000,
        exp: Some(1_790_003_600),
        jti: "j1",
        scope: "e-invoicing gst",
        workspace_id: "acme-in",
        products,
        never_expires: false,
        status: Some(Status {
            status_list: StatusList { idx: 4711, uri: "https://tokens.example.com/oauth2/status-lists/3" },
        }),
        cnf: None,
    }
}

#[test]
fn the_owned_form_reads_and_writes_the_same_bytes() {
    for json in [PLAIN, EVERYTHING, LEAST] {
        let owned: AccessTokenClaims = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&owned).unwrap(), json);
        assert_eq!(serde_json::to_string(&owned.as_claims_ref()).unwrap(), json);
    }
}

#[test]
fn the_borrowed_form_takes_any_strings() {
    let boxed: Vec<Box<str>> = vec!["e-invoicing".into(), "gst".into()];
    let shared: Vec<Arc<str>> = vec!["https://api.example.com".into()];
    let json = |claims: serde_json::Result<String>| claims.unwrap();
    assert_eq!(json(serde_json::to_string(&plain(&shared, &boxed))), PLAIN);
    assert_eq!(
        json(serde_json::to_string(&plain(&["https://api.example.com"], &["e-invoicing", "gst"]))),
        PLAIN
    );
    let all = ["e-invoicing", "gst", "vat"];
    let granted = all.iter().filter(|code| **code != "vat");
    assert_eq!(json(serde_json::to_string(&plain(&shared[..], granted))), PLAIN);
}

#[test]
fn the_borrowed_form_writes_every_member_in_order() {
    let claims = ClaimsRef {
        exp: Some(FAR_EXP),
        scope: "gst",
        never_expires: true,
        status: Some(Status { status_list: StatusList { idx: 0, uri: "u" } }),
        cnf: Some(Confirmation { x5t_s256: Some("t"), jkt: Some("k") }),
        ..plain(&["a:1", "a:2"], &["gst"])
    };
    assert_eq!(serde_json::to_string(&claims).unwrap(), EVERYTHING);
}

#[test]
fn products_and_scopes_match_whole_names_only() {
    let claims: AccessTokenClaims = serde_json::from_str(PLAIN).unwrap();
    assert!(claims.has_product("gst") && !claims.has_product("gs") && !claims.has_product("GST"));
    assert!(claims.has_scope("e-invoicing") && !claims.has_scope("e-invoicing gst") && !claims.has_scope(""));
    assert_eq!(claims.require_product("vat").unwrap_err().code(), "missing_product");
    claims.require_product("gst").unwrap();
}

/// The claims can be read outside of a verifier too, from an introspection response for example.
#[test]
fn an_error_for_a_claim_of_the_wrong_type_names_the_right_type() {
    for (from, to, says) in [
        (r#""aud":"https://api.example.com""#, r#""aud":1"#, "expected a string or an array of strings"),
        (r#""status":{"#, r#""status":[],"x":{"#, "expected an object"),
    ] {
        let error = serde_json::from_str::<AccessTokenClaims>(&PLAIN.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
