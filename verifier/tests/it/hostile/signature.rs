//! Hostile signatures: in another format, by another key, of another token, empty.

use super::{Row, key, row};
use crate::support::{b64, good_claims, keys, with};
use mintmark_verifier::VerifyError;
use serde_json::json;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = forged();
    let good = key().token(&good_claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let raw: [u8; 64] = key().sign(signed.as_bytes()).try_into().unwrap();
    let (r, s) = raw.split_at(32);
    for (source, name, bytes) in [
        ("RFC 7518 §3.4", "ASN.1 DER", der(r, s)),
        ("CVE-2022-21449", "all zero", vec![0; 64]),
        ("CVE-2022-21449", "r zero", [&[0; 32], s].concat()),
        ("CVE-2022-21449", "s zero", [r, &[0; 32]].concat()),
        ("RFC 7518 §3.4", "r and s swapped", [s, r].concat()),
        ("RFC 7518 §3.4", "of 63 bytes", raw[..63].to_vec()),
        ("RFC 7518 §3.4", "of 65 bytes", [&raw[..], &[0]].concat()),
        ("RFC 7518 §3.4", "of 65 bytes, zero first", [&[0], &raw[..]].concat()),
        ("RFC 7518 §3.4", "twice", [raw, raw].concat()),
        ("J5", "empty", Vec::new()),
    ] {
        let token = format!("{signed}.{}", b64(bytes));
        rows.push(row(source, format!("signature {name}"), token, VerifyError::BadSignature));
    }
    let other = key().token(&with(good_claims(), "jti", json!("j2")));
    let (other_signed, _) = other.rsplit_once('.').unwrap();
    let moved = format!("{other_signed}.{signature}");
    rows.push(row("RFC 7515 §5.2", "signature of another token", moved, VerifyError::BadSignature));
    rows
}

/// A payload or a header that was changed after signing, and a key that is not the issuer's.
fn forged() -> Vec<Row> {
    let mut rows = Vec::new();
    for key in keys().published() {
        let good = key.token(&good_claims());
        let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
        let more = b64(with(good_claims(), "products", json!(["gst", "vat"])).to_string());
        let wider = b64(with(key.header(), "x", json!(1)).to_string());
        for (name, token) in [
            ("more products than were signed", format!("{header}.{more}.{signature}")),
            ("another header than was signed", format!("{wider}.{payload}.{signature}")),
        ] {
            let name = format!("{}: {name}", key.alg);
            rows.push(row("RFC 7515 §5.2", name, token, VerifyError::BadSignature));
        }
    }
    let foreign = keys().foreign.token(&good_claims());
    rows.push(row("J5", "another key under the issuer's kid", foreign, VerifyError::BadSignature));
    rows
}

/// The DER form of an ECDSA signature, which JOSE does not use.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if bytes[0] >= 0x80 {
            bytes.insert(0, 0);
        }
        let length = u8::try_from(bytes.len()).unwrap();
        [&[0x02, length], &bytes[..]].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}
