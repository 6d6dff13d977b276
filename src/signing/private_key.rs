//! The private key of a signing key, parsed once: ring by default, aws-lc with the feature `aws-lc`.
//!
//! For [`super::key`]. Both libraries have the same interface, and every difference between them is in this file. aws-lc
//! also generates RSA keys, which ring cannot.

#[cfg(feature = "aws-lc")]
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
#[cfg(not(feature = "aws-lc"))]
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use zeroize::Zeroizing;

use super::der::{self, INTEGER};
use super::jwk::PublicNumbers;
use crate::model::key::Alg;

/// The longest signature, in bytes: RSA of 4096 bits.
pub const MAX_SIGNATURE_LEN: usize = 512;

/// Whether this build can generate RSA keys, and not only import them.
pub const GENERATES_RSA: bool = cfg!(feature = "aws-lc");

/// The size of generated RSA keys, in bits: 128 bits of strength (NIST SP 800-57 part 1, table 2).
#[cfg(feature = "aws-lc")]
const RSA_SIZE: aws_lc_rs::rsa::KeySize = aws_lc_rs::rsa::KeySize::Rsa3072;

/// A parsed private key, ready to sign.
pub(super) enum PrivateKey {
    Ec(EcdsaKeyPair, SystemRandom),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding, SystemRandom),
}

/// The library's reason for refusing a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected(pub(super) String);

/// The signature failed because the operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature could not be made: the operating system gives no random bytes")]
pub struct SignError;

impl PrivateKey {
    /// Parses PKCS#8 DER. If it contains the public key too, checks that the two belong together.
    pub(super) fn parse(alg: Alg, pkcs8: &[u8]) -> Result<Self, Rejected> {
        match alg {
            Alg::ES256 => Ok(Self::Ec(parse_ec(pkcs8)?, SystemRandom::new())),
            // OpenSSL writes PKCS#8 version 1, without a public key to check against.
            Alg::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map(Self::Ed)
                .map_err(|e| Rejected(e.to_string())),
            Alg::RS256 => Self::parse_rsa(pkcs8, &RSA_PKCS1_SHA256),
            Alg::PS256 => Self::parse_rsa(pkcs8, &RSA_PSS_SHA256),
        }
    }

    fn parse_rsa(pkcs8: &[u8], padding: &'static dyn RsaEncoding) -> Result<Self, Rejected> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|e| Rejected(e.to_string()))?;
        Ok(Self::Rsa(pair, padding, SystemRandom::new()))
    }

    /// The public key; `None` if the library returns it in an unexpected form.
    pub(super) fn public(&self) -> Option<PublicNumbers> {
        match self {
            Self::Ec(pair, _) => PublicNumbers::from_point(pair.public_key().as_ref()),
            Self::Ed(pair) => Some(PublicNumbers::Ed { x: pair.public_key().as_ref().try_into().ok()? }),
            Self::Rsa(pair, ..) => {
                // RSAPublicKey (RFC 8017 appendix A.1.1): modulus, then exponent.
                let mut numbers = der::sequence(pair.public_key().as_ref())?;
                let mut number = || numbers.take(INTEGER).map(|n| der::without_sign(n).to_vec());
                Some(PublicNumbers::Rsa { n: number()?, e: number()? })
            }
        }
    }

    /// Signs `message` into `out` and returns the part of `out` that is the signature, in the form of RFC 7518 §3. The library
    /// allocates for RSA only.
    pub(super) fn sign<'a>(
        &self,
        message: &[u8],
        out: &'a mut [u8; MAX_SIGNATURE_LEN],
    ) -> Result<&'a [u8], SignError> {
        let length = match self {
            Self::Ec(pair, random) => copy(pair.sign(random, message).map_err(|_| SignError)?.as_ref(), out)?,
            Self::Ed(pair) => copy(pair.sign(message).as_ref(), out)?,
            Self::Rsa(pair, padding, random) => {
                let length = self.signature_len();
                let signature = out.get_mut(..length).ok_or(SignError)?;
                pair.sign(*padding, random, message, signature).map_err(|_| SignError)?;
                length
            }
        };
        out.get(..length).ok_or(SignError)
    }

    /// How many bytes a signature has.
    pub(super) fn signature_len(&self) -> usize {
        match self {
            Self::Ec(..) | Self::Ed(_) => 64,
            #[cfg(feature = "aws-lc")]
            Self::Rsa(pair, ..) => pair.public_modulus_len(),
            #[cfg(not(feature = "aws-lc"))]
            Self::Rsa(pair, ..) => pair.public().modulus_len(),
        }
    }
}

#[cfg(feature = "aws-lc")]
fn parse_ec(pkcs8: &[u8]) -> Result<EcdsaKeyPair, Rejected> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|e| Rejected(e.to_string()))
}

#[cfg(not(feature = "aws-lc"))]
fn parse_ec(pkcs8: &[u8]) -> Result<EcdsaKeyPair, Rejected> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
        .map_err(|e| Rejected(e.to_string()))
}

fn copy(signature: &[u8], out: &mut [u8; MAX_SIGNATURE_LEN]) -> Result<usize, SignError> {
    out.get_mut(..signature.len()).ok_or(SignError)?.copy_from_slice(signature);
    Ok(signature.len())
}

/// Generates a key, as PKCS#8 DER. `Ok(None)` for an algorithm that this build cannot generate keys for.
pub(super) fn generate(alg: Alg) -> Result<Option<Zeroizing<Vec<u8>>>, SignError> {
    let random = SystemRandom::new();
    let pkcs8 = match alg {
        Alg::ES256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| SignError)?
        }
        Alg::EdDSA => Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| SignError)?,
        Alg::RS256 | Alg::PS256 => return generate_rsa(),
    };
    Ok(Some(Zeroizing::new(pkcs8.as_ref().to_vec())))
}

#[cfg(feature = "aws-lc")]
fn generate_rsa() -> Result<Option<Zeroizing<Vec<u8>>>, SignError> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(RSA_SIZE).map_err(|_| SignError)?;
    let pkcs8: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| SignError)?;
    Ok(Some(Zeroizing::new(pkcs8.as_ref().to_vec())))
}

#[cfg(not(feature = "aws-lc"))]
#[expect(clippy::unnecessary_wraps, reason = "the signature of the aws-lc variant")]
fn generate_rsa() -> Result<Option<Zeroizing<Vec<u8>>>, SignError> {
    Ok(None)
}
