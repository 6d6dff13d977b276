//! A client id and secret in the `Authorization` header: `client_secret_basic` (RFC 6749 §2.3.1, RFC 7617).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use super::presented::{ClientSecret, Presented};
use crate::model::refusal::Refusal;
use crate::oauth::form;

/// The longest base64 that is decoded, in characters, which encode 513 bytes. A client id and secret take at most 235 bytes,
/// even if each byte of them is percent-encoded.
const LONGEST: usize = 684;

/// Reads the header: the scheme in any case, then base64 of two form-encoded parts, which are split at the first colon.
///
/// # Errors
/// Why the header has no usable credentials. The reply is the same as for wrong credentials, unless the fault can be named.
pub(super) fn read(header: &[u8]) -> Result<Presented, Refusal> {
    let encoded = value(header).ok_or(Refusal::NoUsableCredentials)?;
    decode(encoded).ok_or_else(|| match encoded {
        _ if encoded.contains(&b':') => Refusal::BasicNotEncoded,
        _ if encoded.contains(&b' ') => Refusal::BasicWithSpaces,
        _ => Refusal::NoUsableCredentials,
    })
}

/// The value after the scheme.
fn value(header: &[u8]) -> Option<&[u8]> {
    let (scheme, value) = header.split_at_checked(header.iter().position(|b| *b == b' ')?)?;
    let value = value.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"basic") && value.len() <= LONGEST).then_some(value)
}

fn decode(encoded: &[u8]) -> Option<Presented> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    STANDARD.decode_vec(encoded, &mut decoded).ok()?;
    let text = std::str::from_utf8(&decoded).ok()?;
    let (client_id, client_secret) = text.split_once(':')?;
    let client_id = form::decode(client_id)?;
    let client_secret = form::decode(client_secret)?;
    // White space before and after the secret is kept, so that the error can name it.
    let presented = (is_printable(&client_id) && is_printable(client_secret.trim()))
        .then(|| Presented::Secret(ClientSecret::new(&client_id, &client_secret)));
    if let Cow::Owned(mut escaped) = client_secret {
        escaped.zeroize();
    }
    presented
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `t10` checks that row of docs/conformance.md.
    use super::*;

    fn basic(credentials: &[u8]) -> Option<(String, String)> {
        let header = format!("Basic {}", STANDARD.encode(credentials));
        let Presented::Secret(found) = read(header.as_bytes()).ok()?;
        Some((found.client_id().to_owned(), found.client_secret().to_owned()))
    }

    #[test]
    fn t10_both_halves_are_form_decoded() {
        assert_eq!(basic(b"an%3Aidentifier:+%25%26%2B"), Some(("an:identifier".into(), " %&+".into())));
        assert_eq!(basic(b"id:se:cret"), Some(("id".into(), "se:cret".into())));
    }

    #[test]
    fn t12_malformed_headers_have_no_usable_credentials() {
        for bad in [
            &b"nocolon"[..],
            b"id:",
            b":secret",
            b"id:%zz",
            b"id:%ff",
            b"id:%00",
            b"id:%C3%A4",
            b"\xff:x",
            b"id:a\tb",
        ] {
            assert_eq!(basic(bad), None, "{bad:?}");
        }
        for bad in
            [&b"Basic"[..], b"Basic ", b"Basic !!!", b"Basic aWQ6c2VjcmV0!", b"Bearer aWQ6c2VjcmV0", b""]
        {
            assert_eq!(read(bad).unwrap_err(), Refusal::NoUsableCredentials, "{bad:?}");
        }
    }

    #[test]
    fn t12_the_fault_of_malformed_credentials_is_named_and_white_space_around_the_secret_is_kept() {
        for (value, expected) in [
            ("Basic id:secret", Refusal::BasicNotEncoded),
            ("Basic id: secret", Refusal::BasicNotEncoded),
            ("Basic aWQ6 c2VjcmV0", Refusal::BasicWithSpaces),
            ("Basic id secret", Refusal::BasicWithSpaces),
            ("Bearer id:secret", Refusal::NoUsableCredentials),
        ] {
            assert_eq!(read(value.as_bytes()).unwrap_err(), expected, "{value}");
        }
        // White space around the secret is kept, so that the error can name it.
        for white in ["\n", " ", "\t", "%0A", "+", "\r\n"] {
            let (_, secret) = basic(format!("id:secret{white}").as_bytes()).unwrap();
            assert!(secret.len() > 6 && secret.trim() == "secret", "{secret:?}");
        }
    }

    #[test]
    fn t21_overlong_credentials_are_not_decoded() {
        let credentials = |length: usize| format!("id:{}", "x".repeat(length - 3));
        assert_eq!(STANDARD.encode(credentials(513)).len(), LONGEST);
        assert_eq!(basic(credentials(513).as_bytes()), Some(("id".into(), "x".repeat(510))));
        assert_eq!(basic(credentials(514).as_bytes()), None);
    }

    #[test]
    fn t13_the_scheme_is_of_any_case() {
        for scheme in ["basic", "BASIC", "bAsIc"] {
            assert!(read(format!("{scheme} aWQ6c2VjcmV0").as_bytes()).is_ok());
        }
    }
}
