//! Hostile encodings: texts that are not a compact JWS, or that only a lenient parser takes for one.

use super::{BASE64, CLAIM, PARTS, PAYLOAD, Row, key, row};
use crate::support::{AUDIENCE, ISSUER, NOW, b64, good_claims};
use mintmark_verifier::{MAX_TOKEN_BYTES, VerifyError};
use serde_json::json;

pub(super) fn rows() -> Vec<Row> {
    [parts(), base64url(), payloads()].into_iter().flatten().collect()
}

fn parts() -> Vec<Row> {
    let good = key().token(&good_claims());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let mut rows: Vec<Row> = [
        ("nothing", String::new()),
        ("one part", "eyJhbGciOiJub25lIn0".to_owned()),
        ("two parts", signed.to_owned()),
        ("a fourth part", format!("{good}.AA")),
        ("a dot at the end", format!("{good}.")),
        ("a dot at the start", format!(".{good}")),
        ("J10: the five parts of a JWE", format!("{}.AA.AA.AA.AA", b64(r#"{"alg":"dir","enc":"A128GCM"}"#))),
        ("a JWE around a good token", format!("{good}.AA.AA")),
        ("dots alone", "....".to_owned()),
        ("a JWS in JSON", format!(r#"{{"payload":"{}","signatures":[]}}"#, b64("{}"))),
    ]
    .into_iter()
    .map(|(name, token)| row("RFC 7515 §7.1", name, token, PARTS))
    .collect();
    let long = VerifyError::Malformed("it is longer than 16 KiB");
    rows.push(row("B8", "one byte over the limit", "a".repeat(MAX_TOKEN_BYTES + 1), long.clone()));
    rows.push(row("B8", "a megabyte", format!("{good}{}", "A".repeat(1 << 20)), long));
    rows
}

fn base64url() -> Vec<Row> {
    // A token whose signature has a character that differs between base64 and base64url, as nearly all have.
    let differs = |token: &String| token.rsplit('.').next().unwrap().contains(['-', '_']);
    let good = (0..100).map(|_| key().token(&good_claims())).find(differs).unwrap();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    // 86 characters have 516 bits, 4 more than the signature. These 4 must be 0; the next character sets one of them.
    let last = signature.chars().last().unwrap();
    let spare = char::from(last as u8 + 1);
    let slop = format!("{header}.{payload}.{}{spare}", &signature[..85]);
    let standard = signature.replace('-', "+").replace('_', "/");
    // With a new signature, so that only the encoding can be the reason of the refusal.
    let padded_payload = key().token_of_parts(header, &format!("{payload}="));
    let broken_payload = key().token_of_parts(header, &format!("{}\n{}", &payload[..8], &payload[8..]));
    [
        ("'=' after the header", format!("{header}=.{payload}.{signature}")),
        ("'=' after the payload", padded_payload),
        ("'=' after the signature", format!("{good}=")),
        ("'==' after the signature", format!("{good}==")),
        ("a line break in the payload", broken_payload),
        ("a line break at the end", format!("{good}\n")),
        ("a space at the start", format!(" {good}")),
        ("a space at the end", format!("{good} ")),
        ("a tab in the signature", format!("{header}.{payload}.\t{signature}")),
        ("NUL at the end", format!("{good}\0")),
        ("a signature cut by one character", good[..good.len() - 1].to_owned()),
        ("three characters more", format!("{good}AAA")),
        ("a stray bit in the last character", slop),
        ("a non-ASCII letter", format!("{good}é")),
        ("Bearer before the token", format!("Bearer {good}")),
        ("the alphabet of plain base64", format!("{header}.{payload}.{standard}")),
    ]
    .into_iter()
    .map(|(name, token)| row("RFC 7515 §2", name, token, BASE64))
    .collect()
}

/// Payloads that are not a JSON object, or that two parsers could read differently.
fn payloads() -> Vec<Row> {
    let good = good_claims().to_string();
    let again = |member: &str| format!("{},{member}}}", good.strip_suffix('}').unwrap());
    let payloads: Vec<(&str, Vec<u8>)> = vec![
        ("aud twice", again(r#""aud":"https://api.example.com""#).into()),
        ("exp twice", again(r#""exp":253402300799"#).into()),
        ("products twice", again(r#""products":["vat"]"#).into()),
        ("never_expires twice", again(r#""never_expires":false,"never_expires":true"#).into()),
        ("sub twice, once escaped", again(r#""s\u0075b":"cl_2""#).into()),
        ("an unknown claim twice", again(r#""x":1,"x":1"#).into()),
        ("a member twice within a claim", again(r#""x":[{"y":1,"y":2}]"#).into()),
        ("bytes that are no UTF-8", good.replace("j1", "j\u{e9}").chars().map(|c| c as u8).collect()),
        ("an overlong UTF-8 sequence", splice(&good, b"\xc0\xaf")),
        ("a surrogate in UTF-8", splice(&good, b"\xed\xa0\x80")),
        ("half a surrogate pair", good.replace("j1", r"\ud800").into()),
        ("a control character", good.replace("j1", "j\n1").into()),
        ("a byte order mark", [b"\xef\xbb\xbf", good.as_bytes()].concat()),
        ("text after the object", format!("{good} x").into()),
        ("two objects", format!("{good}{good}").into()),
        ("nothing", Vec::new()),
        ("a comment", format!("{good}/* */").into()),
        ("a trailing comma", again("").into()),
        ("an infinite number", again(r#""x":1e999"#).into()),
        ("deep nesting", again(&format!(r#""x":{}{}"#, "[".repeat(200), "]".repeat(200))).into()),
    ];
    let mut rows: Vec<Row> = payloads
        .into_iter()
        .map(|(name, bytes)| {
            let token = key().token_of(key().header().to_string(), bytes);
            row("J6, J8", format!("payload with {name}"), token, PAYLOAD)
        })
        .collect();
    // serde can read a struct from an array of its members' values; claims must be an object.
    let (iss, aud) = (ISSUER, AUDIENCE);
    let values =
        json!([iss, "cl_1", "cl_1", aud, NOW, NOW + 60, "j1", "gst", "acme-in", ["gst"], false]).to_string();
    for other in ["[]", "\"claims\"", "1", "null", values.as_str()] {
        let token = key().token_of(key().header().to_string(), other);
        rows.push(row("RFC 7519 §7.2", format!("payload {other}"), token, PAYLOAD));
    }
    let empty = key().token_of(key().header().to_string(), "{}");
    rows.push(row("RFC 7519 §7.2", "no claims", empty, CLAIM));
    rows
}

/// `text` with `bytes` before the value of its jti.
fn splice(text: &str, bytes: &[u8]) -> Vec<u8> {
    let at = text.find("j1").unwrap();
    [&text.as_bytes()[..at], bytes, &text.as_bytes()[at..]].concat()
}
