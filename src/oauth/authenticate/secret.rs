//! A client id and secret from the `Authorization: Basic` header (RFC 6749 §2.3.1, RFC 7617).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::oauth::form;

/// The longest credentials that are looked at, in bytes: id, colon and secret with each byte percent-encoded, and some.
const LONGEST: usize = 512;

/// What a client brings to prove itself. `Debug` does not print the secret.
pub(super) struct ClientSecret {
    pub(super) client_id: String,
    pub(super) client_secret: Zeroizing<String>,
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSecret").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Reads the header: the scheme in any case, base64, split at the first colon, both halves form-decoded. `None` for
/// what is malformed, which is then answered as any wrong credential is.
pub(super) fn from_basic(header: &[u8]) -> Option<ClientSecret> {
    let (scheme, encoded) = header.split_at_checked(header.iter().position(|b| *b == b' ')?)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    // On the stack; what does not fit is longer than any id and secret of ours in any lawful encoding.
    let mut buffer = Zeroizing::new([0_u8; LONGEST]);
    let length = STANDARD.decode_slice(encoded.trim_ascii(), buffer.as_mut_slice()).ok()?;
    let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
    let (client_id, client_secret) = text.split_once(':')?;
    let client_id = form::decode(client_id)?.into_owned();
    let client_secret = Zeroizing::new(form::decode(client_secret)?.into_owned());
    let lawful = |text: &str| !text.is_empty() && text.bytes().all(|b| matches!(b, 0x20..=0x7e));
    (lawful(&client_id) && lawful(&client_secret)).then_some(ClientSecret { client_id, client_secret })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(credentials: &[u8]) -> Option<(String, String)> {
        let header = format!("Basic {}", STANDARD.encode(credentials));
        from_basic(header.as_bytes()).map(|found| (found.client_id, found.client_secret.to_string()))
    }

    #[test]
    fn t10_both_halves_are_form_decoded() {
        assert_eq!(basic(b"an%3Aidentifier:+%25%26%2B"), Some(("an:identifier".into(), " %&+".into())));
        assert_eq!(basic(b"id:se:cret"), Some(("id".into(), "se:cret".into())));
    }

    #[test]
    fn t12_malformed_headers_prove_nothing() {
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
            assert!(from_basic(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn t13_the_scheme_is_of_any_case() {
        for scheme in ["basic", "BASIC", "bAsIc"] {
            assert!(from_basic(format!("{scheme} aWQ6c2VjcmV0").as_bytes()).is_some());
        }
    }
}
