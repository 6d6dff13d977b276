//! A crypto provider for `jsonwebtoken` based on ring: it verifies ES256, `EdDSA`, RS256 and PS256 (RFC 7518 §3, RFC
//! 8037 §3.1) and computes digests for thumbprints (RFC 7638). It cannot sign. A program that signs builds its own
//! [`CryptoProvider`] from [`verifier_factory`], [`KEY_UTILS`] and its own signer factory.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result, new_error};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// The provider that [`install`] installs.
pub static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: refuse_signing, verifier_factory, key_utils: KEY_UTILS };

/// Digests with ring. It does not derive a public key from a private one: build JWKs from the public key.
pub const KEY_UTILS: KeyUtils = KeyUtils {
    rsa_pub_components_from_private_key: |_| Err(verify_only()),
    rsa_pub_components_from_public_key: |_| Err(verify_only()),
    ec_pub_components_from_private_key: |_, _: Algorithm| Err(verify_only()),
    ed_pub_components_from_private_key: |_, _: &EllipticCurve| Err(verify_only()),
    compute_digest,
};

/// Makes [`PROVIDER`] the default of `jsonwebtoken` in this process, unless there is one already, as in a service that
/// also signs. `jsonwebtoken::decode` needs it, a [`crate::Verifier`] does not.
pub fn install() {
    // An error means that a provider is installed already, by an earlier call or by the program. That one stays.
    let _ = PROVIDER.install_default();
}

/// A verifier for `algorithm` and `key`; an error if the algorithm is not one of the four or does not fit the key. EC
/// keys are uncompressed points, Ed25519 keys 32 bytes, RSA keys components or a PKCS#1 `RSAPublicKey` of 2048 to
/// 8192 bits.
pub fn verifier_factory(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    Ok(Box::new(RingVerifier::new(*algorithm, key)?))
}

/// A decoded public key with its only algorithm.
pub(crate) struct RingVerifier {
    algorithm: Algorithm,
    key: PublicKey,
}

enum PublicKey {
    /// An EC point, an Ed25519 key, or an RSA key in PKCS#1.
    Encoded(UnparsedPublicKey<Vec<u8>>),
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<Vec<u8>>),
}

impl RingVerifier {
    pub(crate) fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self> {
        if key.family() != algorithm.family() {
            return Err(new_error(ErrorKind::InvalidAlgorithm));
        }
        let key = match algorithm {
            Algorithm::ES256 => encoded(&ECDSA_P256_SHA256_FIXED, p256_point(key.try_get_as_bytes()?)?),
            Algorithm::EdDSA => encoded(&ED25519, ed25519_key(key.try_get_as_bytes()?)?),
            Algorithm::RS256 => rsa(&RSA_PKCS1_2048_8192_SHA256, key),
            Algorithm::PS256 => rsa(&RSA_PSS_2048_8192_SHA256, key),
            _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        };
        Ok(Self { algorithm, key })
    }

    /// Whether `other` is the same public key.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        match (&self.key, &other.key) {
            (PublicKey::Encoded(own), PublicKey::Encoded(other)) => own.as_ref() == other.as_ref(),
            (PublicKey::Rsa(_, own), PublicKey::Rsa(_, other)) => own.n == other.n && own.e == other.e,
            _ => false,
        }
    }

    /// Whether `signature` is a signature of `message` by this key.
    pub(crate) fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            PublicKey::Encoded(key) => key.verify(message, signature),
            PublicKey::Rsa(parameters, key) => key.verify(parameters, message, signature),
        }
        .is_ok()
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        if self.is_valid(message, signature) { Ok(()) } else { Err(SignatureError::new()) }
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn encoded(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> PublicKey {
    PublicKey::Encoded(UnparsedPublicKey::new(algorithm, bytes.to_vec()))
}

fn rsa(parameters: &'static RsaParameters, key: &DecodingKey) -> PublicKey {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(der) => encoded(parameters, der),
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            PublicKey::Rsa(parameters, RsaPublicKeyComponents { n: n.clone(), e: e.clone() })
        }
    }
}

fn p256_point(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.len() == 65 && bytes.first() == Some(&4) {
        Ok(bytes)
    } else {
        Err(new_error(ErrorKind::InvalidEcdsaKey))
    }
}

fn ed25519_key(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.len() == 32 { Ok(bytes) } else { Err(new_error(ErrorKind::InvalidEddsaKey)) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature jsonwebtoken asks for")]
fn refuse_signing(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(verify_only())
}

fn verify_only() -> Error {
    new_error(ErrorKind::Provider(
        "this provider only verifies: install one that signs to use private keys".to_owned(),
    ))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature jsonwebtoken asks for")]
fn compute_digest(data: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>> {
    let algorithm = match hash {
        ThumbprintHash::SHA256 => &ring::digest::SHA256,
        ThumbprintHash::SHA384 => &ring::digest::SHA384,
        ThumbprintHash::SHA512 => &ring::digest::SHA512,
        // The enum is non-exhaustive. Another digest in place of an unknown one would give a wrong thumbprint.
        _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    };
    Ok(ring::digest::digest(algorithm, data).as_ref().to_vec())
}
