//! The public key of a signing key: a JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2) named by its thumbprint (RFC 7638).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde::Deserialize;

use crate::model::key::Alg;

/// The numbers of a public key, in the form a JWK writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicNumbers {
    /// A point on P-256: two coordinates of exactly 32 bytes.
    Ec { x: [u8; 32], y: [u8; 32] },
    /// An Ed25519 public key.
    Ed { x: [u8; 32] },
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl PublicNumbers {
    /// Reads an uncompressed point (SEC 1 §2.3.4).
    pub(super) fn from_point(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_first_chunk::<32>()?;
        Some(Self::Ec { x: *x, y: y.try_into().ok()? })
    }

    /// The members that identify the key, in the order and form RFC 7638 §3.2 hashes them (without braces).
    fn required_members(&self) -> String {
        match self {
            Self::Ec { x, y } => {
                format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, encode(x), encode(y))
            }
            Self::Ed { x } => format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, encode(x)),
            Self::Rsa { n, e } => format!(r#""e":"{}","kty":"RSA","n":"{}""#, encode(e), encode(n)),
        }
    }
}

/// A public key: its `kid`, and the JWK as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicJwk {
    /// RFC 7638 thumbprint (SHA-256, base64url).
    pub kid: String,
    /// `{…,"alg","kid","use":"sig"}`, without private members.
    pub json: String,
}

impl PublicJwk {
    pub(super) fn new(alg: Alg, numbers: &PublicNumbers) -> Self {
        let members = numbers.required_members();
        let kid = encode(digest::digest(&digest::SHA256, format!("{{{members}}}").as_bytes()).as_ref());
        let json = format!(r#"{{{members},"alg":"{alg}","kid":"{kid}","use":"sig"}}"#);
        Self { kid, json }
    }

    /// Reads a stored JWK for use with `alg` and writes it again, so that only its public members are ever published.
    /// `None` if it is not a key for `alg`. The caller compares the `kid`.
    pub(super) fn parse(alg: Alg, json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Members {
            kty: String,
            crv: Option<String>,
            x: Option<String>,
            y: Option<String>,
            n: Option<String>,
            e: Option<String>,
        }
        let jwk: Members = serde_json::from_str(json).ok()?;
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let numbers = match (alg, jwk.kty.as_str(), jwk.crv.as_deref()) {
            (Alg::ES256, "EC", Some("P-256")) => {
                PublicNumbers::Ec { x: bytes(jwk.x)?.try_into().ok()?, y: bytes(jwk.y)?.try_into().ok()? }
            }
            (Alg::EdDSA, "OKP", Some("Ed25519")) => PublicNumbers::Ed { x: bytes(jwk.x)?.try_into().ok()? },
            (Alg::RS256 | Alg::PS256, "RSA", None) => {
                PublicNumbers::Rsa { n: bytes(jwk.n)?, e: bytes(jwk.e)? }
            }
            _ => return None,
        };
        Some(Self::new(alg, &numbers))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decode(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// The key and thumbprint of RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_of_an_rsa_key_is_that_of_the_rfc() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP\
                 ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY3\
                 68QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM\
                 4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let numbers = PublicNumbers::Rsa { n: decode(n), e: decode("AQAB") };
        assert_eq!(PublicJwk::new(Alg::RS256, &numbers).kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    /// The key and thumbprint of RFC 8037 appendix A.3.
    #[test]
    fn the_thumbprint_of_an_ed25519_key_is_that_of_the_rfc() {
        let x = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").try_into().unwrap();
        let jwk = PublicJwk::new(Alg::EdDSA, &PublicNumbers::Ed { x });
        assert_eq!(jwk.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(
            serde_json::from_str::<Value>(&jwk.json).unwrap(),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                   "use": "sig", "alg": "EdDSA", "kid": jwk.kid})
        );
    }

    #[test]
    fn coordinates_keep_their_leading_zeros() {
        let mut point = [1; 65];
        point[0] = 4;
        point[1..4].fill(0);
        let jwk = PublicJwk::new(Alg::ES256, &PublicNumbers::from_point(&point).unwrap());
        let json: Value = serde_json::from_str(&jwk.json).unwrap();
        assert_eq!(decode(json["x"].as_str().unwrap()), &point[1..33]);
        assert_eq!(decode(json["y"].as_str().unwrap()).len(), 32);
    }

    #[test]
    fn a_stored_key_is_read_for_its_own_algorithm_and_written_without_extra_members() {
        let jwk = PublicJwk::new(Alg::EdDSA, &PublicNumbers::Ed { x: [9; 32] });
        assert_eq!(PublicJwk::parse(Alg::EdDSA, &jwk.json), Some(jwk.clone()));
        let private = jwk.json.replace('{', r#"{"d":"secret","#);
        assert_eq!(PublicJwk::parse(Alg::EdDSA, &private), Some(jwk.clone()));
        assert_eq!(PublicJwk::parse(Alg::ES256, &jwk.json), None);
        assert_eq!(PublicJwk::parse(Alg::EdDSA, &jwk.json.replace("Ed25519", "Ed448")), None);
        assert_eq!(PublicJwk::parse(Alg::EdDSA, &jwk.json[1..]), None);
        let rsa = PublicJwk::new(Alg::PS256, &PublicNumbers::Rsa { n: vec![200; 256], e: vec![1, 0, 1] });
        assert_eq!(PublicJwk::parse(Alg::PS256, &rsa.json), Some(rsa));
    }

    #[test]
    fn a_point_of_another_length_or_form_is_refused() {
        assert_eq!(PublicNumbers::from_point(&[4; 64]), None);
        assert_eq!(PublicNumbers::from_point(&[4; 66]), None);
        assert_eq!(PublicNumbers::from_point(&[2; 65]), None);
    }
}
