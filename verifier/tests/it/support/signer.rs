//! Keys that sign, created in each test run, and tokens of any form signed by them.

use super::b64;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::LazyLock;

/// A key pair with its JWK.
pub(crate) struct TestKey {
    pub(crate) kid: &'static str,
    pub(crate) alg: &'static str,
    pub(crate) jwk: Value,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

/// The keys the fake issuer publishes, and one it does not.
pub(crate) struct Keys {
    pub(crate) es256: TestKey,
    pub(crate) eddsa: TestKey,
    pub(crate) rs256: TestKey,
    pub(crate) ps256: TestKey,
    /// Not published; its kid is that of `es256`.
    pub(crate) foreign: TestKey,
}

pub(crate) fn keys() -> &'static Keys {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
        es256: TestKey::es256("es256-key"),
        eddsa: TestKey::eddsa("eddsa-key"),
        rs256: TestKey::rsa("rs256-key", "RS256", &openssl_rsa()),
        ps256: TestKey::rsa("ps256-key", "PS256", &openssl_rsa()),
        foreign: TestKey::es256("es256-key"),
    });
    &KEYS
}

impl Keys {
    /// The published keys.
    pub(crate) fn published(&self) -> [&TestKey; 4] {
        [&self.es256, &self.eddsa, &self.rs256, &self.ps256]
    }
}

/// A new RSA key of 2048 bits in DER: PKCS#1 or PKCS#8, depending on the version of openssl. ring cannot create RSA keys.
fn openssl_rsa() -> Vec<u8> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-outform", "DER", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl is installed (apt-get install openssl)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

impl TestKey {
    pub(crate) fn es256(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
        let jwk =
            json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y});
        Self { kid, alg: "ES256", jwk, pair: Pair::Ec(pair) }
    }

    pub(crate) fn eddsa(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let x = b64(pair.public_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x});
        Self { kid, alg: "EdDSA", jwk, pair: Pair::Ed(pair) }
    }

    pub(crate) fn rsa(kid: &'static str, alg: &'static str, der: &[u8]) -> Self {
        let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
        let (n, e) = (b64(public.n), b64(public.e));
        let jwk = json!({"kty": "RSA", "use": "sig", "alg": alg, "kid": kid, "n": n, "e": e});
        let padding: &'static dyn RsaEncoding =
            if alg == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
        Self { kid, alg, jwk, pair: Pair::Rsa(pair, padding) }
    }

    /// The header of an access token by this key.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.kid, "typ": "at+jwt"})
    }

    /// A token of these claims under the usual header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&self.header(), claims)
    }

    /// A status list of these claims under the usual header.
    pub(crate) fn list(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.alg, "kid": self.kid, "typ": "statuslist+jwt"}), claims)
    }

    /// A token under any header.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(header.to_string(), claims.to_string())
    }

    /// A token of any bytes.
    pub(crate) fn token_of(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.token_of_parts(&b64(header), &b64(payload))
    }

    /// A token of two encoded parts.
    pub(crate) fn token_of_parts(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let signature = b64(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*padding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The EC point, uncompressed; for keys of that kind.
    pub(crate) fn point(&self) -> &[u8] {
        match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_ref(),
            Pair::Ed(_) | Pair::Rsa(..) => panic!("{} is not an EC key", self.kid),
        }
    }
}
