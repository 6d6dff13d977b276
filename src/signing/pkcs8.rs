//! What kind of key a PKCS#8 block (RFC 5958) contains, found out before a library parses it. For the messages of
//! [`super::import`].

use std::fmt;

use super::der::{self, CONTEXT_1, Elements, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};
use crate::model::key::Alg;

/// What kind of key a PKCS#8 block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `rsaEncryption`.
    Rsa {
        /// The length of its modulus.
        bits: usize,
    },
    /// `id-RSASSA-PSS`: an RSA key that is bound to PSS parameters.
    RsaPss,
    /// P-256 with its public key.
    P256,
    /// P-256 without its public key.
    EcWithoutPublic,
    /// Another curve, or one that is spelled out instead of named.
    OtherCurve,
    /// Ed25519.
    Ed25519,
    /// Anything else.
    Other,
}

impl KeyKind {
    /// Whether `alg` can use it.
    pub(super) fn serves(self, alg: Alg) -> bool {
        match alg {
            Alg::ES256 => self == Self::P256,
            Alg::EdDSA => self == Self::Ed25519,
            Alg::RS256 | Alg::PS256 => matches!(self, Self::Rsa { .. }),
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa { .. } => "an RSA key",
            Self::RsaPss => "an RSA key that is restricted to PSS (id-RSASSA-PSS)",
            Self::P256 | Self::EcWithoutPublic => "a P-256 key",
            Self::OtherCurve => "an EC key on a curve other than the named curve P-256",
            Self::Ed25519 => "an Ed25519 key",
            Self::Other => "a key of an algorithm that is not supported",
        })
    }
}

/// What kind of key `der` holds; `None` if it is not exactly one `OneAsymmetricKey` (RFC 5958 §2).
pub(super) fn kind(der: &[u8]) -> Option<KeyKind> {
    let mut key = der::sequence(der)?;
    key.take(INTEGER)?;
    let mut algorithm = Elements::of(key.take(SEQUENCE)?);
    let oid = algorithm.take(OBJECT_IDENTIFIER)?;
    let private = key.take(OCTET_STRING)?;
    Some(match oid {
        // rsaEncryption (1.2.840.113549.1.1.1), then id-RSASSA-PSS (1.2.840.113549.1.1.10).
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => {
            KeyKind::Rsa { bits: modulus_bits(private)? }
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => KeyKind::RsaPss,
        // id-ecPublicKey (1.2.840.10045.2.1), on the curve P-256 (1.2.840.10045.3.1.7) or another.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => match algorithm.take(OBJECT_IDENTIFIER) {
            Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) if has_public(private)? => KeyKind::P256,
            Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) => KeyKind::EcWithoutPublic,
            _ => KeyKind::OtherCurve,
        },
        // id-Ed25519 (1.3.101.112).
        [0x2b, 0x65, 0x70] => KeyKind::Ed25519,
        _ => KeyKind::Other,
    })
}

/// 2048, 3072 or 4096 bits: smaller is weak, larger slows down every verifier, and ring accepts no others, because it wants
/// primes whose length is a multiple of 512 bits.
pub(super) fn is_rsa_size(bits: usize) -> bool {
    matches!(bits, 2048 | 3072 | 4096)
}

/// The length of the modulus of an `RSAPrivateKey` (RFC 8017 appendix A.1.2); `None` for anything else.
fn modulus_bits(rsa_private_key: &[u8]) -> Option<usize> {
    let mut elements = der::sequence(rsa_private_key)?;
    elements.take(INTEGER)?;
    let modulus = der::without_sign(elements.take(INTEGER)?);
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// Whether an `ECPrivateKey` (RFC 5915 §3) contains its public key; `None` for anything else.
fn has_public(ec_private_key: &[u8]) -> Option<bool> {
    let mut elements = der::sequence(ec_private_key)?;
    while let Some((tag, _)) = elements.next() {
        if tag == CONTEXT_1 {
            return Some(true);
        }
    }
    Some(false)
}
