//! Public keys as COSE writes them (RFC 9052 §7, RFC 9053, RFC 8230), and the verification of what they signed.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::cbor::Cbor;
use super::refused::Refused;

/// The algorithms that a registration asks for, the preferred one first, by their COSE numbers.
pub(super) const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// The labels of `kty` and `alg`, and the accepted values of `kty` and `crv`.
const KEY_TYPE: i64 = 1;
const ALG: i64 = 3;
const OCTET_KEY_PAIR: i64 = 1;
const ELLIPTIC_CURVE: i64 = 2;
const RSA: i64 = 3;
const P256: i64 = 1;
const ED25519_CURVE: i64 = 6;

/// A key of one of the algorithms that are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum PublicKey<'a> {
    Es256 { x: &'a [u8], y: &'a [u8] },
    EdDsa { x: &'a [u8] },
    Rs256 { n: &'a [u8], e: &'a [u8] },
}

/// The value of a parameter. Its kind depends on the type of the key: label -1 is `crv`, a number, or `n`, bytes.
#[derive(Clone, Copy)]
enum Parameter<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

impl<'a> PublicKey<'a> {
    /// Reads a key. Its algorithm must be one of those that are asked for, its type and curve must belong to the algorithm, and
    /// nothing may follow.
    pub(super) fn read(cose: &'a [u8]) -> Result<Self, Refused> {
        let mut reader = Cbor::of(cose);
        let entries = reader.map()?;
        let mut seen = Vec::new();
        let mut parameters = [None; 5];
        for _ in 0..entries {
            let label = reader.integer()?;
            // The list of labels stays short: each label takes bytes of an answer whose size is limited.
            if seen.contains(&label) {
                return Err(Refused::PublicKey);
            }
            seen.push(label);
            let place = match label {
                KEY_TYPE => 0,
                ALG => 1,
                -1 => 2,
                -2 => 3,
                -3 => 4,
                _ => {
                    reader.skip()?;
                    continue;
                }
            };
            let value = match reader.clone().integer() {
                Ok(number) => Parameter::Number(number),
                Err(_) => Parameter::Bytes(reader.clone().bytes().map_err(|_| Refused::PublicKey)?),
            };
            reader.skip()?;
            if let Some(parameter) = parameters.get_mut(place) {
                *parameter = Some(value);
            }
        }
        if !reader.rest().is_empty() {
            return Err(Refused::PublicKey);
        }
        Self::of(parameters).filter(Self::has_right_lengths).ok_or(Refused::PublicKey)
    }

    fn of(parameters: [Option<Parameter<'a>>; 5]) -> Option<Self> {
        use Parameter::{Bytes, Number};
        match parameters {
            [
                Some(Number(ELLIPTIC_CURVE)),
                Some(Number(ES256)),
                Some(Number(P256)),
                Some(Bytes(x)),
                Some(Bytes(y)),
            ] => Some(Self::Es256 { x, y }),
            [
                Some(Number(OCTET_KEY_PAIR)),
                Some(Number(EDDSA)),
                Some(Number(ED25519_CURVE)),
                Some(Bytes(x)),
                None,
            ] => Some(Self::EdDsa { x }),
            [Some(Number(RSA)), Some(Number(RS256)), Some(Bytes(n)), Some(Bytes(e)), None] => {
                Some(Self::Rs256 { n, e })
            }
            _ => None,
        }
    }

    fn has_right_lengths(&self) -> bool {
        match self {
            Self::Es256 { x, y } => x.len() == 32 && y.len() == 32,
            Self::EdDsa { x } => x.len() == 32,
            Self::Rs256 { n, e } => (256..=1024).contains(&n.len()) && (1..=4).contains(&e.len()),
        }
    }

    /// The COSE number of its algorithm.
    pub(super) fn alg(&self) -> i64 {
        match self {
            Self::Es256 { .. } => ES256,
            Self::EdDsa { .. } => EDDSA,
            Self::Rs256 { .. } => RS256,
        }
    }

    /// Fails unless this key signed `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        match *self {
            Self::Es256 { x, y } => {
                let point = [&[4], x, y].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::EdDsa { x } => UnparsedPublicKey::new(&ED25519, x).verify(message, signature),
            Self::Rs256 { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        }
        .map_err(|_| Refused::Signature)
    }
}
