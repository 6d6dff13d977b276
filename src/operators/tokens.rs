//! Values that only their holder knows: cookies, setup links, names of states. Each has 256 random bits and is stored as its
//! SHA-256 hash. A fast hash suffices, because nobody can guess 256 random bits.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::kernel::{Error, Kernel};

/// The length of a token: 32 bytes as base64url.
const LENGTH: usize = 43;

/// A new token.
pub(super) fn new(kernel: &Kernel) -> Result<Zeroizing<String>, Error> {
    let bytes = Zeroizing::new(kernel.random.fill::<32>()?);
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// The form in which a token is stored; `None` for what cannot be one.
pub(super) fn hash_of(token: &str) -> Option<Vec<u8>> {
    let is_token =
        token.len() == LENGTH && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    is_token.then(|| hash(token.as_bytes()))
}

/// SHA-256.
pub(super) fn hash(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_token_is_looked_up() {
        let token = "A".repeat(LENGTH);
        assert_eq!(hash_of(&token), Some(hash(token.as_bytes())));
        for other in ["", &token[1..], &format!("{token}A")] {
            assert_eq!(hash_of(other), None, "{other:?}");
        }
        for other in ["=", "+", "/", ".", " ", "\0", "ä"] {
            let other = format!("{}{other}", &token[other.len()..]);
            assert_eq!((other.len(), hash_of(&other)), (LENGTH, None), "{other:?}");
        }
        let all = "-_azAZ09".repeat(6);
        assert!(hash_of(&all[..LENGTH]).is_some());
    }
}
