//! What a person sends as `private_key_pem`: one unencrypted PKCS#8 block (RFC 5958, RFC 7468 §10), and for everything
//! else the reason and the command that turns it into one.

use std::fmt;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::der::{self, CONTEXT_1, Elements, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};
use crate::model::key::Alg;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END PRIVATE KEY-----";

/// Reads the one PKCS#8 block of `pem` as DER and checks that it holds a key for `alg`.
pub(super) fn pkcs8_from_pem(alg: Alg, pem: &str) -> Result<Zeroizing<Vec<u8>>, ImportFault> {
    let pem = pem.trim();
    let mut labels = pem.lines().filter_map(|line| line.trim().strip_prefix(BEGIN));
    let label = labels.next().and_then(|rest| rest.strip_suffix("-----")).unwrap_or_default();
    // More dashes within: the line ends were lost.
    if label.is_empty() || label.contains("-----") {
        return Err(ImportFault::NotPem);
    }
    if labels.next().is_some() {
        return Err(ImportFault::Several);
    }
    if label != "PRIVATE KEY" {
        return Err(ImportFault::Label(Label::of(label)));
    }
    if !pem.starts_with(BEGIN) || !pem.ends_with(END) || pem.matches("-----").count() != 4 {
        return Err(ImportFault::Surrounded);
    }
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| ImportFault::NotPem)?;
    let der = Zeroizing::new(der.secret_pkcs8_der().to_vec());
    match kind(&der).ok_or(ImportFault::NotPkcs8)? {
        Kind::Rsa { bits } if alg.is_rsa() && !is_rsa_size(bits) => Err(ImportFault::RsaSize(bits)),
        Kind::EcWithoutPublic if alg == Alg::ES256 => Err(ImportFault::EcWithoutPublic),
        found if found.serves(alg) => Ok(der),
        found => Err(ImportFault::OtherKind { alg, found }),
    }
}

/// Why a `private_key_pem` is not taken. Each message completes "`private_key_pem` …" and quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// No PEM at all, or damaged.
    #[error(
        "is no PEM text: send the lines from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----, with line ends \
         (\\n in JSON) kept"
    )]
    NotPem,
    /// Two or more blocks.
    #[error(
        "holds more than one block: send one private key and nothing else; \
         `openssl pkey -in FILE -out pkcs8.pem` picks it from a file"
    )]
    Several,
    /// Text before or after the block.
    #[error("holds text outside its one block: send the lines from BEGIN to END and nothing else")]
    Surrounded,
    /// Another kind of block.
    #[error("{0}")]
    Label(Label),
    /// The block holds no PKCS#8, or more than it.
    #[error("holds no PKCS#8 private key: convert the key with `openssl pkey -in FILE -out pkcs8.pem`")]
    NotPkcs8,
    /// A key for another algorithm.
    #[error("holds {found}, which alg {alg} cannot use: {alg} needs {}", needs(*alg))]
    OtherKind {
        /// The algorithm asked for.
        alg: Alg,
        /// What the block holds.
        found: Kind,
    },
    /// A P-256 key whose public half is left out.
    #[error(
        "lacks the public half of the key: add it with `openssl ec -in FILE | openssl pkey -out pkcs8.pem`"
    )]
    EcWithoutPublic,
    /// An RSA key of a size that is not accepted.
    #[error("holds an RSA key of {0} bits: use 2048 to 4096 bits, in steps of 512")]
    RsaSize(usize),
    /// The numbers of the key do not fit together.
    #[error("holds a key that cannot be used ({0}): make a new one, {new}", new = needs(*.1))]
    Rejected(String, Alg),
}

fn needs(alg: Alg) -> &'static str {
    match alg {
        Alg::ES256 => {
            "a P-256 key: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem`"
        }
        Alg::EdDSA => "an Ed25519 key: `openssl genpkey -algorithm ED25519 -out key.pem`",
        Alg::RS256 | Alg::PS256 => {
            "an RSA key of 2048 to 4096 bits: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem`"
        }
    }
}

/// A PEM block that is no PKCS#8 private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `RSA PRIVATE KEY`, `EC PRIVATE KEY`, `DSA PRIVATE KEY`: an older form.
    Traditional,
    /// `ENCRYPTED PRIVATE KEY`.
    Encrypted,
    /// `OPENSSH PRIVATE KEY`.
    OpenSsh,
    /// `PUBLIC KEY`, `CERTIFICATE` and the like: no private half in it.
    Public,
    /// Anything else.
    Unknown,
}

impl Label {
    fn of(label: &str) -> Self {
        match label {
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY" => Self::Traditional,
            "ENCRYPTED PRIVATE KEY" => Self::Encrypted,
            "OPENSSH PRIVATE KEY" => Self::OpenSsh,
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" | "CERTIFICATE REQUEST" => Self::Public,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Traditional => {
                "is in an older form than PKCS#8: convert it with `openssl pkey -in FILE -out pkcs8.pem` and send that"
            }
            Self::Encrypted => {
                "is encrypted: decrypt it with `openssl pkey -in FILE -out pkcs8.pem` and send that (over HTTPS; it \
                 is stored sealed)"
            }
            Self::OpenSsh => {
                "is in OpenSSH's own form: convert a copy of it with `ssh-keygen -p -m PKCS8 -f COPY` and send that"
            }
            Self::Public => "holds no private key: send the private half, in a block that begins -----BEGIN PRIVATE KEY-----",
            Self::Unknown => "holds another kind of block: it must begin -----BEGIN PRIVATE KEY-----",
        })
    }
}

/// What kind of key a PKCS#8 block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `rsaEncryption`.
    Rsa {
        /// The length of its modulus.
        bits: usize,
    },
    /// `id-RSASSA-PSS`: an RSA key that is bound to PSS parameters.
    RsaPss,
    /// P-256 with its public half.
    P256,
    /// P-256 without it.
    EcWithoutPublic,
    /// Another curve, or one that is spelled out instead of named.
    OtherCurve,
    /// Ed25519.
    Ed25519,
    /// Anything else.
    Other,
}

impl Kind {
    fn serves(self, alg: Alg) -> bool {
        match alg {
            Alg::ES256 => self == Self::P256,
            Alg::EdDSA => self == Self::Ed25519,
            Alg::RS256 | Alg::PS256 => matches!(self, Self::Rsa { .. }),
        }
    }
}

impl fmt::Display for Kind {
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

/// What kind of key `der` holds; `None` if it is no `OneAsymmetricKey` (RFC 5958 §2), or more than one.
fn kind(der: &[u8]) -> Option<Kind> {
    let mut key = der::sequence(der)?;
    key.take(INTEGER)?;
    let mut algorithm = Elements::of(key.take(SEQUENCE)?);
    let oid = algorithm.take(OBJECT_IDENTIFIER)?;
    let private = key.take(OCTET_STRING)?;
    Some(match oid {
        // 1.2.840.113549.1.1.1 and .10
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => Kind::Rsa { bits: modulus_bits(private)? },
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => Kind::RsaPss,
        // 1.2.840.10045.2.1, on 1.2.840.10045.3.1.7
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => match algorithm.take(OBJECT_IDENTIFIER) {
            Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) if has_public(private)? => Kind::P256,
            Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) => Kind::EcWithoutPublic,
            _ => Kind::OtherCurve,
        },
        // 1.3.101.112
        [0x2b, 0x65, 0x70] => Kind::Ed25519,
        _ => Kind::Other,
    })
}

/// 2048 to 4096 bits, in steps of 512: below is weak, above slows every verifier, and ring takes no other.
fn is_rsa_size(bits: usize) -> bool {
    (2048..=4096).contains(&bits) && bits.is_multiple_of(512)
}

/// The length of the modulus of an `RSAPrivateKey` (RFC 8017 appendix A.1.2); `None` if it is none.
fn modulus_bits(rsa_private_key: &[u8]) -> Option<usize> {
    let mut elements = der::sequence(rsa_private_key)?;
    elements.take(INTEGER)?;
    let modulus = der::without_sign(elements.take(INTEGER)?);
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// Whether an `ECPrivateKey` (RFC 5915 §3) carries its public half; `None` if it is none.
fn has_public(ec_private_key: &[u8]) -> Option<bool> {
    let mut elements = der::sequence(ec_private_key)?;
    while let Some((tag, _)) = elements.next() {
        if tag == CONTEXT_1 {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
