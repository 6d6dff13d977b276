//! Our keys behind `jsonwebtoken`: `encode` signs with a key that was parsed once, `decode` verifies by ring.
//!
//! `jsonwebtoken` asks its provider for a signer at each call and hands it bytes that should be a private key. Here
//! those bytes are the `kid`, and the signer is found in a map that is read without a lock; so no private key ever
//! lies in an [`EncodingKey`]. For whoever signs through `jsonwebtoken`; tokens are built by [`SigningHandle::sign_jwt`].

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use arc_swap::ArcSwap;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error as SignatureError, Signer};
use jsonwebtoken::{Algorithm, EncodingKey};
use mintmark_verifier::provider::{KEY_UTILS, verifier_factory};

use super::private_key::MAX_SIGNATURE_LEN;
use super::signing::SigningHandle;
use crate::model::key::Alg;

static PROVIDER: CryptoProvider = CryptoProvider { signer_factory, verifier_factory, key_utils: KEY_UTILS };

/// Handles in use, by kid. More than one of a kid when a process runs the service twice on one database.
static HANDLES: LazyLock<ArcSwap<HashMap<String, Vec<Weak<SigningHandle>>>>> =
    LazyLock::new(ArcSwap::default);

/// Makes this the provider of `jsonwebtoken` for the process. Calling it again changes nothing. Call it first: one that
/// was installed before stays, and then `encode` does not know our keys.
pub fn install() {
    // The only error is that one is installed; ours, unless the rule above was broken.
    let _ = PROVIDER.install_default();
}

/// Makes a key known, for as long as its handle lives. Keys change rarely, so the map is copied.
pub(super) fn register(handle: &Arc<SigningHandle>) {
    HANDLES.rcu(|handles| {
        let mut handles = HashMap::clone(handles);
        handles.retain(|_, same| {
            same.retain(|handle| handle.strong_count() > 0);
            !same.is_empty()
        });
        handles.entry(handle.kid().to_owned()).or_default().push(Arc::downgrade(handle));
        handles
    });
}

impl SigningHandle {
    /// What to give [`jsonwebtoken::encode`] to sign with this key, with a header of its [`Alg`] and kid.
    pub fn encoding_key(&self) -> EncodingKey {
        let kid = self.kid().as_bytes();
        match self.alg() {
            Alg::ES256 => EncodingKey::from_ec_der(kid),
            Alg::EdDSA => EncodingKey::from_ed_der(kid),
            Alg::RS256 | Alg::PS256 => EncodingKey::from_rsa_der(kid),
        }
    }
}

/// The name `jsonwebtoken` has for an algorithm.
pub fn algorithm(alg: Alg) -> Algorithm {
    match alg {
        Alg::ES256 => Algorithm::ES256,
        Alg::EdDSA => Algorithm::EdDSA,
        Alg::RS256 => Algorithm::RS256,
        Alg::PS256 => Algorithm::PS256,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature jsonwebtoken asks for")]
fn signer_factory(asked: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let handles = HANDLES.load();
    let handle = std::str::from_utf8(key.as_bytes())
        .ok()
        .and_then(|kid| handles.get(kid)?.iter().find_map(Weak::upgrade))
        .ok_or_else(|| new_error(ErrorKind::Provider("no signing key of that kid is in use".to_owned())))?;
    if algorithm(handle.alg()) != *asked {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(HandleSigner(handle)))
}

struct HandleSigner(Arc<SigningHandle>);

impl Signer<Vec<u8>> for HandleSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        let mut buffer = [0; MAX_SIGNATURE_LEN];
        let signature = self.0.pair().sign(message, &mut buffer).map_err(SignatureError::from_source)?;
        Ok(signature.to_vec())
    }
}

impl JwtSigner for HandleSigner {
    fn algorithm(&self) -> Algorithm {
        algorithm(self.0.alg())
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{DecodingKey, Header, Validation, decode, encode};
    use serde_json::{Value, json};

    use super::super::key::NewKey;
    use super::super::sample::RSA;
    use super::super::signing::TokenTyp;
    use super::*;
    use crate::model::key::UseFor;

    fn handles() -> Vec<Arc<SigningHandle>> {
        [
            NewKey::generate(Alg::ES256),
            NewKey::generate(Alg::EdDSA),
            NewKey::import(Alg::RS256, &RSA),
            NewKey::import(Alg::PS256, &super::super::sample::openssl("genpkey -quiet -algorithm RSA", "")),
        ]
        .map(|key| SigningHandle::new(key.unwrap().into_pair(), UseFor::Expiring))
        .into()
    }

    fn header(handle: &SigningHandle) -> Header {
        let mut header = Header::new(algorithm(handle.alg()));
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(handle.kid().to_owned());
        header
    }

    #[test]
    fn what_either_way_signs_is_what_decode_accepts() {
        install();
        install();
        let claims = json!({"sub": "cl_x", "exp": 253_402_300_799_i64, "aud": "https://api.example.com"});
        for handle in handles() {
            let jwk: Jwk = serde_json::from_str(&handle.pair().public().json).unwrap();
            let key = DecodingKey::from_jwk(&jwk).unwrap();
            let mut validation = Validation::new(algorithm(handle.alg()));
            validation.set_audience(&["https://api.example.com"]);
            let by_encode = encode(&header(&handle), &claims, &handle.encoding_key()).unwrap();
            let by_handle = handle.sign_jwt(TokenTyp::AccessToken, claims.to_string().as_bytes()).unwrap();
            for token in [&by_encode, &by_handle] {
                let decoded = decode::<Value>(token, &key, &validation).unwrap();
                assert_eq!(decoded.claims, claims);
                assert_eq!(decoded.header.kid.as_deref(), Some(handle.kid()));
                assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
            }
            let forged = format!("{}{}", &by_handle[..by_handle.len() - 8], "AAAAAAAA");
            assert!(decode::<Value>(&forged, &key, &validation).is_err(), "{}", handle.alg());
        }
    }

    #[test]
    fn a_key_signs_by_its_own_algorithm_only() {
        install();
        let handle =
            SigningHandle::new(NewKey::import(Alg::RS256, &RSA).unwrap().into_pair(), UseFor::Expiring);
        let other = Header::new(Algorithm::PS256);
        // Same family, so jsonwebtoken itself lets it pass.
        assert!(encode(&other, &json!({}), &handle.encoding_key()).is_err());
    }

    #[test]
    fn a_key_no_longer_in_use_signs_nothing() {
        install();
        let handle = SigningHandle::new(NewKey::generate(Alg::EdDSA).unwrap().into_pair(), UseFor::Expiring);
        let (header, key) = (header(&handle), handle.encoding_key());
        assert!(encode(&header, &json!({}), &key).is_ok());
        drop(handle);
        assert!(encode(&header, &json!({}), &key).is_err());
        assert!(encode(&header, &json!({}), &EncodingKey::from_ed_der(b"unknown")).is_err());
    }
}
