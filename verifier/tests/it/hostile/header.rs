//! Hostile headers: algorithm confusion, keys inside the token, JWTs of another kind.

use super::{HEADER, Row, header, key, row};
use crate::support::{b64, good_claims, keys, with, without};
use mintmark_verifier::VerifyError;
use ring::hmac;
use serde_json::{Value, json};

pub(super) fn rows() -> Vec<Row> {
    [algorithms(), hmac_with_public_key(), swapped_algorithms(), types(), key_ids(), critical(), shapes()]
        .into_iter()
        .flatten()
        .collect()
}

fn algorithms() -> Vec<Row> {
    let mut rows = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = format!(
            "{}.{}.",
            b64(with(key().header(), "alg", json!(alg)).to_string()),
            b64(good_claims().to_string())
        );
        rows.push(row("J5", format!("alg {alg:?}, no signature"), unsigned, VerifyError::AlgorithmRefused));
        rows.push(row(
            "J5",
            format!("alg {alg:?}, signed"),
            header("alg", json!(alg)),
            VerifyError::AlgorithmRefused,
        ));
    }
    for alg in ["es256", "ES256 ", "ES256\u{0}", "ES384", "ES512", "RS512", "Ed25519", "EdDsa", "dir"] {
        rows.push(row(
            "J5",
            format!("alg {alg:?}"),
            header("alg", json!(alg)),
            VerifyError::AlgorithmRefused,
        ));
    }
    let missing = key().token_with(&without(key().header(), "alg"), &good_claims());
    rows.push(row("RFC 7515 §4.1.1", "no alg", missing, VerifyError::AlgorithmRefused));
    for alg in [json!(null), json!(256), json!(["ES256"]), json!({"alg": "ES256"})] {
        rows.push(row("RFC 7515 §4.1.1", format!("alg {alg}"), header("alg", alg), HEADER));
    }
    rows
}

/// CVE-2026-11800, CVE-2024-37568, CVE-2026-44699, CVE-2026-34950: the public key as an HMAC secret.
fn hmac_with_public_key() -> Vec<Row> {
    let spki = [
        &[0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a][..],
        &[0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00],
        key().point(),
    ]
    .concat();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &spki);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n",
        &base64[..64],
        &base64[64..]
    );
    let secrets: [(&str, Vec<u8>); 8] = [
        ("as PEM", pem.clone().into()),
        ("as PEM after white space", format!("\n {pem}").into()),
        ("as PEM without the last line break", pem.trim_end().into()),
        ("as DER", spki),
        ("as a point", key().point().to_vec()),
        ("as JWK", key().jwk.to_string().into()),
        ("as x", key().jwk["x"].as_str().unwrap().into()),
        ("replaced by nothing", Vec::new()),
    ];
    let mut rows = Vec::new();
    for (form, secret) in secrets {
        for (alg, hash) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
            ("ES256", hmac::HMAC_SHA256),
        ] {
            let head = with(key().header(), "alg", json!(alg));
            let signed = format!("{}.{}", b64(head.to_string()), b64(good_claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(hash, &secret), signed.as_bytes());
            let expected =
                if alg == "ES256" { VerifyError::BadSignature } else { VerifyError::AlgorithmRefused };
            let token = format!("{signed}.{}", b64(tag));
            rows.push(row("J5, alg confusion", format!("{alg} with the key {form}"), token, expected));
        }
    }
    rows
}

/// An algorithm that is allowed, but not for this key.
fn swapped_algorithms() -> Vec<Row> {
    let keys = keys();
    let mut rows = Vec::new();
    for published in keys.published() {
        for other in keys.published() {
            if published.alg != other.alg {
                let name = format!("{} by the key for {}", other.alg, published.alg);
                let head = with(other.header(), "kid", json!(published.kid));
                let refused = VerifyError::AlgorithmRefused;
                rows.push(row("J5, alg of the key", name, other.token_with(&head, &good_claims()), refused));
                let name = format!("alg {} over a signature of {}", published.alg, other.alg);
                let token = other.token_with(&published.header(), &good_claims());
                rows.push(row("J5, alg of the key", name, token, VerifyError::BadSignature));
            }
        }
    }
    for (mine, theirs) in [(&keys.rs256, "PS256"), (&keys.ps256, "RS256")] {
        let token = mine.token_with(&with(mine.header(), "alg", json!(theirs)), &good_claims());
        let name = format!("signed with {}, alg {theirs}", mine.alg);
        rows.push(row("J5, alg of the key", name, token, VerifyError::AlgorithmRefused));
    }
    rows
}

/// Other kinds of JWTs, and other spellings of `typ`, in the place of an access token.
fn types() -> Vec<Row> {
    let mut rows = Vec::new();
    for typ in [
        "statuslist+jwt",
        "application/statuslist+jwt",
        "token-introspection+jwt",
        "client-authentication+jwt",
        "dpop+jwt",
        "oauth-authz-req+jwt",
        "logout+jwt",
        "secevent+jwt",
        "JWS",
        "",
        "at",
        "at+jwt ",
        " at+jwt",
        "at+jwt;v=1",
        "application/application/at+jwt",
        "x/at+jwt",
        "JWT",
        "jwt",
    ] {
        let token = header("typ", json!(typ));
        rows.push(row("J4", format!("typ {typ:?}"), token.clone(), VerifyError::WrongType));
        rows.push(row("J4, opted in", format!("typ {typ:?}"), token, VerifyError::WrongType).opted_in());
    }
    let missing = key().token_with(&without(key().header(), "typ"), &good_claims());
    rows.push(row("J1", "no typ", missing, VerifyError::WrongType));
    for typ in [json!(null), json!(1), json!(["at+jwt"])] {
        rows.push(row("J1", format!("typ {typ}"), header("typ", typ), HEADER));
    }
    rows
}

/// The kid is a name to look up and nothing else; keys inside the token are not read.
fn key_ids() -> Vec<Row> {
    let mut rows = Vec::new();
    let no_kid = VerifyError::Malformed("its header has no kid");
    for kid in [
        "",
        "ES256-key",
        "es256-key ",
        "es256-key\u{0}",
        "es256-kéy",
        "../../../../etc/passwd",
        "/dev/null",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "; touch /tmp/x",
        "$(id)",
        "{{7*7}}",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "\r\nHost: evil.example",
        "*",
        "0",
    ] {
        rows.push(row("J6", format!("kid {kid:?}"), header("kid", json!(kid)), VerifyError::UnknownKey));
    }
    let long = header("kid", json!("k".repeat(10_000)));
    rows.push(row("J6", "kid of 10000 characters", long, VerifyError::UnknownKey));
    let missing = key().token_with(&without(key().header(), "kid"), &good_claims());
    rows.push(row("J6", "no kid", missing, no_kid.clone()));
    for kid in [json!(null), json!(0), json!(["es256-key"]), json!({})] {
        rows.push(row("J6", format!("kid {kid}"), header("kid", kid), HEADER));
    }

    let foreign = &keys().foreign;
    let jwk = with(foreign.header(), "jwk", foreign.jwk.clone());
    let sign = |head: &Value| foreign.token_with(head, &good_claims());
    rows.push(row(
        "CVE-2026-27962",
        "signed by the jwk in its header",
        sign(&jwk),
        VerifyError::BadSignature,
    ));
    rows.push(row("CVE-2026-27962", "the same jwk, but no kid", sign(&without(jwk.clone(), "kid")), no_kid));
    let named = with(jwk, "kid", json!("foreign"));
    rows.push(row("CVE-2026-27962", "the same jwk, unknown kid", sign(&named), VerifyError::UnknownKey));
    for (member, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let token = sign(&with(foreign.header(), member, value));
        rows.push(row("J6", format!("signed by the key of its {member}"), token, VerifyError::BadSignature));
    }
    rows
}

/// An extension that must be understood and is not (CVE-2025-59420).
fn critical() -> Vec<Row> {
    let refused = || VerifyError::Malformed("it requires an extension (crit) that is not supported");
    let mut rows: Vec<Row> =
        [json!(["x"]), json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("x"), json!({})]
            .into_iter()
            .map(|crit| {
                row("CVE-2025-59420", format!("crit {crit}"), header("crit", crit.clone()), refused())
            })
            .collect();
    let unencoded = with(with(key().header(), "crit", json!(["b64"])), "b64", json!(false));
    rows.push(row("RFC 7797", "b64 false", key().token_with(&unencoded, &good_claims()), refused()));
    rows
}

/// Headers that are not a JSON object, or that two parsers could read differently.
fn shapes() -> Vec<Row> {
    let good = key().header().to_string();
    let again = |member: &str| format!("{},{member}}}", good.strip_suffix('}').unwrap());
    let headers: [(&str, Vec<u8>); 16] = [
        ("alg twice, the same", again(r#""alg":"ES256""#).into()),
        ("alg twice, none last", again(r#""alg":"none""#).into()),
        ("alg twice, none first", good.replacen('{', r#"{"alg":"none","#, 1).into()),
        ("alg twice, once escaped", again(r#""\u0061lg":"none""#).into()),
        ("typ twice", again(r#""typ":"statuslist+jwt""#).into()),
        ("kid twice", again(r#""kid":"other""#).into()),
        ("an unknown member twice", again(r#""x":1,"x":1"#).into()),
        ("a member twice within a member", again(r#""x":{"y":1,"y":2}"#).into()),
        ("a byte order mark", [b"\xef\xbb\xbf", good.as_bytes()].concat()),
        ("text after the object", format!("{good}x").into()),
        ("no UTF-8", good.replace("es256-key", "es256-key\u{e9}").chars().map(|c| c as u8).collect()),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("an array", b"[]".to_vec()),
        ("an array of its members", br#"["ES256","es256-key","at+jwt"]"#.to_vec()),
        ("a string", b"\"at+jwt\"".to_vec()),
        ("nested too deep", format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200)).into()),
    ];
    headers
        .into_iter()
        .map(|(name, bytes)| {
            let token = key().token_of(bytes, good_claims().to_string());
            row("J6, J8", format!("header with {name}"), token, HEADER)
        })
        .collect()
}
