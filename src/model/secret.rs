//! Client secrets: the secret in the clear, and its stored record, which holds only a MAC.

use std::fmt;

use zeroize::Zeroizing;

use super::clock::UnixSeconds;
use super::ids::{base62, from_base62, is_alphanumeric};

/// How many live secrets a client may have.
pub const MAX_LIVE_SECRETS: usize = 5;

const PREFIX: &str = "mms_";
const RANDOM_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const CHECKED_LEN: usize = PREFIX.len() + RANDOM_DIGITS;
const LEN: usize = CHECKED_LEN + CHECKSUM_DIGITS;

/// A client secret in the clear: `mms_`, 43 base62 digits of 256 random bits, 6 base62 digits of the CRC-32/ISO-HDLC
/// of the 47 bytes before. `Debug` does not print it.
#[derive(Clone)]
pub struct PlainSecret(Zeroizing<String>);

impl PlainSecret {
    /// Makes a secret of 32 random bytes.
    pub fn from_random(random: &[u8; 32]) -> Self {
        let mut text = format!("{PREFIX}{}", base62(random, RANDOM_DIGITS));
        let checksum = crc32fast::hash(text.as_bytes());
        text.push_str(&base62(&checksum.to_be_bytes(), CHECKSUM_DIGITS));
        Self(Zeroizing::new(text))
    }

    /// The secret itself: to show it, or to compute its MAC.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its last four characters, shown to tell secrets apart.
    pub fn last_four(&self) -> String {
        self.0.get(LEN - 4..).unwrap_or_default().to_owned()
    }
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainSecret(…)")
    }
}

/// Whether `text` has the form and checksum of a secret. Any other text is refused before a client is looked up or a MAC is
/// computed.
pub fn is_well_formed(text: &str) -> bool {
    if text.len() != LEN || !text.starts_with(PREFIX) || !text.is_ascii() {
        return false;
    }
    let (checked, checksum) = text.split_at(CHECKED_LEN);
    let expected = u64::from(crc32fast::hash(checked.as_bytes()));
    checked.strip_prefix(PREFIX).is_some_and(is_alphanumeric) && from_base62(checksum) == Some(expected)
}

/// What is wrong with a malformed client secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretFault {
    /// There is white space at one of its ends.
    WhiteSpace,
    /// It is shorter or longer than a secret.
    Length,
    /// It has a character other than letters and digits after its prefix.
    Alphabet,
    /// Its checksum is not that of the rest: a character is wrong.
    Checksum,
}

/// What is wrong with `text`. `None` for a well-formed secret, and for a text that does not begin like one.
pub fn fault(text: &str) -> Option<SecretFault> {
    let trimmed = text.trim();
    let rest = trimmed.strip_prefix(PREFIX)?;
    if trimmed.len() != text.len() {
        Some(SecretFault::WhiteSpace)
    } else if !is_alphanumeric(rest) {
        Some(SecretFault::Alphabet)
    } else if text.len() != LEN {
        Some(SecretFault::Length)
    } else {
        (!is_well_formed(text)).then_some(SecretFault::Checksum)
    }
}

/// A client secret as stored. The secret itself cannot be recovered from it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// UUIDv7.
    pub secret_id: String,
    /// The client it belongs to.
    pub client_id: String,
    /// HMAC-SHA-256 of the plain secret under the pepper.
    pub mac: Vec<u8>,
    /// The last four characters of the plain secret.
    pub last_four: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// From this instant on it is no longer accepted.
    pub expires_at: Option<UnixSeconds>,
    /// When it was last accepted; written lazily, at most a minute late.
    pub last_used_at: Option<UnixSeconds>,
    /// The address that it was last used from, if that is known; a few seconds late.
    pub last_used_from: Option<String>,
    /// When it was first accepted, if that is known; a few seconds late.
    pub first_used_at: Option<UnixSeconds>,
    /// How often it was accepted in the last 24 hours, by whole hours; a few seconds late.
    pub used_last_24h: i64,
}

impl ClientSecret {
    /// Whether it is accepted at `now`.
    pub fn is_live(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSecret").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_with_a_wrong_form_or_checksum_is_malformed() {
        // The published check value of CRC-32/ISO-HDLC: secret scanners compute the checksum with other libraries.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let secret = PlainSecret::from_random(&[0xab; 32]);
        let text = secret.expose();
        assert_eq!(text.len(), 53);
        assert!(is_well_formed(text));
        assert_eq!(format!("{secret:?}"), "PlainSecret(…)");
        for position in 0..text.len() {
            let mut other = text.as_bytes().to_vec();
            other[position] = if other[position] == b'A' { b'B' } else { b'A' };
            assert!(!is_well_formed(std::str::from_utf8(&other).unwrap()), "changed at {position}");
        }
        for (fault_of, expected) in [
            (text.to_owned(), None),
            ("secret".to_owned(), None),
            (String::new(), None),
            (" mms".to_owned(), None),
            (format!("{text}\n"), Some(SecretFault::WhiteSpace)),
            (format!("\u{a0}{text}"), Some(SecretFault::WhiteSpace)),
            ("mms_".to_owned(), Some(SecretFault::Length)),
            (text[..52].to_owned(), Some(SecretFault::Length)),
            (format!("{text}x"), Some(SecretFault::Length)),
            (text.replace('_', "_-"), Some(SecretFault::Alphabet)),
            (format!("{text}:"), Some(SecretFault::Alphabet)),
            (format!("mms_{}", "0".repeat(49)), Some(SecretFault::Checksum)),
        ] {
            assert_eq!(fault(&fault_of), expected, "{fault_of}");
        }
        assert!(!is_well_formed(""));
        // It has the length of a secret, but the checksum would begin within a character.
        assert!(!is_well_formed(&format!("mms_{}x", "ä".repeat(24))));
    }
}
