//! A product: what a token gives access to. Its code is also the OAuth scope token (RFC 6749 §3.3).

use super::clock::UnixSeconds;

/// A product as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The code, `[a-z0-9][a-z0-9._:-]{0,63}`, never beginning with `mintmark:`.
    pub product: String,
    /// Display name.
    pub name: String,
    /// Free text about it.
    pub description: Option<String>,
    /// The audience (absolute URI) of tokens that carry it; `None` means `tokens.default_audience`.
    pub audience: Option<String>,
    /// A cap on token lifetime, in seconds.
    pub max_token_lifetime_seconds: Option<i64>,
    /// Whether never-expiring tokens may carry it.
    pub never_expires_allowed: bool,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Record version, the source of the `ETag`.
    pub version: i64,
}

/// Whether `code` may be the code of a product.
pub fn is_product_code(code: &str) -> bool {
    let mut bytes = code.bytes();
    code.len() <= 64
        && !code.starts_with(super::scope::PERMISSION_PREFIX)
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// Whether `text` may be an audience: an absolute URI without a fragment (RFC 8707 §2, RFC 3986 §4.3), with
/// characters of URIs only, at most 2000 of them. Audiences are compared byte for byte, so there are no other rules.
pub fn is_audience(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    text.len() <= 2000
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !rest.trim_start_matches('/').is_empty()
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b))
        && escapes_are_whole(rest)
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::{is_audience, is_product_code};

    #[test]
    fn an_audience_is_an_absolute_uri_without_a_fragment() {
        for good in [
            "https://api.example.com",
            "urn:example:api",
            "https://h/a?b=%20c",
            "api:x",
            "https://[::1]:8080/x",
        ] {
            assert!(is_audience(good), "{good}");
        }
        for bad in [
            "",
            "api",
            "/relative",
            ":x",
            "1a:x",
            "a b:c",
            "https://",
            "https://h/#f",
            "https://h/a b",
            "urn:",
            "https://h/ä",
            "https://h/%2",
            "https://h/%zz",
            "https://h/\n",
            "https://h/\"",
            "https://h/<x>",
            &format!("urn:{}", "x".repeat(2000)),
        ] {
            assert!(!is_audience(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_product_code_has_1_to_64_allowed_characters_and_is_no_permission() {
        for good in ["gst", "e-invoicing", "a", "0.b_c:d", &"x".repeat(64)] {
            assert!(is_product_code(good), "{good}");
        }
        for bad in ["", "-a", "GST", "a b", "mintmark:read", "ä", &"x".repeat(65)] {
            assert!(!is_product_code(bad), "{bad}");
        }
    }
}
