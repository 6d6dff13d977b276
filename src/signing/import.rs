//! Reads the `private_key_pem` of an imported key: one unencrypted PKCS#8 block (RFC 5958, RFC 7468 §10). Refuses everything
//! else, with the reason and the command that converts it.

use std::fmt;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::pkcs8::{self, KeyKind};
use crate::model::key::Alg;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END PRIVATE KEY-----";

/// Reads the one PKCS#8 block of `pem` as DER and checks that it holds a key for `alg`.
pub(super) fn pkcs8_from_pem(alg: Alg, pem: &str) -> Result<Zeroizing<Vec<u8>>, ImportFault> {
    let pem = pem.trim();
    let mut labels = pem.lines().filter_map(|line| line.trim().strip_prefix(BEGIN));
    let label = labels.next().and_then(|rest| rest.strip_suffix("-----")).unwrap_or_default();
    // If dashes are left in the label, the line ends were lost.
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
    match pkcs8::kind(&der).ok_or(ImportFault::NotPkcs8)? {
        KeyKind::Rsa { bits } if alg.is_rsa() && !pkcs8::is_rsa_size(bits) => Err(ImportFault::RsaSize(bits)),
        KeyKind::EcWithoutPublic if alg == Alg::ES256 => Err(ImportFault::EcWithoutPublic),
        found if found.serves(alg) => Ok(der),
        found => Err(ImportFault::OtherKind { alg, found }),
    }
}

/// Why a `private_key_pem` is refused. Each message completes "`private_key_pem` …" and quotes nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// No PEM at all, or damaged.
    #[error(
        "is not PEM text: send the lines from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----, with line ends \
         (\\n in JSON) kept"
    )]
    NotPem,
    /// Two or more blocks.
    #[error(
        "contains more than one block: send one private key and nothing else; \
         `openssl pkey -in FILE -out pkcs8.pem` picks it from a file"
    )]
    Several,
    /// Text before or after the block.
    #[error("contains text outside its block: send the lines from BEGIN to END and nothing else")]
    Surrounded,
    /// Another kind of block.
    #[error("{0}")]
    Label(Label),
    /// The block does not hold exactly one PKCS#8 private key.
    #[error("contains no PKCS#8 private key: convert the key with `openssl pkey -in FILE -out pkcs8.pem`")]
    NotPkcs8,
    /// A key for another algorithm.
    #[error("contains {found}, which alg {alg} cannot use: {alg} needs {}", needs(*alg))]
    OtherKind {
        /// The algorithm asked for.
        alg: Alg,
        /// What the block holds.
        found: KeyKind,
    },
    /// A P-256 key without its public key.
    #[error("lacks the public key: add it with `openssl ec -in FILE | openssl pkey -out pkcs8.pem`")]
    EcWithoutPublic,
    /// An RSA key of a size that is not accepted.
    #[error("contains an RSA key of {0} bits: use 2048, 3072 or 4096 bits")]
    RsaSize(usize),
    /// The crypto library refuses the key, for example because its numbers do not belong together.
    #[error("contains a key that cannot be used ({0}): generate a new one, {new}", new = needs(*.1))]
    Rejected(String, Alg),
}

fn needs(alg: Alg) -> &'static str {
    match alg {
        Alg::ES256 => {
            "a P-256 key: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem`"
        }
        Alg::EdDSA => "an Ed25519 key: `openssl genpkey -algorithm ED25519 -out key.pem`",
        Alg::RS256 | Alg::PS256 => {
            "an RSA key of 2048, 3072 or 4096 bits: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem`"
        }
    }
}

/// A PEM block other than an unencrypted PKCS#8 private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `RSA PRIVATE KEY`, `EC PRIVATE KEY`, `DSA PRIVATE KEY`: an older form.
    Traditional,
    /// `ENCRYPTED PRIVATE KEY`.
    Encrypted,
    /// `OPENSSH PRIVATE KEY`.
    OpenSsh,
    /// `PUBLIC KEY`, `CERTIFICATE` and similar, without a private key.
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
                "is in a format older than PKCS#8: convert it with `openssl pkey -in FILE -out pkcs8.pem` and send that"
            }
            Self::Encrypted => {
                "is encrypted: decrypt it with `openssl pkey -in FILE -out pkcs8.pem` and send that (over HTTPS; it \
                 is stored sealed)"
            }
            Self::OpenSsh => {
                "is in OpenSSH format: convert a copy of it with `ssh-keygen -p -m PKCS8 -f COPY` and send that"
            }
            Self::Public => {
                "contains no private key: send the private key, in a block that begins with -----BEGIN PRIVATE KEY-----"
            }
            Self::Unknown => "contains another kind of block: it must begin with -----BEGIN PRIVATE KEY-----",
        })
    }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
