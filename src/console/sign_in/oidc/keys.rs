//! The keys that a provider publishes (RFC 7517), and the verification of a signature with the key that a token names.

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use mintmark_verifier::provider::verifier_factory;
use serde::Deserialize;
use serde_json::Value;

use super::refused::Refused;

/// The algorithms that an ID token may be signed with: asymmetric ones only, so that no published key serves as an HMAC secret.
const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("RS256", Algorithm::RS256),
    ("PS256", Algorithm::PS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of that name, if it is accepted.
pub(super) fn algorithm(name: &str) -> Result<Algorithm, Refused> {
    let known = ALGORITHMS.iter().find(|(known, _)| *known == name);
    known.map(|(_, algorithm)| *algorithm).ok_or(Refused::Algorithm)
}

/// The keys of a provider that can verify a signature.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    kid: Option<String>,
    alg: Option<String>,
    jwk: Jwk,
}

impl Keys {
    /// Reads a JWK Set. Keys that cannot be read, and keys for encryption, are left out, since a provider may publish keys for
    /// other uses.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(body).map_err(|_| Refused::Keys("it is not a JWK Set"))?;
        Ok(Self(set.keys.into_iter().filter_map(read_key).collect()))
    }

    /// Fails unless the key that `kid` names made `signature` over `signed`. Without a `kid`, exactly one key must fit the
    /// algorithm (OpenID Connect Core 1.0 §10.1).
    pub(super) fn verify(
        &self,
        (name, kid): (&str, Option<&str>),
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        let algorithm = algorithm(name)?;
        // The keys that `kid` names, or all without one. A key of another type, or that names another algorithm, is an error.
        let fitting = self.0.iter().filter_map(|key| {
            let named = kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
            let decoded = DecodingKey::from_jwk(&key.jwk).ok().filter(|_| named)?;
            if key.alg.as_deref().is_some_and(|alg| alg != name) {
                return Some(Err(Refused::Algorithm));
            }
            Some(verifier_factory(&algorithm, &decoded).map_err(|_| Refused::Algorithm))
        });
        let mut fitting: Vec<_> = fitting.collect();
        if kid.is_none() {
            fitting.retain(Result::is_ok);
        }
        match fitting.pop() {
            Some(verifier) if fitting.is_empty() => {
                verifier?.verify(signed, &signature.to_vec()).map_err(|_| Refused::Signature)
            }
            _ => Err(Refused::UnknownKey),
        }
    }
}

fn read_key(value: Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let (kid, alg) = (text("kid"), text("alg"));
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)).then_some(Key { kid, alg, jwk })
}
