//! [`KeySet`]: the usable keys of a JWK Set (RFC 7517 §5), which are public signature keys with one algorithm each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

use crate::json;
use crate::provider::RingVerifier;

/// The algorithms a token may be signed with.
pub(crate) const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
    ("RS256", Algorithm::RS256),
    ("PS256", Algorithm::PS256),
];

/// Members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 9964).
const PRIVATE_MEMBERS: [&str; 10] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"];

/// The issuer's keys, by `kid`.
pub struct KeySet {
    keys: HashMap<String, Arc<Key>>,
}

/// One public key.
pub(crate) struct Key {
    /// The only algorithm it verifies.
    pub(crate) alg: &'static str,
    pub(crate) kid: String,
    pub(crate) verifier: RingVerifier,
}

/// Why a JWK Set was refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key set is not valid: {}", self.as_str())]
pub enum KeySetError {
    /// Not a JSON object with an array `keys`, or a member occurs twice.
    NotAKeySet,
    /// Two usable keys have the same `kid`, so a token's key would be ambiguous.
    DuplicateKid,
}

impl KeySetError {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotAKeySet => "it is not a JWK Set",
            Self::DuplicateKid => "two of its keys have the same kid",
        }
    }
}

impl KeySet {
    /// Reads a JWK Set. Keys that cannot verify a token here are ignored, so that an issuer may add new kinds of keys:
    /// keys without `kid`, `alg` or `use: sig`, with an unsupported algorithm or one that does not fit the key type, with
    /// `key_ops` but not `verify` in it, with a private or symmetric member, with numbers of the wrong form or length, and RSA
    /// keys of less than 2048 bits.
    pub fn parse(jwks: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Map<String, Value>>,
        }
        let set: Set = json::strict(jwks).map_err(|_| KeySetError::NotAKeySet)?;
        let mut keys = HashMap::new();
        for (kid, key) in set.keys.iter().filter_map(read_key) {
            match keys.entry(kid) {
                Entry::Occupied(_) => return Err(KeySetError::DuplicateKid),
                Entry::Vacant(free) => free.insert(Arc::new(key)),
            };
        }
        Ok(Self { keys })
    }

    /// How many usable keys it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has no usable key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&Arc<Key>> {
        self.keys.get(kid)
    }

    /// Whether this key itself is in the set, not only its `kid`. Then a signature that was verified with it is still
    /// valid.
    pub(crate) fn has(&self, key: &Arc<Key>) -> bool {
        self.get(&key.kid).is_some_and(|known| {
            Arc::ptr_eq(known, key) || (known.alg == key.alg && known.verifier.has_key_of(&key.verifier))
        })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// The key in a JWK, if it is usable.
fn read_key(jwk: &Map<String, Value>) -> Option<(String, Key)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| text(name).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    let may_verify = jwk.get("key_ops").is_none_or(|ops| {
        ops.as_array().is_some_and(|ops| ops.iter().any(|op| op.as_str() == Some("verify")))
    });
    if text("use") != Some("sig") || !may_verify || PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name))
    {
        return None;
    }
    let kid = text("kid").filter(|kid| !kid.is_empty())?;
    let (alg, algorithm) = ALGORITHMS.into_iter().find(|(name, _)| Some(*name) == text("alg"))?;
    let key = match (algorithm, text("kty")?, text("crv")) {
        (Algorithm::ES256, "EC", Some("P-256")) => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            // `RingVerifier` checks the length of the whole point, and so that of `y`.
            if x.len() != 32 {
                return None;
            }
            DecodingKey::from_ec_der(&[&[4], &x[..], &y[..]].concat())
        }
        (Algorithm::EdDSA, "OKP", Some("Ed25519")) => DecodingKey::from_ed_der(&bytes("x")?),
        (Algorithm::RS256 | Algorithm::PS256, "RSA", _) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            // RFC 7518 §6.3.1.1: no leading zero. 256 bytes with the top bit set are 2048 bits.
            let top = *n.first()?;
            if n.len() < 256 || top == 0 || (n.len() == 256 && top < 0x80) {
                return None;
            }
            DecodingKey::from_rsa_raw_components(&n, &e)
        }
        _ => return None,
    };
    let verifier = RingVerifier::new(algorithm, &key).ok()?;
    Some((kid.to_owned(), Key { alg, kid: kid.to_owned(), verifier }))
}
