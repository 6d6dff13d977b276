//! A product: what a token opens. Its code is also the OAuth scope token (RFC 6749 §3.3).

use super::clock::UnixSeconds;

/// A product as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The code, `[a-z0-9][a-z0-9._:-]{0,63}`, never beginning with `mintmark:`.
    pub product: String,
    /// Display name.
    pub name: String,
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
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::is_product_code;

    #[test]
    fn codes() {
        for good in ["gst", "e-invoicing", "a", "0.b_c:d", &"x".repeat(64)] {
            assert!(is_product_code(good), "{good}");
        }
        for bad in ["", "-a", "GST", "a b", "mintmark:read", "ä", &"x".repeat(65)] {
            assert!(!is_product_code(bad), "{bad}");
        }
    }
}
